"""How the rate grows with the engines of a Ray cluster, on made pictures."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchapp.bench import synthetic_photos
from searchapp.bench.indexing_stages import resolve_spec
from searchapp.catalog import FileTask
from searchapp.engines import EngineInput, Refusal, Vector
from searchapp.errors import EngineError
from searchapp.indexing.embedding import choose_engines
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.models import ModelSpec
from searchapp.types import EngineStarting, Failure


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """What so many engines reach together, once all of them run."""

    engines: int
    nodes: int
    images_per_s: float
    efficiency: float  # of so many times the first row's rate an engine


class FixedTimeEngine:
    """An engine that takes the same time for every picture, and computes nothing."""

    def __init__(self, spec: ModelSpec, *, seconds: float, bulk: bool = False) -> None:
        """Take so many seconds for a picture."""
        self._spec, self._seconds_per_picture = spec, seconds
        vector = np.ones(spec.dimensions or 1, np.float32)
        self._vector: Vector = vector / np.linalg.norm(vector)

    @property
    def spec(self) -> ModelSpec:
        """Return the model that it stands for."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Return an input as it is."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Return the same vector for every input, when their time is over."""
        time.sleep(self._seconds_per_picture * len(inputs))
        return [self._vector for _ in inputs]

    def count_tokens(self, prompt: str) -> int:
        """Count words."""
        return len(prompt.split())

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class ClusterBenchOptions:
    """What to measure."""

    model: str
    pictures_per_engine: int  # pictures for each engine
    width: int
    height: int
    address: str
    engine_counts: tuple[int, ...]  # one row for each
    replicas: int | None  # on each GPU, or on each node without one
    batch_size: int
    use_dummy_weights: bool = False
    ms_per_picture: float | None = None  # a picture, in an engine that computes nothing


def measure_cluster(options: ClusterBenchOptions) -> Iterator[ClusterRow]:
    """Measure with few engines first; yield a row for each number of them.

    Errors: EngineError where the cluster has no room for so many, or a picture is refused.
    """
    job = EmbeddingJob(resolve_spec(options.model, options.use_dummy_weights), starts_early=True)
    arguments = {}
    if options.ms_per_picture is not None:
        arguments = {"seconds": options.ms_per_picture / 1000}
        job = replace(job, engine=f"{FixedTimeEngine.__module__}:{FixedTimeEngine.__name__}")
    first: ClusterRow | None = None
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        max_pictures = options.pictures_per_engine * max(options.engine_counts)
        synthetic_photos.write_photos(Path(temporary), max_pictures, options.width, options.height)
        files = sorted(Path(temporary).rglob("*.jpg"))
        for count in options.engine_counts:
            batch_files = files[: options.pictures_per_engine * count]
            nodes, rate = _measure_rate(options, job, arguments, count, batch_files)
            rate_per_engine = first.images_per_s / first.engines if first else rate / count
            row = ClusterRow(
                count, nodes, round(rate, 1), round(rate / (rate_per_engine * count), 3)
            )
            first = first or row
            yield row


def _measure_rate(
    options: ClusterBenchOptions,
    job: EmbeddingJob,
    arguments: dict[str, float],
    count: int,
    files: list[Path],
) -> tuple[int, float]:
    """Return how many nodes took part, and pictures a second from when all engines ran."""
    cluster = choose_engines.start_cluster(job, options.address, options.replicas, arguments, count)
    works = (FileTask(str(file), 0, 0, None) for file in files)
    done = 0
    try:
        for event in cluster.run(works, options.batch_size):
            if isinstance(event, EngineStarting):
                continue
            for outcome in event:
                if isinstance(outcome.result, Failure):
                    raise EngineError(f"{outcome.result.path}: {outcome.result.message}")
            done += len(event)
        now = time.monotonic()
        if len(cluster.answered_engines) < count:
            raise EngineError(
                f"{len(cluster.answered_engines)} of {count} engines took part: the cluster has no room "
                "for more"
            )
        return len(cluster.file_count_by_node), done / (now - (cluster.ready_at or 0.0))
    finally:
        cluster.close()
