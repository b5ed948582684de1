"""Make torchvision importable beside CPU torch, where PyPI's build of it is for CUDA."""

from __future__ import annotations

import importlib
import importlib.util
import sys

# What torchvision registers at its import, and its own library (which needs CUDA's) would define.
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
OPERATORS = ("torchvision::nms", "torchvision::qnms")


def mend_torchvision() -> None:
    """Declare the operators that a CUDA build misses; image processors need none of them.

    Where torchvision is missing or works already, nothing is changed.
    """
    import torch

    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # "operator torchvision::nms does not exist"
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in OPERATORS:
            torch.library.define(operator, SIGNATURE)
