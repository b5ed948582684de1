"""The engine that runs in this process, if one does, and what embeds the files of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from searchapp.catalog import Lookup, Work
from searchapp.engines.base import Engine
from searchapp.models import ModelSpec
from searchapp.types import EngineStarting

if TYPE_CHECKING:
    from searchapp.indexing.embedding.cluster.driver import Cluster
    from searchapp.indexing.embedding.pipeline import Outcome
    from searchapp.indexing.embedding.replicas import Replicas
    from searchapp.indexing.embedding.worker import Job


class Source(Protocol):
    """What embeds the files of a run: one engine in this process, or several in their own."""

    @property
    def ready_at(self) -> float | None:
        """Return when the first engine ran, by time.monotonic."""

    @property
    def nodes(self) -> Mapping[str, int]:
        """Return how many files were dealt with on each node; nothing on one machine."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Return seconds by stage, of all threads and processes together."""

    def run(self, works: Iterable[Work], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size."""

    def leave(self) -> Iterable[list[Outcome]]:
        """Stop at once; return what was embedded and not yielded."""

    def close(self) -> None:
        """Stop, when all is done."""


# Starts engines for a job of so many files, so many on a GPU; None where one in this process does.
StartMany: TypeAlias = "Callable[[Job, int, int | None], Source | None]"


class Running:
    """Starts an engine when the first is needed, and another where the model changes."""

    def __init__(
        self, start: Callable[[ModelSpec], Engine], start_many: StartMany | None = None
    ) -> None:
        """Start none yet."""
        self._start, self._start_many = start, start_many
        self.engine: Engine | None = None

    def of(self, spec: ModelSpec) -> Engine:
        """Return the engine of a model; errors: EngineError, ModelError."""
        if self.engine is not None and self.engine.spec != spec:
            self.close()
        if self.engine is None:
            self.engine = self._start(spec)
        return self.engine

    def source(
        self, job: Job, lookup: Callable[[], Lookup], files: int, replicas: int | None
    ) -> Source:
        """Return what embeds so many files: many engines, or the one of this process.

        lookup: what opens what the collection has, for an engine here. replicas: engines on a GPU.
        """
        from searchapp.engines import machine
        from searchapp.indexing.embedding.pipeline import Pipeline

        if self._start_many is not None and self.engine is None:
            many = self._start_many(job, files, replicas)
            if many is not None:
                return many
        return Pipeline(
            job.spec,
            lambda: self.of(job.spec),
            lookup(),
            max_megapixels=job.max_megapixels,
            threads=machine.threads_each(1),
        )

    def close(self) -> None:
        """Stop the engine."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None


def start_replicas(
    job: Job, files: int, wanted: int | None = None, arguments: Mapping[str, Any] | None = None
) -> Replicas | None:
    """Start several engines for so many files; None where one in this process does as well.

    wanted: how many on each GPU, or on the CPU. arguments: of every engine.
    """
    from searchapp.engines import machine
    from searchapp.indexing.embedding.replicas import Replicas

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
    from searchapp.indexing.embedding.cluster.driver import Cluster

    job = replace(job, arguments={"bulk": True, **(arguments or {})})
    return Cluster(job, address, wanted, most)
