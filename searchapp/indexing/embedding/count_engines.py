"""Decide how many engines run on this machine, each in a process of its own, and where."""

from __future__ import annotations

from collections.abc import Mapping

from searchapp.engines import machine
from searchapp.models import ModelSpec, has_gpu

# MiB that an engine takes beside its weights: the CUDA context, activations, the cache.
TWO_TOWER_MB, LANGUAGE_MODEL_MB = 2000, 12000
GPU_MEMORY_SHARE = 0.9  # of a GPU's free memory, that engines may take together
MAX_LANGUAGE_ENGINES = 4  # on one GPU: a large model keeps it busy with fewer
MAX_WEIGHTS_MB = 700  # a larger model keeps all cores of a CPU busy with one engine
FILES_PER_ENGINE = 500  # with fewer, the start of one more engine costs more than it gains
CPU_PROCESS_MB = 3000
MAX_THREADS = 4  # that read and decode for one engine

# Without these, malloc maps and unmaps the tensors of each picture one by one.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def plan_processes(
    spec: ModelSpec, files: int, replicas: int | None = None
) -> list[Mapping[str, str]]:
    """Return the environment of each process to run; none: one engine in this process does.

    replicas: engines on each GPU, or on the CPU; by default what suits the model's size, the
    cores, the free memory, and the number of files.
    """
    cores = machine.list_cores()
    if replicas is None and files < FILES_PER_ENGINE:
        return []
    if gpus := machine.list_gpus():
        cores_per_gpu = max(1, (len(cores) - 2) // len(gpus))
        counts = [replicas or count_on_gpu(spec, gpu, cores_per_gpu) for gpu in gpus]
        total = sum(counts)
        if replicas is None:
            total = max(1, min(total, files // FILES_PER_ENGINE))
        # Each GPU gets its first engine before any GPU gets its second.
        order = [
            gpu
            for number in range(max(counts))
            for gpu, count in zip(gpus, counts, strict=True)
            if number < count
        ]
        threads = {"OMP_NUM_THREADS": "1"}  # the threads that read pictures keep the cores busy
        return [ALLOCATOR | threads | {"CUDA_VISIBLE_DEVICES": gpu.name} for gpu in order[:total]]
    if has_gpu():  # one that nvidia-smi does not list: vLLM finds it by itself
        return []
    count = replicas or max(1, min(_count_on_cpu(spec, len(cores)), files // FILES_PER_ENGINE))
    if count == 1:
        return []
    share = max(1, len(cores) // count)
    parts = [cores[number * share % len(cores) :][:share] for number in range(count)]
    return [
        ALLOCATOR
        | {
            "OMP_NUM_THREADS": str(share),
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(str(core) for core in part),
        }
        for part in parts
    ]


def threads_per_engine(count: int) -> int:
    """Return how many threads read and decode for each of several engines."""
    return max(1, min(MAX_THREADS, len(machine.list_cores()) // max(1, count)))


def count_on_gpu(spec: ModelSpec, gpu: machine.Gpu, cores: int) -> int:
    """Return how many engines a GPU takes that has a number of cores to itself."""
    needed = spec.weights_mb + (LANGUAGE_MODEL_MB if spec.pooling else TWO_TOWER_MB)
    fitting = int(GPU_MEMORY_SHARE * gpu.free_mib) // needed
    return max(1, min(fitting, cores, MAX_LANGUAGE_ENGINES if spec.pooling else cores))


def _count_on_cpu(spec: ModelSpec, cores: int) -> int:
    free = machine.free_memory_mb()
    if spec.weights_mb > MAX_WEIGHTS_MB or free is None:
        return 1
    return max(1, min(cores, free // (CPU_PROCESS_MB + 2 * spec.weights_mb)))
