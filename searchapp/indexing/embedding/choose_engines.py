"""Decide where files are embedded: in this process, in several processes, or on a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from searchapp.catalog import FileTask
    from searchapp.engines import Engine
    from searchapp.engines.reranker import Reranker
    from searchapp.indexing.embedding.cluster.driver_process import ClusterProcess
    from searchapp.indexing.embedding.outcomes import Outcome
    from searchapp.indexing.embedding.pipeline import StartEvent
    from searchapp.indexing.embedding.replicas import ReplicaPool
    from searchapp.indexing.embedding.worker import EmbeddingJob
    from searchapp.models import ModelSpec

logger = logging.getLogger(__name__)


class EmbeddingSource(Protocol):
    """Embeds the files of an index run: with one engine in this process, or with several."""

    @property
    def ready_at(self) -> float | None:
        """Return the time.monotonic value when the first engine was ready; None before that."""

    @property
    def file_count_by_node(self) -> Mapping[str, int]:
        """Return the number of files embedded on each cluster node; empty without a cluster."""

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Return the seconds that each stage took, summed over all threads and processes."""

    def run(self, tasks: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | StartEvent]:
        """Embed files in batches of `size` pictures; yield the outcomes of each batch.

        EngineStarting is yielded before the first engine starts, and DecodingOnCpu if the GPU
        decodes no more pictures.
        """

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Stop embedding at once; return the outcomes of embedded batches not yielded yet."""

    def close(self) -> None:
        """Stop the threads and processes of this source. Call it when run has embedded all files.

        After an error or Ctrl-C, call stop_and_drain instead.
        """


# Starts several engines. Arguments: the job, its number of files, and the engines for each GPU
# (None: decide). Returns None if one engine in this process is as fast.
StartEngines: TypeAlias = "Callable[[EmbeddingJob, int, int | None], EmbeddingSource | None]"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The user's options for starting engines; pass its `start` and `start_many` to Library.open.

    IndexOptions.replicas sets the number of engines on each GPU. By default, the model, the
    machine and the number of files decide it.
    """

    url: str | None = None  # of a vLLM server, to use instead of an engine here
    api_key: str | None = field(default=None, repr=False)  # for the vLLM server
    cluster: str | None = None  # address of a Ray cluster that embeds the files
    verbose: bool = False  # show what vLLM prints
    seed: int = 0

    def start(self, spec: ModelSpec) -> Engine:
        """Start one engine in this process, or connect to the vLLM server.

        Raises EngineError or ModelError if that fails.
        """
        from searchapp import engines

        return engines.start_engine(
            spec, seed=self.seed, verbose=self.verbose, url=self.url, api_key=self.api_key
        )

    def start_reranker(self, name: str | None) -> Reranker:
        """Start a reranker in this process, or connect to a vLLM server: see start_reranker.py.

        name: a model, or the address of its server; None: the default model. Raises EngineError or
        ModelError if that fails.
        """
        from searchapp.engines import start_reranker

        return start_reranker.start_reranker(
            name, seed=self.seed, verbose=self.verbose, url=self.url, api_key=self.api_key
        )

    def start_many(
        self, job: EmbeddingJob, file_count: int, replicas: int | None
    ) -> EmbeddingSource | None:
        """Return a pool of engine processes, or a connected cluster; None if one engine is enough.

        Raises EngineError if the cluster cannot be used, ModelError if the model cannot be used.
        """
        from searchapp.models import check_precision, check_trust, hub

        if self.url is not None:
            logger.info("Starting no engine process: a vLLM server embeds the pictures")
            return None
        check_trust(job.spec)
        arguments = {"verbose": self.verbose}
        if self.cluster is not None:
            return connect_to_cluster(job, self.cluster, replicas, arguments)
        check_precision(job.spec)
        pool = plan_replicas(job, file_count, replicas, arguments)
        if pool is not None:
            hub.fetch_model(job.spec)  # once here, so that not every process downloads the weights
        return pool


class EngineHolder:
    """Starts the engine of this process at its first use; for another model, replaces it."""

    def __init__(
        self, start: Callable[[ModelSpec], Engine], start_many: StartEngines | None = None
    ) -> None:
        """Store the functions that start engines: see EngineChoice. Start no engine yet."""
        self._start, self._start_many = start, start_many
        self.engine: Engine | None = None

    def get(self, spec: ModelSpec) -> Engine:
        """Return the running engine of a model; start the engine if it does not run yet.

        Raises EngineError or ModelError if the engine does not start.
        """
        if self.engine is not None and self.engine.spec != spec:
            self.close()
        if self.engine is None:
            self.engine = self._start(spec)
        return self.engine

    def choose_source(
        self,
        job: EmbeddingJob,
        file_count: int,
        replicas: int | None,
    ) -> EmbeddingSource:
        """Return the EmbeddingSource of an index run: several engines, or this process's engine.

        If this process's engine runs already, only this engine is used, because several engines
        would load the weights again. replicas: engines on each GPU, or on the CPU; None: choose it.
        """
        from searchapp.indexing.embedding.count_engines import count_threads_per_engine
        from searchapp.indexing.embedding.pipeline import Pipeline

        if self._start_many is not None and self.engine is None:
            source = self._start_many(job, file_count, replicas)
            if source is not None:
                return source
        logger.debug("Embedding %d files in this process", file_count)
        return Pipeline(
            job.spec,
            lambda: self.get(job.spec),
            job.open_lookup(),
            max_megapixels=job.max_megapixels,
            threads=count_threads_per_engine(1),
            start_jpeg_decoder=job.start_jpeg_decoder,
        )

    def close(self) -> None:
        """Stop the engine of this process if it runs."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None


def plan_replicas(
    job: EmbeddingJob,
    file_count: int,
    replicas: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ReplicaPool | None:
    """Return a pool of engine processes, not started yet; None if one engine is as fast.

    replicas: engines on each GPU, or on the CPU; None: choose it. arguments: passed to every
    engine.
    """
    from searchapp.engines.gpu_jpeg import may_decode_jpegs
    from searchapp.indexing.embedding.count_engines import (
        count_gpus,
        count_threads_per_engine,
        plan_processes,
        plan_scaling,
    )
    from searchapp.indexing.embedding.replicas import ReplicaPool

    environments = plan_processes(job.spec, file_count, replicas)
    if not environments:
        return None
    decodes_on_gpu = count_gpus(environments) > 0 and may_decode_jpegs(job.spec, job.decode)
    scaler = (
        plan_scaling(environments, file_count, decodes_on_gpu=decodes_on_gpu)
        if replicas is None
        else None
    )
    threads = count_threads_per_engine(
        scaler.count if scaler else len(environments), decodes_on_gpu=decodes_on_gpu
    )
    return ReplicaPool(
        replace(job, threads=threads, arguments={"bulk": True, **(arguments or {})}),
        environments,
        scaler=scaler,
    )


def connect_to_cluster(
    job: EmbeddingJob,
    address: str,
    replicas: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    max_engines: int | None = None,
) -> ClusterProcess:
    """Connect to a Ray cluster; raises EngineError if the cluster cannot be used.

    address: HOST:PORT, "auto" or "local". replicas: engines on each GPU, or on each node without
    a GPU. arguments: passed to every engine. max_engines: limit for all engines of the cluster.
    """
    from searchapp.indexing.embedding.cluster.driver_process import ClusterProcess

    job = replace(job, arguments={"bulk": True, **(arguments or {})})
    return ClusterProcess(job, address, replicas, max_engines)
