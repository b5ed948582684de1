"""Embed files with one engine: threads read and decode ahead while the engine embeds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from searchapp.catalog import FileTask
from searchapp.engines.base import Engine, Refusal, validate_output
from searchapp.engines.batched_jpeg import MAX_JOBS_IN_FLIGHT, BatchedJpegDecoder
from searchapp.errors import EngineError
from searchapp.files.scan import is_video
from searchapp.indexing.embedding.batches import take_batch
from searchapp.indexing.embedding.outcomes import (
    EmbeddedFrame,
    EmbeddedPicture,
    KnownPicture,
    Outcome,
)
from searchapp.indexing.embedding.prefetch import Prefetcher
from searchapp.indexing.embedding.read_file import (
    VIDEO_TIMEOUT_FACTOR,
    ContentLookup,
    DecodedPicture,
    FileReader,
    ReadResult,
)
from searchapp.indexing.embedding.stage_timer import StageTimer
from searchapp.models import EngineInput, ModelSpec
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import MAX_MEGAPIXELS, DecodingOnCpu, EngineStarting, Failure
from searchapp.vectors import pack_vector

MAX_BATCHES_AHEAD = 3  # batches that are being read and decoded, or wait for the engine
DECODE_TIMEOUT_S = 30.0  # after which a picture becomes a failure
# Limit for abandoned decoders that still run. Each decoder keeps its memory and a core, and only
# the end of the process stops the decoder.
MAX_STUCK_DECODERS = 8


@dataclass(frozen=True, slots=True)
class _StartedFile:
    """A file that was given to the reader threads, and the task that reads it."""

    task: FileTask
    reading: ReaderTask[ReadResult]


StartedBatch = list[_StartedFile]
StartEvent = EngineStarting | DecodingOnCpu


class Pipeline:
    """Embeds files with one engine, which starts when the first picture needs it."""

    def __init__(
        self,
        spec: ModelSpec,
        start_engine: Callable[[], Engine],
        lookup: ContentLookup | None,
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
        threads: int = 1,
        decode_timeout_s: float = DECODE_TIMEOUT_S,
        start_jpeg_decoder: Callable[[], BatchedJpegDecoder | None] | None = None,
    ) -> None:
        """Start the reader threads, but no engine yet.

        lookup: finds images that the collection has embedded; None: embed every file. The
        pipeline closes the lookup. decode_timeout_s: a picture whose decoding takes longer is a
        failure, and the thread that decodes this picture is replaced. start_jpeg_decoder: called
        once the engine runs; returns None if Pillow decodes all JPEGs.
        """
        self._spec, self._start_engine, self._lookup = spec, start_engine, lookup
        self._engine: Engine | None = None
        self._start_jpeg_decoder = start_jpeg_decoder
        self._jpeg_decoder: BatchedJpegDecoder | None = None
        self._timer = StageTimer()
        self._file_reader = FileReader(
            spec, lookup, self._timer, lambda: self._engine, max_megapixels
        )
        self._readers = ReaderPool[ReadResult](threads)
        self._prefetcher = Prefetcher()
        self._decode_timeout_s = decode_timeout_s
        self.file_count_by_node: Mapping[str, int] = {}  # empty: there is one node only
        self.ready_at: float | None = None  # when the engine started, by time.monotonic

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Return the seconds that each stage took: see StageTimer."""
        return self._timer.seconds_by_stage

    @property
    def gpu_decoded_count(self) -> int:
        """Return how many pictures the GPU has decoded."""
        return self._jpeg_decoder.decoded_count if self._jpeg_decoder else 0

    def take_decoder_problem(self) -> str | None:
        """Return why the GPU decodes no more pictures; None if it does, or at a second call."""
        return self._jpeg_decoder.take_problem() if self._jpeg_decoder else None

    def run(self, tasks: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | StartEvent]:
        """Embed files in order, in batches of `size` pictures; yield the outcomes of each batch.

        EngineStarting is yielded before the engine starts, and DecodingOnCpu if the GPU decodes no
        more pictures.
        Raises EngineError or ModelError if the engine cannot start or continue, and EngineError
        if too many decoders are stuck.
        """
        started_batches: deque[StartedBatch] = deque()
        remaining_tasks = iter(tasks)
        while batch := take_batch(remaining_tasks, size):
            started_batches.append(self.start_batch(batch))
            if len(started_batches) >= MAX_BATCHES_AHEAD:
                yield from self._finish_batch(started_batches.popleft())
        while started_batches:
            yield from self._finish_batch(started_batches.popleft())

    def _finish_batch(self, batch: StartedBatch) -> Iterator[list[Outcome] | StartEvent]:
        if self.needs_engine_start(batch):
            yield EngineStarting(self._spec.name)
        yield self.embed_batch(batch)
        if problem := self.take_decoder_problem():
            yield DecodingOnCpu(problem)
        if self.is_stuck:
            raise EngineError(
                f"{MAX_STUCK_DECODERS} pictures are stuck in decoding; `searchapp failures` lists "
                "these pictures. All embedded pictures are saved. Run the same command again to "
                "continue."
            )

    @property
    def is_stuck(self) -> bool:
        """Return whether so many decoders are stuck that the process should be replaced."""
        return self._readers.stuck_count >= MAX_STUCK_DECODERS

    def start_batch(self, tasks: Iterable[FileTask], *, is_cpu_only: bool = False) -> StartedBatch:
        """Give a batch of files to the reader threads. is_cpu_only: Pillow decodes all JPEGs."""
        return [self._start_file(task, is_cpu_only) for task in tasks]

    def _start_file(self, task: FileTask, is_cpu_only: bool) -> _StartedFile:
        content = None if is_video(task.path) else self._prefetcher.start_fetch(task)
        read = partial(self._file_reader.read, task, content, is_cpu_only)
        return _StartedFile(task, self._readers.submit(read))

    def needs_engine_start(self, batch: StartedBatch) -> bool:
        """Wait until a batch of files is read; return whether embedding it starts the engine."""
        return self._engine is None and any(
            isinstance(read.result, DecodedPicture) for read in self._wait_for_reads(batch)
        )

    def embed_batch(self, batch: StartedBatch) -> list[Outcome]:
        """Embed a batch of files; return the outcome of each file, in order.

        Raises EngineError or ModelError if the engine cannot start or continue.
        """
        reads = self._wait_for_reads(batch)
        inputs_by_sha256 = {
            read.result.sha256: read.result.engine_inputs
            for read in reads
            if isinstance(read.result, DecodedPicture)
        }
        vectors = self._embed_inputs(inputs_by_sha256) if inputs_by_sha256 else {}
        return [Outcome(r.task, _make_result(r.result, vectors), r.state) for r in reads]

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Stop the reader threads; the engine keeps running.

        No batch is returned, because all embedded batches are yielded already.
        """
        self.close()
        return ()

    def close(self) -> None:
        """Stop the reader threads; the engine keeps running."""
        self._prefetcher.close()
        self._readers.close()
        if self._jpeg_decoder is not None:
            self._jpeg_decoder.close()
        if self._lookup:
            self._lookup.close()

    def _wait_for_reads(self, batch: StartedBatch) -> list[ReadResult]:
        with self._timer.measure("wait"):
            return [
                self._readers.wait_for_result(
                    started.reading,
                    self._decode_timeout_s,
                    partial(self._make_timeout_failure, started.task),
                )
                for started in batch
            ]

    def _make_timeout_failure(self, task: FileTask) -> ReadResult:
        seconds = self._decode_timeout_s * (VIDEO_TIMEOUT_FACTOR if is_video(task.path) else 1)
        reason = f"decoding took longer than {seconds:g} s"
        return ReadResult(task, Failure(task.path, "decode", reason), task.state)

    def start_engine(self) -> Engine:
        """Start the engine if it does not run yet, and return it."""
        if self._engine is None:
            with self._timer.measure("start"):
                self._engine = self._start_engine()
                if self._start_jpeg_decoder is not None:
                    self._use_jpeg_decoder(self._start_jpeg_decoder())
            self.ready_at = time.monotonic()
        return self._engine

    def _use_jpeg_decoder(self, decoder: BatchedJpegDecoder | None) -> None:
        """Let a decoder decode JPEGs, and start reader threads that wait for it."""
        self._jpeg_decoder = decoder
        if decoder is not None and decoder.is_working:
            self._file_reader.jpegs = decoder
            self._readers.add_waiting_threads(MAX_JOBS_IN_FLIGHT)
            decoder.wait_context = self._readers.release_core

    def _embed_inputs(
        self, inputs_by_sha256: dict[str, tuple[EngineInput, ...]]
    ) -> dict[str, list[bytes | Refusal]]:
        engine = self.start_engine()
        with self._timer.measure("embed"):
            outputs = engine.embed([item for items in inputs_by_sha256.values() for item in items])
        validated = (validate_output(output, self._spec) for output in outputs)
        packed = (
            output if isinstance(output, Refusal) else pack_vector(output) for output in validated
        )
        return {
            sha256: list(islice(packed, len(items))) for sha256, items in inputs_by_sha256.items()
        }

    def take_stage_seconds(self) -> Mapping[str, float]:
        """Return the seconds that each stage took since the last call."""
        return self._timer.take_seconds()


def _make_result(
    result: DecodedPicture | KnownPicture | Failure, vectors: dict[str, list[bytes | Refusal]]
) -> EmbeddedPicture | KnownPicture | Failure:
    """Combine a decoded picture or video with its vectors; drop video frames without a vector."""
    if not isinstance(result, DecodedPicture):
        return result
    outputs = vectors[result.sha256]
    frames = [
        (seconds, vector)
        for seconds, vector in zip(result.frame_times_s, outputs, strict=True)
        if not isinstance(vector, Refusal)
    ]
    if not frames:
        return EmbeddedPicture(result.sha256, result.info, outputs[0], result.frame_times_s[0])
    (seconds, vector), *others = frames
    other_frames = tuple(EmbeddedFrame(time_s or 0.0, vector) for time_s, vector in others)
    return EmbeddedPicture(result.sha256, result.info, vector, seconds, other_frames)
