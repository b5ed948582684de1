"""Make PyPI's torchvision, which is built for CUDA, importable with the CPU build of torch."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

# torchvision registers these at import; its own library, which needs CUDA, would define them.
NMS_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
MISSING_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def patch_torchvision() -> None:
    """Declare the operators that PyPI's torchvision cannot load without CUDA.

    Image processors do not use these operators. Nothing changes if torchvision is missing or works.
    vLLM inspects a model's class in a child process, which this patch does not reach. vLLM is
    therefore patched to inspect the class in this process.
    """
    import torch

    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # "operator torchvision::nms does not exist"
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in MISSING_OPERATORS:
            torch.library.define(operator, NMS_SIGNATURE)
        if importlib.util.find_spec("vllm") is not None:
            registry: Any = importlib.import_module("vllm.model_executor.models.registry")
            registry._run_in_subprocess = lambda inspect: inspect()
