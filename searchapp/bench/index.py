"""Measure indexing: from files to saved vectors, compared with plain vLLM and plain PyTorch."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchapp import engines
from searchapp.bench import indexing_stages, synthetic_photos
from searchapp.bench.indexing_stages import resolve_spec
from searchapp.bench.subprocess_call import call_in_subprocess
from searchapp.bench.utilization import UsageSampler
from searchapp.errors import EngineError, SearchAppError
from searchapp.indexing.embedding import choose_engines
from searchapp.indexing.embedding.choose_engines import EmbeddingSource
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import has_gpu
from searchapp.types import FileFailed, IndexOptions, ModelOptions, RunFinished, format_count

MAX_PLAIN_PICTURES = 4096  # the plain call keeps all its decoded pictures in memory


@dataclass(slots=True)
class IndexReport:
    """Results of measure_indexing; a value is None if it was not measured."""

    model: str
    pictures: int
    size: str  # WIDTHxHEIGHT in pixels
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


@dataclass(frozen=True, slots=True)
class IndexBenchOptions:
    """Options of measure_indexing."""

    model: str
    picture_count: int
    width: int
    height: int
    use_dummy_weights: bool = False
    replicas: int | None = None
    batch_size: int | None = None
    only_pipeline: bool = False


def measure_indexing(options: IndexBenchOptions) -> Iterator[tuple[str, IndexReport]]:
    """Measure indexing, plain vLLM and plain PyTorch; yield (status text, report so far)."""
    size = f"{options.width}x{options.height}"
    report = IndexReport(Path(options.model).name, options.picture_count, size)
    common = {"model": options.model, "dummy": options.use_dummy_weights}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        yield f"writing {format_count(options.picture_count, 'picture')} ...", report
        synthetic_photos.write_photos(folder, options.picture_count, options.width, options.height)
        if not options.only_pipeline:
            yield "embedding with one plain call of LLM.embed ...", report
            report.plain_images_per_s = _measure_plain_call(options, common, folder)
            yield f"{report.plain_images_per_s:,.1f} images/s", report
        yield "running searchapp index, from files to saved vectors ...", report
        _measure_pipeline(options, folder, Path(temporary) / "library", report)
        yield f"{report.pipeline_images_per_s:,.1f} images/s", report
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
    options: IndexBenchOptions, folder: Path, library: Path, report: IndexReport
) -> None:
    replica_pools: list[ReplicaPool] = []

    def start_many(
        job: EmbeddingJob, files: int, replica_count: int | None
    ) -> EmbeddingSource | None:
        spec = resolve_spec(options.model, options.use_dummy_weights)
        bench_job = EmbeddingJob(spec, job.catalog_file, job.collection_id, job.max_megapixels)
        replicas = choose_engines.plan_replicas(bench_job, files, replica_count)
        if replicas is not None:
            seconds = replicas.start_engines()
            report.first_ready_s = round(min(seconds), 1)
            report.all_ready_s = round(max(seconds), 1)
            report.replicas = len(seconds)
            replica_pools.append(replicas)
        return replicas

    def start(spec: object) -> engines.Engine:
        return engines.start_engine(resolve_spec(options.model, options.use_dummy_weights))

    index_options = IndexOptions(
        options.model,
        ModelOptions(trust_remote_code=True),
        replicas=options.replicas,
        batch_size=options.batch_size,
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
    report.stages = summary.stages
    ready_at = replica_pools[0].ready_at if replica_pools else None
    if ready_at is None:  # one engine in this process, which starts with the first picture
        report.pipeline_images_per_s = summary.images_per_second
        return
    report.pipeline_images_per_s = round(options.picture_count / (ended_at - ready_at), 1)
    report.gpu_busy_percent = usage.compute_gpu_percent(ready_at, ended_at)
    report.cpu_busy_percent = usage.compute_cpu_percent(ready_at, ended_at)
    report.gpu_memory_mb = usage.peak_gpu_memory_mb or None
