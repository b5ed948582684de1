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
from searchapp.types import Failure


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """Measured throughput of a Ray cluster with a certain number of engines."""

    engines: int
    nodes: int
    images_per_s: float
    efficiency: float  # rate per engine, relative to the rate per engine of the first row


class FixedTimeEngine:
    """An engine that waits a fixed time per picture and computes nothing.

    It measures the overhead of the cluster without a model.
    """

    def __init__(self, spec: ModelSpec, *, seconds: float, bulk: bool = False) -> None:
        """Make an engine that waits `seconds` for each picture."""
        self._spec, self._seconds_per_picture = spec, seconds
        vector = np.ones(spec.dimensions or 1, np.float32)
        self._vector: Vector = vector / np.linalg.norm(vector)

    @property
    def spec(self) -> ModelSpec:
        """Return the model spec; it sets the number of dimensions of the vectors."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Return the input unchanged."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Return the same vector for every input, after waiting the fixed time for each input."""
        time.sleep(self._seconds_per_picture * len(inputs))
        return [self._vector for _ in inputs]

    def count_tokens(self, prompt: str) -> int:
        """Return the number of words in the prompt, in place of a token count."""
        return len(prompt.split())

    def close(self) -> None:
        """Do nothing: this engine holds no resources."""


@dataclass(frozen=True, slots=True)
class ClusterBenchOptions:
    """Options of measure_cluster."""

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
    """Measure the throughput for each count in options.engine_counts; yield a row for each.

    Errors: EngineError if the cluster has too few resources for all engines, or if an engine
    refuses a picture.
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
    """Return the number of nodes, and the pictures per second since the last engine was ready."""
    cluster = choose_engines.connect_to_cluster(
        job, options.address, options.replicas, engine_arguments, count
    )
    tasks = (FileTask(str(file), 0, 0, None) for file in files)
    done_count = 0
    try:
        for event in cluster.run(tasks, options.batch_size):
            if not isinstance(event, list):
                continue
            for outcome in event:
                if isinstance(outcome.result, Failure):
                    raise EngineError(f"{outcome.result.path}: {outcome.result.message}")
            done_count += len(event)
        ended_at = time.monotonic()
        if (started_count := len(cluster.answered_engines)) < count:
            raise EngineError(
                f"only {started_count} of {count} engines started: the cluster has no "
                "resources for more engines. Add nodes, or measure fewer engines."
            )
        seconds = ended_at - (cluster.ready_at or 0.0)
        return len(cluster.file_count_by_node), done_count / seconds
    finally:
        cluster.close()
