"""Decide how many engine processes run on this machine, and on which GPUs or cores."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import ceil

from searchapp.engines import machine
from searchapp.indexing.embedding.scaling import EngineScaler
from searchapp.models import ModelSpec, has_gpu

logger = logging.getLogger(__name__)

# MiB that an engine needs in addition to its weights: CUDA context, cache, and the activations of a
# batch. Those of a two-tower model grow with the patches of a picture, so with its pixels.
TWO_TOWER_MIB, TWO_TOWER_BATCH_MIB, TWO_TOWER_PIXELS = 1200, 1600, 224**2
LANGUAGE_MODEL_MIB = 12000
GPU_MEMORY_SHARE = 0.9  # of a GPU's free memory, available to all engines together
MAX_LANGUAGE_ENGINES = 8  # on one GPU: each engine starts slowly, and holds all weights
# A run starts with one engine for so many cores; its reader threads use them. On an H200 with 16
# cores, 4, 6 and 8 engines of a two-tower model were equally fast, and 4 started soonest. If the
# GPU decodes JPEGs, 4 engines reached 1,058 pictures/s, 6 reached 1,122 and 8 reached 1,134.
CORES_PER_ENGINE, CORES_PER_DECODING_ENGINE = 4, 2
MAX_WEIGHTS_MIB = 700  # One engine of a larger model keeps all cores of a CPU busy.
FILES_PER_ENGINE = 500  # With fewer files, starting one more engine takes longer than it saves.
CPU_PROCESS_MIB = 3000  # MiB that an engine process on the CPU needs in addition to its weights
BUSY_GPU_PERCENT = 97
MAX_THREADS = 4  # reader threads of one engine

# By default, malloc maps and unmaps the tensors of each picture separately, which is slow.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def plan_processes(
    spec: ModelSpec, file_count: int, replicas: int | None = None
) -> list[Mapping[str, str]]:
    """Return the environment variables of each engine process; empty if one engine is enough.

    replicas: engines on each GPU, or on the CPU; None: as many as the model's size, the cores,
    the free memory and the number of files allow.
    """
    cores = machine.list_cores()
    if replicas is None and file_count < FILES_PER_ENGINE:
        logger.info("Using one engine: %d files are too few for several engines", file_count)
        return []
    if gpus := machine.list_gpus():
        return _plan_on_gpus(spec, gpus, len(cores), file_count, replicas)
    if has_gpu():
        logger.info("Using one engine: nvidia-smi lists no GPU, but vLLM finds a GPU")
        return []
    count = replicas or max(
        1, min(_count_engines_on_cpu(spec, len(cores)), file_count // FILES_PER_ENGINE)
    )
    if count == 1:
        logger.info(
            "Using one engine: the CPU has %d cores, and the model has %d MiB of weights",
            len(cores), spec.weights_mib,
        )  # fmt: skip
        return []
    logger.info("Using %d engines on the CPU for %d files", count, file_count)
    cores_per_engine = max(1, len(cores) // count)
    core_groups = [
        cores[number * cores_per_engine % len(cores) :][:cores_per_engine]
        for number in range(count)
    ]
    return [
        ALLOCATOR
        | {
            "OMP_NUM_THREADS": str(cores_per_engine),
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(str(core) for core in core_group),
        }
        for core_group in core_groups
    ]


def _plan_on_gpus(
    spec: ModelSpec, gpus: list[machine.Gpu], core_count: int, file_count: int, replicas: int | None
) -> list[Mapping[str, str]]:
    """Return the environment variables of each engine process on the GPUs.

    Every GPU gets one engine before any GPU gets a second engine.
    """
    cores_per_gpu = max(1, (core_count - 2) // len(gpus))
    counts = [replicas or count_engines_on_gpu(spec, gpu, cores_per_gpu) for gpu in gpus]
    total = sum(counts)
    if replicas is None:
        total = max(1, min(total, file_count // FILES_PER_ENGINE))
    order = [
        gpu
        for number in range(max(counts))
        for gpu, count in zip(gpus, counts, strict=True)
        if number < count
    ]
    logger.info("Using %d engines on %d GPUs for %d files", total, len(gpus), file_count)
    for gpu, count in zip(gpus, counts, strict=True):
        logger.debug(
            "GPU %s has %d MiB of free memory; maximum number of engines: %d",
            gpu.name,
            gpu.free_mib,
            count,
        )
    threads = {"OMP_NUM_THREADS": "1"}  # The reader threads use the other cores.
    return [ALLOCATOR | threads | {"CUDA_VISIBLE_DEVICES": gpu.name} for gpu in order[:total]]


def plan_scaling(
    environments: Sequence[Mapping[str, str]], file_count: int, *, decodes_on_gpu: bool
) -> EngineScaler | None:
    """Return the scaler of the engines on GPUs; None if their number should not change.

    environments: from plan_processes, for the maximum number of engines. On a CPU, each engine has
    its own cores, so that the cores limit their number. decodes_on_gpu: see count_first_engines.
    """
    gpu_count = count_gpus(environments)
    if not gpu_count or len(environments) < 2:
        return None
    first = count_first_engines(len(machine.list_cores()), decodes_on_gpu=decodes_on_gpu)
    start = max(gpu_count, min(len(environments), first))
    return EngineScaler(start, len(environments), file_count, is_gpu_busy)


def count_gpus(environments: Sequence[Mapping[str, str]]) -> int:
    """Return the number of GPUs that engine processes use. environments: from plan_processes."""
    return len({each.get("CUDA_VISIBLE_DEVICES") for each in environments} - {None})


def count_first_engines(cores: int, *, decodes_on_gpu: bool) -> int:
    """Return the number of engines to start with on GPUs.

    cores: for all of them. decodes_on_gpu: whether the GPUs decode JPEGs, too.
    """
    return max(1, cores // (CORES_PER_DECODING_ENGINE if decodes_on_gpu else CORES_PER_ENGINE))


def is_gpu_busy() -> bool:
    """Return whether the GPUs are so busy that another engine cannot be faster."""
    percent = machine.read_gpu_busy_percent()
    return percent is not None and percent >= BUSY_GPU_PERCENT


def count_threads_per_engine(engine_count: int, *, decodes_on_gpu: bool = False) -> int:
    """Return the number of reader threads for each engine, if engines share this machine."""
    return count_threads(len(machine.list_cores()) / max(1, engine_count), decodes_on_gpu)


def count_threads(cores: float, decodes_on_gpu: bool) -> int:
    """Return the number of reader threads of an engine that has some cores for itself.

    It is rounded up: with ten engines on 16 cores, one thread each left two fifths of the cores
    idle. If the GPU decodes JPEGs, there is one more: with it, and with more pictures that wait
    for the GPU, 8 engines on 16 cores embedded 1,134 pictures/s, and 1,053 before.
    """
    return min(MAX_THREADS, max(1, ceil(cores)) + decodes_on_gpu)


def count_engines_on_gpu(spec: ModelSpec, gpu: machine.Gpu, cores: int) -> int:
    """Return how many engines of a model fit on a GPU. cores: CPU cores for these engines."""
    if spec.pooling:
        more_mib = LANGUAGE_MODEL_MIB
    else:
        pixels = max(spec.image.side**2, spec.image.max_pixels)
        more_mib = TWO_TOWER_MIB + TWO_TOWER_BATCH_MIB * pixels // TWO_TOWER_PIXELS
    fitting = int(GPU_MEMORY_SHARE * gpu.free_mib) // (spec.weights_mib + more_mib)
    return max(1, min(fitting, cores, MAX_LANGUAGE_ENGINES if spec.pooling else cores))


def _count_engines_on_cpu(spec: ModelSpec, cores: int) -> int:
    free_mib = machine.read_free_memory_mib()
    if spec.weights_mib > MAX_WEIGHTS_MIB or free_mib is None:
        return 1
    return max(1, min(cores, free_mib // (CPU_PROCESS_MIB + 2 * spec.weights_mib)))
