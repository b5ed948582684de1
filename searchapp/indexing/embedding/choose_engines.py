"""Decide whether one engine runs or several, and where: here, at a URL, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from searchapp.catalog import EmbeddedImageLookup, FileTask
    from searchapp.engines import Engine
    from searchapp.indexing.embedding.cluster.driver import Cluster
    from searchapp.indexing.embedding.pipeline import Outcome
    from searchapp.indexing.embedding.replicas import ReplicaPool
    from searchapp.indexing.embedding.worker import EmbeddingJob
    from searchapp.models import ModelSpec
    from searchapp.types import EngineStarting


class EmbeddingSource(Protocol):
    """What embeds the files of a run: one engine in this process, or several in their own."""

    @property
    def ready_at(self) -> float | None:
        """Return when the first engine ran, by time.monotonic."""

    @property
    def file_count_by_node(self) -> Mapping[str, int]:
        """Return how many files were dealt with on each node; nothing on one machine."""

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Return seconds by stage, of all threads and processes together."""

    def run(self, works: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size."""

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Stop at once; return what was embedded and not yielded."""

    def close(self) -> None:
        """Stop, when all is done."""


# Starts several engines for a job: how many files it has, and how many engines each GPU is to
# run. None: one engine in this process does as well.
StartEngines: TypeAlias = "Callable[[EmbeddingJob, int, int | None], EmbeddingSource | None]"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What a user says of engines; the model, the machine and the number of files say the rest.

    start and start_many are what Library.open takes. How many engines each GPU runs is said for
    each index run: IndexOptions.replicas.
    """

    url: str | None = None  # where vLLM serves the model: no engine is started
    api_key: str | None = field(default=None, repr=False)  # for that URL
    cluster: str | None = None  # a Ray cluster, on whose nodes files are embedded
    verbose: bool = False  # show what vLLM prints
    seed: int = 0

    def start(self, spec: ModelSpec) -> Engine:
        """Start one engine, in this process or for the URL; errors: EngineError, ModelError."""
        from searchapp import engines

        return engines.start_engine(
            spec, seed=self.seed, verbose=self.verbose, url=self.url, api_key=self.api_key
        )

    def start_many(
        self, job: EmbeddingJob, files: int, replicas: int | None
    ) -> EmbeddingSource | None:
        """Start what embeds a run's files in other processes; None: use one engine here.

        Errors: EngineError where there is no such cluster, ModelError.
        """
        from searchapp.models import check_trust, hub

        if self.url is not None:
            return None
        check_trust(job.spec)
        arguments = {"verbose": self.verbose}
        if self.cluster is not None:
            return start_cluster(job, self.cluster, replicas, arguments)
        started = start_replicas(job, files, replicas, arguments)
        if started is not None:
            hub.fetch_model(job.spec)  # once, so that the processes do not all download the weights
        return started


class RunningEngine:
    """The engine of this process: started when it is first needed, and when the model changes."""

    def __init__(
        self, start: Callable[[ModelSpec], Engine], start_many: StartEngines | None = None
    ) -> None:
        """Start none yet."""
        self._start, self._start_many = start, start_many
        self.engine: Engine | None = None

    def get(self, spec: ModelSpec) -> Engine:
        """Return the engine of a model; errors: EngineError, ModelError."""
        if self.engine is not None and self.engine.spec != spec:
            self.close()
        if self.engine is None:
            self.engine = self._start(spec)
        return self.engine

    def choose_source(
        self,
        job: EmbeddingJob,
        lookup: Callable[[], EmbeddedImageLookup],
        files: int,
        replicas: int | None,
    ) -> EmbeddingSource:
        """Return what embeds a number of files: several engines, or the one of this process.

        lookup: opens what the collection has, for an engine here. replicas: engines on a GPU.
        """
        from searchapp.indexing.embedding.count_engines import threads_per_engine
        from searchapp.indexing.embedding.pipeline import Pipeline

        if self._start_many is not None and self.engine is None:
            several = self._start_many(job, files, replicas)
            if several is not None:
                return several
        return Pipeline(
            job.spec,
            lambda: self.get(job.spec),
            lookup(),
            max_megapixels=job.max_megapixels,
            threads=threads_per_engine(1),
        )

    def close(self) -> None:
        """Stop the engine."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None


def start_replicas(
    job: EmbeddingJob,
    file_count: int,
    replicas: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ReplicaPool | None:
    """Start several engines on this machine; None where one in this process does as well.

    replicas: how many on each GPU, or on the CPU. arguments: of every engine.
    """
    from searchapp.indexing.embedding.count_engines import plan_processes, threads_per_engine
    from searchapp.indexing.embedding.replicas import ReplicaPool

    environments = plan_processes(job.spec, file_count, replicas)
    if not environments:
        return None
    threads = threads_per_engine(len(environments))
    return ReplicaPool(
        replace(job, threads=threads, arguments={"bulk": True, **(arguments or {})}), environments
    )


def start_cluster(
    job: EmbeddingJob,
    address: str,
    replicas: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    max_engines: int | None = None,
) -> Cluster:
    """Return what embeds files on the nodes of a Ray cluster; EngineError where there is none.

    address: HOST:PORT, auto or local. replicas: engines on each GPU, or on each node without one.
    arguments: of every engine. max_engines: in all.
    """
    from searchapp.indexing.embedding.cluster.driver import Cluster

    job = replace(job, arguments={"bulk": True, **(arguments or {})})
    return Cluster(job, address, replicas, max_engines)
