"""Who runs the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from searchapp.engines.base import Engine, Refusal, Vector, embed_apart
from searchapp.models import EngineInput, ModelSpec

if TYPE_CHECKING:
    from searchapp.engines.cluster import Cluster
    from searchapp.engines.replicas import Replicas
    from searchapp.engines.worker import Job

__all__ = [
    "Engine", "EngineInput", "Refusal", "Vector", "embed_apart", "start_cluster",
    "start_engine", "start_replicas",
]  # fmt: skip


def start_engine(
    spec: ModelSpec,
    *,
    seed: int = 0,
    verbose: bool = False,
    url: str | None = None,
    api_key: str | None = None,
) -> Engine:
    """Start the engine for a model: in this process, or at a URL where vLLM serves it.

    Errors: EngineError or ModelError where that fails.
    """
    if url is not None:
        from searchapp.engines.remote import RemoteEngine

        return RemoteEngine(spec, url, api_key=api_key)
    from searchapp.engines.local import LocalEngine

    return LocalEngine(spec, seed=seed, verbose=verbose)


def start_replicas(
    job: Job, files: int, wanted: int | None = None, arguments: Mapping[str, Any] | None = None
) -> Replicas | None:
    """Start several engines for so many files; None where one in this process does as well.

    wanted: how many on each GPU, or on the CPU. arguments: of every engine.
    """
    from searchapp.engines import machine
    from searchapp.engines.replicas import Replicas

    places = machine.places(job.spec, files, wanted)
    if not places:
        return None
    threads = machine.threads_each(len(places))
    return Replicas(
        replace(job, threads=threads, arguments={"bulk": True, **(arguments or {})}), places
    )


def start_cluster(
    job: Job,
    address: str,
    wanted: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> Cluster:
    """Return what embeds files on the nodes of a Ray cluster; EngineError where there is none.

    address: HOST:PORT, auto or local. wanted: engines on each GPU, or on each node without one.
    arguments: of every engine. most: engines in all.
    """
    from searchapp.engines.cluster import Cluster

    job = replace(job, arguments={"bulk": True, **(arguments or {})})
    return Cluster(job, address, wanted, most)
