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

from searchapp.catalog import Work
from searchapp.engines.base import Engine, Refusal, accepted
from searchapp.errors import EngineError, PictureError
from searchapp.files import storage
from searchapp.files.scan import is_video
from searchapp.indexing.embedding.prefetch import Content, Fetching
from searchapp.models import EngineInput, ModelSpec, document_prompt
from searchapp.pictures import decode, metadata, video
from searchapp.pictures.decoder_threads import Readers, Reading
from searchapp.types import MAX_MEGAPIXELS, EngineStarting, Failure, PictureInfo
from searchapp.vectors import pack

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

AHEAD = 3  # batches that are read and prepared, or being so
DECODE_SECONDS = 30.0  # after which a picture is given up
VIDEO_TIMES = 4  # as long for a video
MOST_STUCK = 8  # decoders that were given up and go on: each holds its memory, and a core


@dataclass(frozen=True, slots=True)
class Frame:
    """A further frame of a video, with its vector as it is stored."""

    seconds: float
    vector: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """A picture that the collection did not have, with its vector as it is stored.

    A video is one of its frames, seconds from its beginning, and has further ones.
    """

    sha256: str
    info: PictureInfo
    vector: bytes | Refusal
    seconds: float | None = None
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose content the collection has already, maybe from another path."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; size and mtime_ns are those it had when it was read."""

    work: Work
    result: Fresh | Known | Failure
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture, or the frames of a video, that wait for the engine."""

    sha256: str
    info: PictureInfo
    items: tuple[EngineInput, ...]
    seconds: tuple[float | None, ...] = (None,)  # of every frame


@dataclass(frozen=True, slots=True)
class _Read:
    work: Work
    result: _Picture | Known | Failure
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """A file that was given to the threads."""

    work: Work
    reading: Reading[_Read]


Batch = list[_Begun]


class Held(Protocol):
    """What the collection has already: a Lookup, or who asks one elsewhere."""

    def embedded(self, sha256: str) -> int | None:
        """Return the id of an image that the collection has the embedding of."""

    def close(self) -> None:
        """Let go of it."""


class Pipeline:
    """Embeds the pictures of files with one engine, which starts when the first is needed."""

    def __init__(
        self,
        spec: ModelSpec,
        start: Callable[[], Engine],
        lookup: Held | None,
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
        threads: int = 1,
        decode_seconds: float = DECODE_SECONDS,
    ) -> None:
        """Start no engine yet.

        lookup: what the collection has already, if anything; closed with the pipeline.
        decode_seconds: a picture that takes longer is a failure, and its thread is replaced.
        """
        self._spec, self._start, self._lookup = spec, start, lookup
        self._max_megapixels = max_megapixels
        self._prompt = document_prompt(spec)
        self._engine: Engine | None = None
        self._readers = Readers[_Read](threads)
        self._fetching = Fetching()
        self._decode_seconds = decode_seconds
        self._lock = threading.Lock()
        self.nodes: Mapping[str, int] = {}  # all is done on this one
        self.ready_at: float | None = None  # when the engine ran, by time.monotonic
        # Seconds by stage, of all threads together: read, decode, prepare; and start, embed, wait
        # (for the threads) of the one that embeds.
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def run(self, works: Iterable[Work], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files in order, in batches of a size, and say when the engine starts."""
        ahead: deque[Batch] = deque()
        rest = iter(works)
        while batch := take(rest, size):
            ahead.append(self.begin(batch))
            if len(ahead) >= AHEAD:
                yield from self._finish(ahead.popleft())
        while ahead:
            yield from self._finish(ahead.popleft())

    def _finish(self, batch: Batch) -> Iterator[list[Outcome] | EngineStarting]:
        if self.must_start(batch):
            yield EngineStarting(self._spec.name)
        yield self.end(batch)
        if self.is_stuck:
            raise EngineError(
                f"{MOST_STUCK} pictures do not end being decoded, see searchapp failures; "
                "the same command goes on from here"
            )

    @property
    def is_stuck(self) -> bool:
        """Tell whether so many decoders go on for ever that the process should be replaced."""
        return self._readers.stuck >= MOST_STUCK

    def begin(self, works: Iterable[Work]) -> Batch:
        """Let the threads begin with some files."""
        return [self._begun(work) for work in works]

    def _begun(self, work: Work) -> _Begun:
        content = None if is_video(work.path) else self._fetching.begin(work)
        return _Begun(work, self._readers.submit(partial(self._read, work, content)))

    def must_start(self, batch: Batch) -> bool:
        """Tell, when a batch is read, whether its end will start the engine."""
        return self._engine is None and any(
            isinstance(read.result, _Picture) for read in self._reads(batch)
        )

    def end(self, batch: Batch) -> list[Outcome]:
        """Embed what the threads have read; EngineError or ModelError where no engine starts."""
        reads = self._reads(batch)
        fresh = {
            read.result.sha256: read.result.items
            for read in reads
            if isinstance(read.result, _Picture)
        }
        vectors = self._vectors(fresh) if fresh else {}
        return [Outcome(r.work, _told(r.result, vectors), r.size, r.mtime_ns) for r in reads]

    def leave(self) -> Iterable[list[Outcome]]:
        """Stop the threads; nothing is embedded that was not yielded. The engine stays."""
        self.close()
        return ()

    def close(self) -> None:
        """Stop the threads; the engine stays."""
        self._fetching.close()
        self._readers.close()
        if self._lookup:
            self._lookup.close()

    def _reads(self, batch: Batch) -> list[_Read]:
        with self._timed("wait"):
            return [
                self._readers.result(
                    begun.reading, self._decode_seconds, partial(self._late, begun.work)
                )
                for begun in batch
            ]

    def _late(self, work: Work) -> _Read:
        seconds = self._decode_seconds * (VIDEO_TIMES if is_video(work.path) else 1)
        reason = f"took longer than {seconds:g} s to decode"
        return _Read(work, Failure(work.path, "decode", reason), work.size, work.mtime_ns)

    def warm(self) -> Engine:
        """Start the engine, where it does not run yet."""
        if self._engine is None:
            with self._timed("start"):
                self._engine = self._start()
            self.ready_at = time.monotonic()
        return self._engine

    def _vectors(
        self, fresh: dict[str, tuple[EngineInput, ...]]
    ) -> dict[str, list[bytes | Refusal]]:
        engine = self.warm()
        with self._timed("embed"):
            outputs = engine.embed([item for items in fresh.values() for item in items])
        given = (accepted(output, self._spec) for output in outputs)
        packed = (it if isinstance(it, Refusal) else pack(it) for it in given)
        return {sha256: list(islice(packed, len(items))) for sha256, items in fresh.items()}

    def _read(
        self, work: Work, content: Callable[[], Content] | None, reading: Reading[_Read]
    ) -> _Read:
        size, mtime_ns = work.size, work.mtime_ns
        result: _Picture | Known | Failure
        try:
            if content is None:
                with storage.opened(work.path) as (file, state):
                    size, mtime_ns = state.size, state.mtime_ns
                    with self._timed("read"):
                        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                    result = self._known(sha256) or self._video(sha256, file, mtime_ns, reading)
            else:
                with self._timed("read"):
                    data, state = content()
                    size, mtime_ns = state.size, state.mtime_ns
                    sha256 = decode.digest(data)
                result = self._known(sha256) or self._picture(sha256, data, mtime_ns, reading)
        except PictureError as error:
            result = Failure(work.path, error.stage, str(error))
        return _Read(work, result, size, mtime_ns)

    def _known(self, sha256: str) -> Known | None:
        image_id = self._lookup.embedded(sha256) if self._lookup else None
        return None if image_id is None else Known(image_id)

    def _picture(
        self, sha256: str, data: bytes, mtime_ns: int, reading: Reading[_Read]
    ) -> _Picture:
        with self._timed("decode"), reading.limited():
            prepared = decode.prepare(data, self._spec.image, self._max_megapixels)
        info = metadata.dated(prepared.info, mtime_ns)
        return _Picture(sha256, info, (self._item(prepared.image),))

    def _video(
        self, sha256: str, file: BufferedReader, mtime_ns: int, reading: Reading[_Read]
    ) -> _Picture:
        with self._timed("decode"), reading.limited(VIDEO_TIMES):
            info, shots = video.shots(file, self._spec.image, self._max_megapixels)
        items = tuple(self._item(shot.image) for shot in shots)
        info = metadata.dated(replace(info, reader=metadata.READER), mtime_ns)
        return _Picture(sha256, info, items, tuple(shot.seconds for shot in shots))

    def _item(self, image: Picture) -> EngineInput:
        item = EngineInput(self._prompt, image)
        if self._engine is not None:
            with self._timed("prepare"):
                item = self._engine.prepare(item)
        return item

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        """Count the time of a block for a stage, on any thread."""
        begun = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] += time.monotonic() - begun

    def take_seconds(self) -> Mapping[str, float]:
        """Return the seconds since the last call."""
        with self._lock:
            taken, self.seconds = self.seconds, defaultdict(float)
        return taken


def weight(work: Work) -> int:
    """Return how many pictures a file may be to an engine."""
    return video.MOST if is_video(work.path) else 1


def take(works: Iterator[Work], size: int) -> list[Work]:
    """Return the next files, as many as make a batch of a size; the last of it may be more."""
    batch, total = list[Work](), 0
    while total < size and (work := next(works, None)) is not None:
        batch.append(work)
        total += weight(work)
    return batch


def _told(
    result: _Picture | Known | Failure, vectors: dict[str, list[bytes | Refusal]]
) -> Fresh | Known | Failure:
    if not isinstance(result, _Picture):
        return result
    given = vectors[result.sha256]
    frames = [
        (seconds, vector)
        for seconds, vector in zip(result.seconds, given, strict=True)
        if not isinstance(vector, Refusal)
    ]
    if not frames:
        return Fresh(result.sha256, result.info, given[0], result.seconds[0])
    (seconds, vector), *others = frames
    further = tuple(Frame(at or 0.0, vector) for at, vector in others)
    return Fresh(result.sha256, result.info, vector, seconds, further)
