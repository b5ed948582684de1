"""Start a reranker with vLLM in this process, or connect to one on a vLLM server."""

from __future__ import annotations

import logging
import threading

from searchapp.engines import machine
from searchapp.engines.reranker import Reranker
from searchapp.errors import EngineError
from searchapp.models import ModelSpec, has_gpu
from searchapp.models.qwen3_vl_reranker import DEFAULT_RERANKER, resolve_reranker

logger = logging.getLogger(__name__)

# MiB that a reranker needs in addition to its weights: cache and activations of two pictures.
GPU_MIB, CPU_MIB = 4000, 2000
# Closing an engine of vLLM breaks the other engines of the process, which must restart then. So a
# reranker lives until the process ends. Key: source and revision.
_local_rerankers: dict[tuple[str, str], Reranker] = {}
_start_lock = threading.Lock()


def start_reranker(
    name: str | None = None,
    *,
    seed: int = 0,
    verbose: bool = False,
    url: str | None = None,
    api_key: str | None = None,
) -> Reranker:
    """Start a reranker in this process, or connect to a vLLM server that runs one.

    name: a known name, a folder, or the address of a server that runs any reranker; None: the
    default reranker. url: the address of the server that must run the named reranker.
    Raises ModelError or EngineError if the reranker cannot be started or reached.
    """
    if name is not None and name.startswith(("http://", "https://")):
        from searchapp.engines.remote_reranker import RemoteReranker

        return RemoteReranker(resolve_reranker(DEFAULT_RERANKER), name, api_key=api_key)
    spec = resolve_reranker(name or DEFAULT_RERANKER)
    if url is not None:
        from searchapp.engines.remote_reranker import RemoteReranker

        return RemoteReranker(spec, url, api_key=api_key, must_serve_spec=True)
    with _start_lock:
        key = (spec.source, spec.revision)
        if key not in _local_rerankers:
            check_memory(spec)
            from searchapp.engines.local_reranker import LocalReranker

            _local_rerankers[key] = LocalReranker(spec, seed=seed, verbose=verbose)
        return _local_rerankers[key]


def check_memory(spec: ModelSpec) -> None:
    """Raise EngineError if a reranker does not fit into the free memory, beside other models."""
    if gpus := machine.list_gpus():
        needed_mib, free_mib, kind = spec.weights_mib + GPU_MIB, gpus[0].free_mib, "GPU memory"
    elif has_gpu():
        return  # nvidia-smi does not tell the free memory.
    else:
        known_mib = machine.read_free_memory_mib()
        if known_mib is None:
            return
        needed_mib, free_mib, kind = spec.weights_mib + CPU_MIB, known_mib, "memory"
    logger.info("The reranker %s needs about %d MiB of %s; %d MiB are free.",
                spec.name, needed_mib, kind, free_mib)  # fmt: skip
    if needed_mib > free_mib:
        raise EngineError(
            f"the reranker {spec.name} needs about {needed_mib:,} MiB of {kind}, and "
            f"{free_mib:,} MiB are free. Use a smaller --reranker or a smaller model for the "
            "library, or run the reranker on another machine: --reranker URL"
        )
