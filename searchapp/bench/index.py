"""How fast pictures become saved vectors, beside what one plain call and plain PyTorch reach."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchapp import engines
from searchapp.bench import isolated, synthetic_photos
from searchapp.bench.indexing_stages import spec_of
from searchapp.bench.utilization import Usage
from searchapp.errors import EngineError, SearchAppError
from searchapp.indexing.embedding import choose_engines
from searchapp.indexing.embedding.choose_engines import Source
from searchapp.indexing.embedding.replicas import Replicas
from searchapp.indexing.embedding.worker import Job
from searchapp.library import Library
from searchapp.models import has_gpu
from searchapp.types import Failed, Finished, IndexOptions, ModelOptions

PLAIN_AT_MOST = 4096  # pictures of the plain call, which holds all of them decoded


@dataclass(slots=True)
class Report:
    """What was measured; None where the model cannot be run so."""

    model: str
    pictures: int
    size: str  # pixels, WxH
    plain_images_per_s: float | None = None
    pipeline_images_per_s: float | None = None
    ceiling_images_per_s: float | None = None
    replicas: int = 1
    batch_size: int | None = None
    first_ready_s: float | None = None  # from the start of the first engine
    all_ready_s: float | None = None
    gpu_busy_percent: float | None = None
    cpu_busy_percent: float | None = None
    gpu_memory_mb: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)  # seconds, of all together


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure."""

    model: str
    count: int
    width: int
    height: int
    dummy: bool = False
    replicas: int | None = None
    batch_size: int | None = None
    only_pipeline: bool = False


def measure(options: Options) -> Iterator[tuple[str, Report]]:
    """Measure one after the other; yield what comes next or was found, and the report so far."""
    size = f"{options.width}x{options.height}"
    report = Report(Path(options.model).name, options.count, size)
    common = {"model": options.model, "dummy": options.dummy}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        yield f"writing {options.count:,} pictures ...", report
        synthetic_photos.write(folder, options.count, options.width, options.height)
        if not options.only_pipeline:
            yield "one plain call of LLM.embed ...", report
            report.plain_images_per_s = _plain(options, common, folder)
            yield f"{report.plain_images_per_s:,.1f} images/s", report
        yield "the pipeline, from files to saved vectors ...", report
        _pipeline(options, folder, Path(temporary) / "library", report)
        yield f"{report.pipeline_images_per_s:,.1f} images/s", report
        if not options.only_pipeline:
            yield "the model in plain PyTorch ...", report
            shape = {"width": options.width, "height": options.height}
            try:
                answer = isolated.call("searchapp.bench.indexing_stages:ceiling", common | shape)
                report.ceiling_images_per_s = round(answer["images_per_s"], 1)
            except SearchAppError as error:
                yield f"not measured in plain PyTorch: {error}", report
    yield "", report


def _plain(options: Options, common: dict[str, Any], folder: Path) -> float:
    if has_gpu():  # from decoded pictures: the comparison that is hardest to beat
        function = "plain"
        more: dict[str, Any] = {
            "pictures": min(options.count, PLAIN_AT_MOST),
            "width": options.width,
            "height": options.height,
        }
    else:
        function, more = "plain_from_files", {"folder": str(folder), "pictures": PLAIN_AT_MOST}
    # As vLLM comes: its engine in a process of its own, so that preparing and running overlap.
    environment = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"} if has_gpu() else {}
    answer = isolated.call(
        f"searchapp.bench.indexing_stages:{function}", common | more, environment
    )
    return round(float(answer["images_per_s"]), 1)


def _pipeline(options: Options, folder: Path, library: Path, report: Report) -> None:
    started: list[Replicas] = []

    def start_many(job: Job, files: int, wanted: int | None) -> Source | None:
        spec = spec_of(options.model, options.dummy)
        own = Job(spec, job.catalog, job.collection_id, job.max_megapixels)
        replicas = choose_engines.start_replicas(own, files, wanted)
        if replicas is not None:
            seconds = replicas.warm()
            report.first_ready_s = round(min(seconds), 1)
            report.all_ready_s = round(max(seconds), 1)
            report.replicas = len(seconds)
            started.append(replicas)
        return replicas

    def start(spec: object) -> engines.Engine:
        return engines.start_engine(spec_of(options.model, options.dummy))

    index_options = IndexOptions(
        options.model,
        ModelOptions(trust_remote_code=True),
        replicas=options.replicas,
        batch_size=options.batch_size,
    )
    with (
        Usage() as usage,
        Library.open(library, create=True, start=start, start_many=start_many) as opened,
    ):
        for event in opened.index([folder], index_options):
            if isinstance(event, Failed):
                raise EngineError(f"{event.failure.path}: {event.failure.message}")
            if isinstance(event, Finished):
                summary = event.summary
        until = time.monotonic()
    report.stages = summary.stages
    since = started[0].ready_at if started else None
    if since is None:  # one engine, in this process, which started with the first picture
        report.pipeline_images_per_s = summary.images_per_second
        return
    report.pipeline_images_per_s = round(options.count / (until - since), 1)
    report.gpu_busy_percent = usage.gpu_percent(since, until)
    report.cpu_busy_percent = usage.cpu_percent(since, until)
    report.gpu_memory_mb = usage.gpu_memory_mb or None
