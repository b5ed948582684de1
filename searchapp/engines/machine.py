"""What this machine has for engines, and how many of them it should run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from searchapp.models import ModelSpec, has_gpu

# Megabytes that an engine takes beside its weights: the CUDA context, activations, the cache.
TWO_TOWERS, LANGUAGE = 2000, 12000
SHARE = 0.9  # of the free memory of a GPU
MOST_LANGUAGE = 4  # engines of a large model on a GPU: it is busy with fewer
SMALL = 700  # megabytes of weights; larger models keep all cores of a CPU busy by themselves
FILES_AN_ENGINE = 500  # with fewer, another engine's start costs more than it gains
CPU_PROCESS = 3000  # megabytes

# Without these, pictures' tensors are mapped and unmapped one by one.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that this process may use; memory in MiB."""

    name: str  # for CUDA_VISIBLE_DEVICES
    free: int


def gpus() -> list[Gpu]:
    """Return the GPUs that this process may use, without loading anything of them."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines()]
    found = [(row[0], row[1], int(row[2])) for row in rows if len(row) == 3 and row[2].isdigit()]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [Gpu(index, free) for index, _, free in found]
    names = [name.strip() for name in chosen.split(",")]
    return [Gpu(n, free) for n in names for index, uuid, free in found if n in (index, uuid)]


def places(spec: ModelSpec, files: int, wanted: int | None = None) -> list[Mapping[str, str]]:
    """Return the environment of every engine to run; none: one in this process does as well.

    wanted: engines on each GPU, or on the CPU; by default what suits the model's size, the cores,
    the free memory, and the number of files.
    """
    ours = cores()
    if wanted is None and files < FILES_AN_ENGINE:
        return []
    if found := gpus():
        share = max(1, (len(ours) - 2) // len(found))
        each = [wanted or engines_on(spec, gpu, share) for gpu in found]
        most = sum(each) if wanted else max(1, min(sum(each), files // FILES_AN_ENGINE))
        # The first of every GPU come first.
        rounds = range(max(each, default=0))
        order = [gpu for i in rounds for gpu, n in zip(found, each, strict=True) if i < n]
        threads = {"OMP_NUM_THREADS": "1"}  # the readers are threads enough
        return [ALLOCATOR | threads | {"CUDA_VISIBLE_DEVICES": gpu.name} for gpu in order[:most]]
    if has_gpu():  # hidden, or of a kind that nvidia-smi does not list so: vLLM finds its way
        return []
    count = wanted or max(1, min(_on_cpu(spec, len(ours)), files // FILES_AN_ENGINE))
    if count == 1:
        return []
    each_has = max(1, len(ours) // count)
    parts = [ours[i * each_has % len(ours) :][:each_has] for i in range(count)]
    return [
        ALLOCATOR
        | {
            "OMP_NUM_THREADS": str(each_has),
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(str(core) for core in part),
        }
        for part in parts
    ]


def threads_each(count: int) -> int:
    """Return how many threads each of some engines should read and decode with."""
    return max(1, min(4, len(cores()) // max(1, count)))


def engines_on(spec: ModelSpec, gpu: Gpu, cores: int) -> int:
    """Return how many engines a GPU takes that has so many cores to itself."""
    needed = spec.weights_mb + (LANGUAGE if spec.pooling else TWO_TOWERS)
    fitting = int(SHARE * gpu.free) // needed
    return max(1, min(fitting, cores, MOST_LANGUAGE if spec.pooling else cores))


def _on_cpu(spec: ModelSpec, cores: int) -> int:
    if spec.weights_mb > SMALL:
        return 1
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError):
        return 1
    return max(1, min(cores, free // (CPU_PROCESS + 2 * spec.weights_mb)))
