"""Make torchvision importable beside CPU torch, where PyPI's build of it is for CUDA."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

# What torchvision registers at its import, and its own library (which needs CUDA's) would define.
NMS_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
MISSING_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def patch_torchvision() -> None:
    """Declare the operators that a CUDA build misses; image processors need none of them.

    Where torchvision is missing or works already, nothing is changed. vLLM looks at a model's class
    in a process of its own, which would know nothing of this: it is made to look in this one.
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
            registry._run_in_subprocess = lambda look: look()
