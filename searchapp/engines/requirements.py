"""List what vLLM needs and this machine lacks: libraries, CPU instructions, a driver.

data/preflight.py runs this file before anything is installed. It therefore imports only the
standard library, and runs on every Python that searchapp supports or refuses with a message.
"""

from __future__ import annotations

import ctypes
import importlib
import platform
from pathlib import Path

# The first NVIDIA driver that runs programs built for a major version of CUDA:
# https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (minor version compatibility)
MIN_DRIVER_BY_CUDA = {12: 525, 13: 580}
CPUINFO = Path("/proc/cpuinfo")


def list_cpu_problems() -> list[str]:
    """Return what vLLM's CPU build needs and this machine lacks; each entry has its remedy."""
    problems = []
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        problems.append("vLLM's CPU extension needs libnuma: apt-get install libnuma1")
    if platform.machine() == "x86_64" and not has_avx2():
        problems.append(
            "vLLM's CPU extension needs a CPU with AVX2, and this CPU lacks it: use another "
            "machine, or a vLLM server on another machine (--engine URL)"
        )
    return problems


def has_avx2() -> bool:
    """Return whether this CPU has AVX2; True if the system does not list the CPU's features."""
    try:
        words = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return True
    return "avx2" in words or "flags" not in words


def list_gpu_problems(cuda: int, cpu_build: str) -> list[str]:
    """Return what vLLM's build for CUDA needs and this machine lacks; each entry has its remedy.

    cuda: CUDA's major version. cpu_build: the command that installs vLLM's CPU build instead.
    """
    newest = MIN_DRIVER_BY_CUDA[max(MIN_DRIVER_BY_CUDA)]
    needed = f"driver {MIN_DRIVER_BY_CUDA.get(cuda, newest)} or newer"
    remedy = f"install {needed} from NVIDIA, or vLLM's CPU build: {cpu_build}"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [f"vLLM's GPU build needs an NVIDIA driver, and there is none: {remedy}"]
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    major, minor = version.value // 1000, version.value % 1000 // 10
    if major < cuda:
        return [
            f"vLLM's GPU build needs CUDA {cuda}, and the NVIDIA driver is too old for it "
            f"(CUDA {major}.{minor}): {remedy}"
        ]
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return [
            "vLLM's GPU build finds no NVIDIA GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, "
            f"or install vLLM's CPU build: {cpu_build}"
        ]
    return []


def explain_gpu_failure(cpu_build: str) -> list[str]:
    """Return why the installed GPU build of vLLM failed to start; empty if the reason is unknown.

    The version of CUDA that the build needs is read from torch, which is imported.
    """
    from searchapp.models import is_cpu_build  # data/preflight.py has no package searchapp.

    if is_cpu_build():
        return []
    try:
        cuda = importlib.import_module("torch").version.cuda
    except (ImportError, OSError, AttributeError):
        return []
    return list_gpu_problems(int(cuda.split(".")[0]), cpu_build) if cuda else []
