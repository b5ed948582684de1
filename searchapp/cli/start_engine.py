"""The engine of a single command: it says that it starts, and ends with the process.

A query that the resident process answers needs no engine, so heavy imports are inside functions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.cli.shared_options import note, shown

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.indexing.embedding.choose_engines import Source, StartMany
    from searchapp.indexing.embedding.worker import Job
    from searchapp.models import ModelSpec


def starter(
    verbose: bool,
    *,
    seed: int = 0,
    tell: bool = True,
    url: str | None = None,
    api_key: str | None = None,
) -> Callable[[ModelSpec], Engine]:
    """Return what a library starts its engine with; tell: say so, which index does by itself."""

    def start(spec: ModelSpec) -> Engine:
        from searchapp import engines
        from searchapp.engines.unclosed import UnclosedEngine
        from searchapp.models import check_trust

        check_trust(spec)
        if tell and url is None:
            note(f"starting vLLM with {shown(Path(spec.name).name)} ...")
        engine = engines.start_engine(spec, seed=seed, verbose=verbose, url=url, api_key=api_key)
        return engine if url else UnclosedEngine(engine)  # freeing a model takes seconds

    return start


def starter_of_many(
    verbose: bool, *, url: str | None = None, cluster: str | None = None
) -> StartMany | None:
    """Return what a library starts several engines with: on a Ray cluster, or on this machine.

    None: the engine at a URL embeds all.
    """

    def start_here(job: Job, files: int, wanted: int | None) -> Source | None:
        from searchapp.indexing.embedding.choose_engines import start_replicas
        from searchapp.models import check_trust, hub

        check_trust(job.spec)
        replicas = start_replicas(job, files, wanted, {"verbose": verbose})
        if replicas is not None:
            hub.fetch(job.spec)  # once for all of them, and with its progress shown
        return replicas

    def start_on_cluster(job: Job, files: int, wanted: int | None) -> Source | None:
        from searchapp.indexing.embedding.choose_engines import start_cluster
        from searchapp.models import check_trust

        assert cluster is not None
        check_trust(job.spec)
        return start_cluster(job, cluster, wanted, {"verbose": verbose})

    if url is not None:
        return None
    return start_here if cluster is None else start_on_cluster
