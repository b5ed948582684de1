"""Measure indexing: from files to saved vectors, compared with plain vLLM and plain PyTorch."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from searchapp import engines
from searchapp.bench import indexing_stages, synthetic_photos
from searchapp.bench.indexing_stages import resolve_spec
from searchapp.bench.subprocess_call import call_in_subprocess
from searchapp.bench.utilization import UsageSampler
from searchapp.engines import machine
from searchapp.errors import EngineError, SearchAppError
from searchapp.indexing.embedding import choose_engines
from searchapp.indexing.embedding.choose_engines import EmbeddingSource
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import check_precision, has_gpu
from searchapp.types import (
    DecodeDevice,
    FileFailed,
    IndexOptions,
    ModelOptions,
    Precision,
    RunFinished,
    format_count,
)

MAX_PLAIN_PICTURES = 4096  # the plain call keeps all its decoded pictures in memory


@dataclass(frozen=True, slots=True)
class IndexRow:
    """Measured index run with a number of engines; a value is None if it is not known."""

    engines: int  # on all GPUs together, at the start
    engines_at_end: int
    decode: DecodeDevice
    images_per_s: float
    gpu_decoded: int = 0  # pictures
    first_ready_s: float | None = None  # from the start until one engine is ready
    all_ready_s: float | None = None  # from the start until all engines are ready
    gpu_busy_percent: float | None = None
    cpu_busy_percent: float | None = None
    gpu_memory_mb: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)  # seconds, summed over all engines


@dataclass(slots=True)
class IndexReport:
    """Results of measure_indexing; a value is None if it was not measured.

    The values of the pipeline are those of the first row.
    """

    model: str
    pictures: int
    size: str  # WIDTHxHEIGHT in pixels, or the name of a mix
    plain_images_per_s: float | None = None  # one call of LLM.embed
    pipeline_images_per_s: float | None = None  # searchapp, from files to saved vectors
    ceiling_images_per_s: float | None = None  # the model in plain PyTorch, without decoding
    replicas: int = 1
    batch_size: int | None = None
    first_ready_s: float | None = None  # from the start until one engine is ready
    all_ready_s: float | None = None  # from the start until all engines are ready
    gpu_busy_percent: float | None = None
    cpu_busy_percent: float | None = None
    gpu_memory_mb: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)  # seconds, summed over all engines
    gpu: str | None = None  # name of the first GPU
    cores: int = 0
    rows: list[IndexRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IndexBenchOptions:
    """Options of measure_indexing."""

    model: str
    picture_count: int
    width: int
    height: int
    use_dummy_weights: bool = False
    replica_counts: tuple[int | None, ...] = (None,)  # engines on each GPU; one row for each
    batch_size: int | None = None
    only_pipeline: bool = False
    decodes: tuple[DecodeDevice, ...] = ("auto",)  # one row for each
    mix: str | None = None  # name of MIXES, in place of one size
    precision: Precision | None = None  # of the index run


def measure_indexing(options: IndexBenchOptions) -> Iterator[tuple[str, IndexReport]]:
    """Measure indexing, plain vLLM and plain PyTorch; yield (status text, report so far).

    Raises ModelError before any measurement if this machine cannot compute with the precision.
    """
    check_precision(resolve_spec(options.model, options.use_dummy_weights, options.precision))
    kinds = (
        synthetic_photos.MIXES[options.mix]
        if options.mix is not None
        else (synthetic_photos.PhotoKind(options.width, options.height),)
    )
    size = options.mix or f"{options.width}x{options.height}"
    report = IndexReport(Path(options.model).name, options.picture_count, size)
    report.gpu, report.cores = machine.read_gpu_name(), len(machine.list_cores())
    common = {"model": options.model, "dummy": options.use_dummy_weights}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        yield f"writing {format_count(options.picture_count, 'picture')} ...", report
        synthetic_photos.write_mix(folder, options.picture_count, kinds)
        if not options.only_pipeline:
            yield "embedding with one plain call of LLM.embed ...", report
            report.plain_images_per_s = _measure_plain_call(options, common, folder)
            yield f"{report.plain_images_per_s:,.1f} images/s", report
        for replicas, decode in itertools.product(options.replica_counts, options.decodes):
            yield "running searchapp index, from files to saved vectors ...", report
            library = Path(temporary) / f"library-{len(report.rows)}"
            row = _measure_pipeline(options, folder, library, replicas, decode)
            report.rows.append(row)
            yield f"{row.images_per_s:,.1f} images/s", report
        _copy_first_row(report)
        if not options.only_pipeline:
            yield "running the model in plain PyTorch ...", report
            shape = {"width": options.width, "height": options.height}
            try:
                figures = call_in_subprocess(
                    indexing_stages.measure_pytorch_ceiling, common | shape
                )
                report.ceiling_images_per_s = round(figures["images_per_s"], 1)
            except SearchAppError as error:
                yield f"the model failed in plain PyTorch: {error}", report
    yield "", report


def _measure_plain_call(options: IndexBenchOptions, common: dict[str, Any], folder: Path) -> float:
    if has_gpu():  # on decoded pictures: the comparison that is hardest to beat
        arguments: dict[str, Any] = {
            "pictures": min(options.picture_count, MAX_PLAIN_PICTURES),
            "width": options.width,
            "height": options.height,
        }
        # vLLM's default: the engine runs in its own process, so preparing and running overlap.
        environment = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
        figures = call_in_subprocess(
            indexing_stages.measure_plain_call, common | arguments, environment
        )
    else:
        arguments = {"folder": str(folder), "pictures": MAX_PLAIN_PICTURES}
        figures = call_in_subprocess(
            indexing_stages.measure_plain_call_from_files, common | arguments
        )
    return round(float(figures["images_per_s"]), 1)


def _measure_pipeline(
    options: IndexBenchOptions,
    folder: Path,
    library: Path,
    replicas: int | None,
    decode: DecodeDevice,
) -> IndexRow:
    pools: list[ReplicaPool] = []
    ready_seconds: list[float] = []
    spec = resolve_spec(options.model, options.use_dummy_weights, options.precision)

    def start_many(
        job: EmbeddingJob, files: int, replica_count: int | None
    ) -> EmbeddingSource | None:
        pool = choose_engines.plan_replicas(replace(job, spec=spec), files, replica_count)
        if pool is not None:
            ready_seconds.extend(pool.start_engines())
            pools.append(pool)
        return pool

    def start(_: object) -> engines.Engine:
        return engines.start_engine(spec)

    index_options = IndexOptions(
        options.model,
        ModelOptions(precision=options.precision, trust_remote_code=True),
        replicas=replicas,
        batch_size=options.batch_size,
        decode=decode,
    )
    with (
        UsageSampler() as usage,
        Library.open(library, create=True, start=start, start_many=start_many) as opened,
    ):
        for event in opened.index([folder], index_options):
            if isinstance(event, FileFailed):
                raise EngineError(f"{event.failure.path}: {event.failure.message}")
            if isinstance(event, RunFinished):
                summary = event.summary
        ended_at = time.monotonic()
    pool = pools[0] if pools else None
    if pool is None or pool.ready_at is None:  # one engine here, which starts with a picture
        return IndexRow(1, 1, decode, summary.images_per_second, stages=summary.stages)
    return IndexRow(
        engines=len(ready_seconds),
        engines_at_end=pool.active_count,
        decode=decode,
        images_per_s=round(options.picture_count / (ended_at - pool.ready_at), 1),
        gpu_decoded=pool.gpu_decoded_count,
        first_ready_s=round(min(ready_seconds), 1),
        all_ready_s=round(max(ready_seconds), 1),
        gpu_busy_percent=usage.compute_gpu_percent(pool.ready_at, ended_at),
        cpu_busy_percent=usage.compute_cpu_percent(pool.ready_at, ended_at),
        gpu_memory_mb=usage.peak_gpu_memory_mb or None,
        stages=summary.stages,
    )


def _copy_first_row(report: IndexReport) -> None:
    """Set the values of the pipeline in a report that has its first row."""
    row = report.rows[0]
    report.pipeline_images_per_s, report.replicas = row.images_per_s, row.engines
    report.first_ready_s, report.all_ready_s = row.first_ready_s, row.all_ready_s
    report.gpu_busy_percent, report.cpu_busy_percent = row.gpu_busy_percent, row.cpu_busy_percent
    report.gpu_memory_mb, report.stages = row.gpu_memory_mb, row.stages
