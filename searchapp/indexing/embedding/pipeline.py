"""From files to vectors: threads read, hash, decode and prepare ahead of the one that embeds."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from searchapp.catalog import FileTask
from searchapp.engines.base import Engine, Refusal, validate_output
from searchapp.errors import EngineError, PictureError
from searchapp.files import storage
from searchapp.files.scan import is_video
from searchapp.indexing.embedding.prefetch import Content, Prefetcher
from searchapp.models import EngineInput, ModelSpec, make_document_prompt
from searchapp.pictures import decode, metadata, video
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import MAX_MEGAPIXELS, EngineStarting, Failure, PictureInfo
from searchapp.vectors import pack_vector

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BATCHES_AHEAD = 3  # batches that are read and prepared, or being so
DECODE_TIMEOUT_S = 30.0  # after which a picture is given up
VIDEO_TIMEOUT_FACTOR = 4  # as long for a video
MAX_STUCK_DECODERS = 8  # decoders that were given up and go on: each holds its memory, and a core


@dataclass(frozen=True, slots=True)
class EmbeddedFrame:
    """A further frame of a video, with its vector as it is stored."""

    seconds: float
    vector: bytes


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture that the collection did not have, with its vector as it is stored.

    A video is one of its frames, seconds from its beginning, and has further ones.
    """

    sha256: str
    info: PictureInfo
    vector: bytes | Refusal
    seconds: float | None = None
    frames: tuple[EmbeddedFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """A file whose content the collection has already, maybe from another path."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; size and mtime_ns are those it had when it was read."""

    work: FileTask
    result: EmbeddedPicture | KnownPicture | Failure
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _DecodedPicture:
    """A picture, or the frames of a video, that wait for the engine."""

    sha256: str
    info: PictureInfo
    engine_inputs: tuple[EngineInput, ...]
    frame_times_s: tuple[float | None, ...] = (None,)  # of every frame


@dataclass(frozen=True, slots=True)
class _ReadResult:
    work: FileTask
    result: _DecodedPicture | KnownPicture | Failure
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _StartedFile:
    """A file that was given to the threads."""

    work: FileTask
    reading: ReaderTask[_ReadResult]


StartedBatch = list[_StartedFile]


class ContentLookup(Protocol):
    """What the collection has already: a Lookup, or who asks one elsewhere."""

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return the id of an image that the collection has the embedding of."""

    def close(self) -> None:
        """Let go of it."""


class Pipeline:
    """Embeds the pictures of files with one engine, which starts when the first is needed."""

    def __init__(
        self,
        spec: ModelSpec,
        start_engine: Callable[[], Engine],
        lookup: ContentLookup | None,
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
        threads: int = 1,
        decode_timeout_s: float = DECODE_TIMEOUT_S,
    ) -> None:
        """Start no engine yet.

        lookup: what the collection has already, if anything; closed with the pipeline.
        decode_seconds: a picture that takes longer is a failure, and its thread is replaced.
        """
        self._spec, self._start_engine, self._lookup = spec, start_engine, lookup
        self._max_megapixels = max_megapixels
        self._prompt = make_document_prompt(spec)
        self._engine: Engine | None = None
        self._readers = ReaderPool[_ReadResult](threads)
        self._prefetcher = Prefetcher()
        self._decode_timeout_s = decode_timeout_s
        self._lock = threading.Lock()
        self.file_count_by_node: Mapping[str, int] = {}  # all is done on this one
        self.ready_at: float | None = None  # when the engine ran, by time.monotonic
        # Seconds by stage, of all threads together: read, decode, prepare; and start, embed, wait
        # (for the threads) of the one that embeds.
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(float)

    def run(self, works: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files in order, in batches of a size, and say when the engine starts."""
        started_batches: deque[StartedBatch] = deque()
        remaining_works = iter(works)
        while batch := take_batch(remaining_works, size):
            started_batches.append(self.start_batch(batch))
            if len(started_batches) >= MAX_BATCHES_AHEAD:
                yield from self._finish_batch(started_batches.popleft())
        while started_batches:
            yield from self._finish_batch(started_batches.popleft())

    def _finish_batch(self, batch: StartedBatch) -> Iterator[list[Outcome] | EngineStarting]:
        if self.needs_engine_start(batch):
            yield EngineStarting(self._spec.name)
        yield self.embed_batch(batch)
        if self.is_stuck:
            raise EngineError(
                f"{MAX_STUCK_DECODERS} pictures do not end being decoded, see searchapp failures; "
                "the same command goes on from here"
            )

    @property
    def is_stuck(self) -> bool:
        """Tell whether so many decoders go on for ever that the process should be replaced."""
        return self._readers.stuck_count >= MAX_STUCK_DECODERS

    def start_batch(self, works: Iterable[FileTask]) -> StartedBatch:
        """Let the threads begin with some files."""
        return [self._start_file(work) for work in works]

    def _start_file(self, work: FileTask) -> _StartedFile:
        content = None if is_video(work.path) else self._prefetcher.start_fetch(work)
        return _StartedFile(work, self._readers.submit(partial(self._read_file, work, content)))

    def needs_engine_start(self, batch: StartedBatch) -> bool:
        """Tell, when a batch is read, whether its end will start the engine."""
        return self._engine is None and any(
            isinstance(read.result, _DecodedPicture) for read in self._wait_for_reads(batch)
        )

    def embed_batch(self, batch: StartedBatch) -> list[Outcome]:
        """Embed what the threads have read; EngineError or ModelError where no engine starts."""
        reads = self._wait_for_reads(batch)
        fresh = {
            read.result.sha256: read.result.engine_inputs
            for read in reads
            if isinstance(read.result, _DecodedPicture)
        }
        vectors = self._embed_inputs(fresh) if fresh else {}
        return [Outcome(r.work, _make_result(r.result, vectors), r.size, r.mtime_ns) for r in reads]

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Stop the threads; nothing is embedded that was not yielded. The engine stays."""
        self.close()
        return ()

    def close(self) -> None:
        """Stop the threads; the engine stays."""
        self._prefetcher.close()
        self._readers.close()
        if self._lookup:
            self._lookup.close()

    def _wait_for_reads(self, batch: StartedBatch) -> list[_ReadResult]:
        with self._time_stage("wait"):
            return [
                self._readers.wait_for_result(
                    begun.reading,
                    self._decode_timeout_s,
                    partial(self._make_timeout_failure, begun.work),
                )
                for begun in batch
            ]

    def _make_timeout_failure(self, work: FileTask) -> _ReadResult:
        seconds = self._decode_timeout_s * (VIDEO_TIMEOUT_FACTOR if is_video(work.path) else 1)
        reason = f"took longer than {seconds:g} s to decode"
        return _ReadResult(work, Failure(work.path, "decode", reason), work.size, work.mtime_ns)

    def start_engine(self) -> Engine:
        """Start the engine, where it does not run yet."""
        if self._engine is None:
            with self._time_stage("start"):
                self._engine = self._start_engine()
            self.ready_at = time.monotonic()
        return self._engine

    def _embed_inputs(
        self, fresh: dict[str, tuple[EngineInput, ...]]
    ) -> dict[str, list[bytes | Refusal]]:
        engine = self.start_engine()
        with self._time_stage("embed"):
            outputs = engine.embed([item for items in fresh.values() for item in items])
        validated = (validate_output(output, self._spec) for output in outputs)
        packed = (it if isinstance(it, Refusal) else pack_vector(it) for it in validated)
        return {sha256: list(islice(packed, len(items))) for sha256, items in fresh.items()}

    def _read_file(
        self,
        work: FileTask,
        content: Callable[[], Content] | None,
        reading: ReaderTask[_ReadResult],
    ) -> _ReadResult:
        size, mtime_ns = work.size, work.mtime_ns
        result: _DecodedPicture | KnownPicture | Failure
        try:
            if content is None:
                with storage.open_file(work.path) as (file, state):
                    size, mtime_ns = state.size, state.mtime_ns
                    with self._time_stage("read"):
                        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                    result = self._find_known(sha256) or self._decode_video(
                        sha256, file, mtime_ns, reading
                    )
            else:
                with self._time_stage("read"):
                    data, state = content()
                    size, mtime_ns = state.size, state.mtime_ns
                    sha256 = decode.hash_bytes(data)
                result = self._find_known(sha256) or self._decode_picture(
                    sha256, data, mtime_ns, reading
                )
        except PictureError as error:
            result = Failure(work.path, error.stage, str(error))
        return _ReadResult(work, result, size, mtime_ns)

    def _find_known(self, sha256: str) -> KnownPicture | None:
        image_id = self._lookup.find_embedded_image(sha256) if self._lookup else None
        return None if image_id is None else KnownPicture(image_id)

    def _decode_picture(
        self, sha256: str, data: bytes, mtime_ns: int, reading: ReaderTask[_ReadResult]
    ) -> _DecodedPicture:
        with self._time_stage("decode"), reading.limit_time():
            prepared = decode.prepare_picture(data, self._spec.image, self._max_megapixels)
        info = metadata.fill_date_from_mtime(prepared.info, mtime_ns)
        return _DecodedPicture(sha256, info, (self._make_engine_input(prepared.image),))

    def _decode_video(
        self, sha256: str, file: BufferedReader, mtime_ns: int, reading: ReaderTask[_ReadResult]
    ) -> _DecodedPicture:
        with self._time_stage("decode"), reading.limit_time(VIDEO_TIMEOUT_FACTOR):
            info, shots = video.sample_frames(file, self._spec.image, self._max_megapixels)
        items = tuple(self._make_engine_input(shot.image) for shot in shots)
        info = metadata.fill_date_from_mtime(
            replace(info, reader=metadata.METADATA_READER_VERSION), mtime_ns
        )
        return _DecodedPicture(sha256, info, items, tuple(shot.seconds for shot in shots))

    def _make_engine_input(self, image: Picture) -> EngineInput:
        item = EngineInput(self._prompt, image)
        if self._engine is not None:
            with self._time_stage("prepare"):
                item = self._engine.prepare(item)
        return item

    @contextmanager
    def _time_stage(self, stage: str) -> Iterator[None]:
        """Count the time of a block for a stage, on any thread."""
        started_at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.seconds_by_stage[stage] += time.monotonic() - started_at

    def take_stage_seconds(self) -> Mapping[str, float]:
        """Return the seconds since the last call."""
        with self._lock:
            taken, self.seconds_by_stage = self.seconds_by_stage, defaultdict(float)
        return taken


def count_max_pictures(work: FileTask) -> int:
    """Return how many pictures a file may be to an engine."""
    return video.MAX_FRAMES if is_video(work.path) else 1


def take_batch(works: Iterator[FileTask], size: int) -> list[FileTask]:
    """Return the next files, as many as make a batch of a size; the last of it may be more."""
    batch, total = list[FileTask](), 0
    while total < size and (work := next(works, None)) is not None:
        batch.append(work)
        total += count_max_pictures(work)
    return batch


def _make_result(
    result: _DecodedPicture | KnownPicture | Failure, vectors: dict[str, list[bytes | Refusal]]
) -> EmbeddedPicture | KnownPicture | Failure:
    if not isinstance(result, _DecodedPicture):
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
    other_frames = tuple(EmbeddedFrame(at or 0.0, vector) for at, vector in others)
    return EmbeddedPicture(result.sha256, result.info, vector, seconds, other_frames)
