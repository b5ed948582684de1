"""Measure how throughput scales with the number of engines in a Ray cluster."""

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
    """Throughput of a number of engines, measured when all of them run."""

    engines: int
    nodes: int
    images_per_s: float
    efficiency: float  # rate per engine, relative to the rate per engine of the first row


class FixedTimeEngine:
    """An engine that waits a fixed time per picture and computes nothing.

    It measures the overhead of the cluster without a model.
    """

    def __init__(self, spec: ModelSpec, *, seconds: float, bulk: bool = False) -> None:
        """seconds: time per picture."""
        self._spec, self._seconds_per_picture = spec, seconds
        vector = np.ones(spec.dimensions or 1, np.float32)
        self._vector: Vector = vector / np.linalg.norm(vector)

    @property
    def spec(self) -> ModelSpec:
        """Return the model spec, whose dimensions the vectors have."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Return the input unchanged."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Return the same vector for every input, after the fixed time for each."""
        time.sleep(self._seconds_per_picture * len(inputs))
        return [self._vector for _ in inputs]

    def count_tokens(self, prompt: str) -> int:
        """Return the number of words."""
        return len(prompt.split())

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class ClusterBenchOptions:
    """What to measure."""

    model: str
    pictures_per_engine: int
    width: int  # of pictures, in pixels
    height: int
    address: str  # of the Ray cluster
    engine_counts: tuple[int, ...]  # one row for each
    replicas: int | None  # engines per GPU, or per node without a GPU
    batch_size: int
    use_dummy_weights: bool = False
    ms_per_picture: float | None = None  # use FixedTimeEngine with this time, not the model


def measure_cluster(options: ClusterBenchOptions) -> Iterator[ClusterRow]:
    """Measure each number of engines in engine_counts, and yield its row.

    Errors: EngineError if the cluster has no room for all engines, or refuses a picture.
    """
    job = EmbeddingJob(resolve_spec(options.model, options.use_dummy_weights), starts_early=True)
    engine_arguments = {}
    if options.ms_per_picture is not None:
        engine_arguments = {"seconds": options.ms_per_picture / 1000}
        job = replace(job, engine=f"{FixedTimeEngine.__module__}:{FixedTimeEngine.__name__}")
    first: ClusterRow | None = None
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        max_pictures = options.pictures_per_engine * max(options.engine_counts)
        synthetic_photos.write_photos(Path(temporary), max_pictures, options.width, options.height)
        files = sorted(Path(temporary).rglob("*.jpg"))
        for count in options.engine_counts:
            batch_files = files[: options.pictures_per_engine * count]
            nodes, rate = _measure_rate(options, job, engine_arguments, count, batch_files)
            rate_per_engine = first.images_per_s / first.engines if first else rate / count
            row = ClusterRow(
                count, nodes, round(rate, 1), round(rate / (rate_per_engine * count), 3)
            )
            first = first or row
            yield row


def _measure_rate(
    options: ClusterBenchOptions,
    job: EmbeddingJob,
    engine_arguments: dict[str, float],
    count: int,
    files: list[Path],
) -> tuple[int, float]:
    """Return the number of nodes, and pictures per second from when all engines ran."""
    cluster = choose_engines.start_cluster(
        job, options.address, options.replicas, engine_arguments, count
    )
    tasks = (FileTask(str(file), 0, 0, None) for file in files)
    done_count = 0
    try:
        for event in cluster.run(tasks, options.batch_size):
            if isinstance(event, EngineStarting):
                continue
            for outcome in event:
                if isinstance(outcome.result, Failure):
                    raise EngineError(f"{outcome.result.path}: {outcome.result.message}")
            done_count += len(event)
        ended_at = time.monotonic()
        if (started_count := len(cluster.answered_engines)) < count:
            raise EngineError(
                f"only {started_count} of {count} engines started: the cluster has no room for "
                "more. Add nodes, or measure fewer engines."
            )
        seconds = ended_at - (cluster.ready_at or 0.0)
        return len(cluster.file_count_by_node), done_count / seconds
    finally:
        cluster.close()
