"""List the cores, the GPUs and the free memory of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from searchapp.models import has_gpu


def list_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # macOS and Windows lack it.
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that this process may use."""

    name: str  # its index or UUID, as CUDA_VISIBLE_DEVICES takes it
    free_mib: int


def list_gpus() -> list[Gpu]:
    """Return the GPUs that vLLM in this process may use, as nvidia-smi lists them."""
    return [Gpu(name, free_mib) for name, free_mib in _query_gpus("memory.free")]


def read_gpu_busy_percent() -> float | None:
    """Return how busy the GPUs are at this moment, on average; None if it is unknown."""
    percents = [percent for _, percent in _query_gpus("utilization.gpu")]
    return sum(percents) / len(percents) if percents else None


def read_gpu_name() -> str | None:
    """Return the name of the first GPU, such as NVIDIA H200; None without a GPU."""
    names = _run_smi("name")
    return names[0][2] if names else None


def _query_gpus(value: str) -> list[tuple[str, int]]:
    """Return the name of each GPU that this process may use, and a value of nvidia-smi."""
    found = [(row[0], row[1], int(row[2])) for row in _run_smi(value) if row[2].isdigit()]
    visible_devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible_devices is None:
        return [(index, number) for index, _, number in found]
    names = [name.strip() for name in visible_devices.split(",")]
    return [(n, number) for n in names for index, uuid, number in found if n in (index, uuid)]


def _run_smi(value: str) -> list[list[str]]:
    """Return index, UUID and a value of each GPU of the machine, as nvidia-smi prints them."""
    if not has_gpu() or shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", f"--query-gpu=index,uuid,{value}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines()]
    return [row for row in rows if len(row) == 3]


def read_free_memory_mib() -> int | None:
    """Return the memory in MiB that is available without swapping; None if it is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError):
        return None
