"""Set up vLLM for this process: environment variables, arguments, and a faster start."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from searchapp.models import ModelSpec, has_gpu

# Run the model in this process, and send no statistics.
VLLM_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# Print no log lines and no progress bars.
QUIET_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
}
CUDA_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC of CUDA's driver API
# Inputs that the model runs on at once: more need more memory, and are hardly faster.
MAX_CONCURRENT_INPUTS = 128
# vLLM rounds the weights when it loads them, with a scale for each output channel. It rounds the
# inputs of each layer with a scale for each token. https://docs.vllm.ai/en/stable/features/quantization/
QUANTIZATION_BY_PRECISION = {"fp8": "fp8_per_channel"}
SMALL_CACHE_MIB, LARGE_CACHE_MIB, BULK_CACHE_MIB = 256, 2048, 6144
CPU_CACHE_MIB = 1024  # of a language model


def set_environment_defaults(variables: Mapping[str, str]) -> None:
    """Set environment variables, except those that the user has set.

    vLLM and the libraries below it read them when they are imported.
    """
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def make_device_arguments(spec: ModelSpec, bulk: bool) -> dict[str, Any]:
    """Return vLLM's arguments for this machine's GPU, or for its CPU if it has no GPU.

    bulk: reserve more GPU memory, for full batches of long prompts.
    """
    return _make_gpu_arguments(spec, bulk) if has_gpu() else _make_cpu_arguments(spec)


def _make_gpu_arguments(spec: ModelSpec, bulk: bool) -> dict[str, Any]:
    """Return arguments that limit vLLM to the GPU memory that the model needs.

    By default, vLLM takes nearly all memory. Two-tower models hardly need vLLM's cache. Language
    models need the cache for their longest prompt, which takes at most 1.6 GB.
    """
    large_cache_mib = BULK_CACHE_MIB if bulk else LARGE_CACHE_MIB
    return {
        "kv_cache_memory_bytes": (large_cache_mib if spec.pooling else SMALL_CACHE_MIB) << 20,
        # vLLM checks that this share is free when it starts. With a fixed cache size, the share
        # has no other effect.
        "gpu_memory_utilization": 0.01,
        "max_num_seqs": MAX_CONCURRENT_INPUTS,
        "enforce_eager": True,  # Compiling takes a minute, and full batches gain nothing from it.
        # By default, vLLM computes a model in float16 if its weights are float32, or if the GPU
        # lacks bfloat16.
        **({} if spec.float16 else {"dtype": "bfloat16"}),
        **({"quantization": QUANTIZATION_BY_PRECISION[spec.precision]} if spec.precision else {}),
    }


def _make_cpu_arguments(spec: ModelSpec) -> dict[str, Any]:
    """Return arguments with the number format that this CPU computes fastest, except float16.

    By default, vLLM takes nearly all memory, and fills it with zeros when it starts. It prefers the
    size in VLLM_CPU_KVCACHE_SPACE (GiB), if a user sets that variable.
    bfloat16 changes a vector's direction by approximately 1e-5 (cosine distance).
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    return {
        "kv_cache_memory_bytes": (CPU_CACHE_MIB if spec.pooling else SMALL_CACHE_MIB) << 20,
        "enforce_eager": True,
        "dtype": "bfloat16" if "bf16" in flags else "float32",
    }


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector in a `with` block that imports large libraries.

    Imports create a million objects, which all stay in memory. Scanning them repeatedly takes a
    quarter of the time that a small model needs to start.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    except BaseException:
        gc.unfreeze()
        raise
    finally:
        if enabled:
            gc.enable()


@contextmanager
def hide_ray() -> Iterator[None]:
    """Keep vLLM from importing Ray in a `with` block, unless Ray is imported already.

    vLLM imports Ray if it is installed, which adds 200 modules to each start. Only engines on
    several machines need it; searchapp runs one engine in each process.
    """
    if "ray" in sys.modules:
        yield
        return
    # With None, `import ray` raises ImportError (https://docs.python.org/3/reference/import.html).
    sys.modules["ray"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop("ray", None)


def reuse_transformers_scan() -> None:
    """Make transformers scan its 500 folders of models once, not twice.

    It scans them when it is imported, and again when its package of models is imported, because
    it names the same folder in two ways.
    """
    from transformers.utils import import_utils

    scan: Any = getattr(import_utils, "create_import_structure_from_path", None)
    if not hasattr(scan, "cache_info"):
        return  # another version of transformers

    def scan_once(path: str | Path) -> Any:
        folder = Path(path)
        return scan(folder if folder.is_dir() else folder.parent)

    import_utils.create_import_structure_from_path = scan_once


def enable_blocking_cuda_sync() -> None:
    """Make CUDA wait without using a core, because several engines need the cores to decode.

    Call this function before any other use of CUDA. If the setting fails, CUDA keeps its default:
    it uses a core while it waits.
    """
    with suppress(OSError, AttributeError):
        cuda, device = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        cuda.cuInit(0)
        cuda.cuDeviceGet(ctypes.byref(device), 0)
        cuda.cuDevicePrimaryCtxSetFlags_v2(device, CUDA_BLOCKING_SYNC)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory is exhausted, on the CPU or the GPU.

    torch has no common exception type for it, so that the message is compared, too.
    """
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in message for words in ("out of memory", "can't allocate memory")
    )
