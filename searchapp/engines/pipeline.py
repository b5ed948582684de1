"""From files to vectors: threads read, hash, decode and prepare ahead of the one that embeds."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from searchapp import images
from searchapp.catalog import Work
from searchapp.engines.base import Engine, Refusal, accepted
from searchapp.engines.readers import Readers, Reading
from searchapp.errors import EngineError, PictureError
from searchapp.models import EngineInput, ModelSpec, document_prompt
from searchapp.types import MAX_MEGAPIXELS, EngineStarting, Failure, PictureInfo
from searchapp.vectors import pack

AHEAD = 3  # batches that are read and prepared, or being so
DECODE_SECONDS = 30.0  # after which a picture is given up
MOST_STUCK = 8  # decoders that were given up and go on: each holds its memory, and a core


@dataclass(frozen=True, slots=True)
class Fresh:
    """A picture that the collection did not have, with its vector as it is stored."""

    sha256: str
    info: PictureInfo
    vector: bytes | Refusal


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
    """A picture that waits for the engine."""

    sha256: str
    info: PictureInfo
    item: EngineInput


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
        while batch := list(islice(rest, size)):
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
        return [_Begun(work, self._readers.submit(partial(self._read, work))) for work in works]

    def must_start(self, batch: Batch) -> bool:
        """Tell, when a batch is read, whether its end will start the engine."""
        return self._engine is None and any(
            isinstance(read.result, _Picture) for read in self._reads(batch)
        )

    def end(self, batch: Batch) -> list[Outcome]:
        """Embed what the threads have read; EngineError or ModelError where no engine starts."""
        reads = self._reads(batch)
        fresh = {
            read.result.sha256: read.result.item
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
        reason = f"took longer than {self._decode_seconds:g} s to decode"
        return _Read(work, Failure(work.path, "decode", reason), work.size, work.mtime_ns)

    def warm(self) -> Engine:
        """Start the engine, where it does not run yet."""
        if self._engine is None:
            with self._timed("start"):
                self._engine = self._start()
            self.ready_at = time.monotonic()
        return self._engine

    def _vectors(self, fresh: dict[str, EngineInput]) -> dict[str, bytes | Refusal]:
        engine = self.warm()
        with self._timed("embed"):
            outputs = engine.embed(list(fresh.values()))
        given = [accepted(output, self._spec) for output in outputs]
        return {
            sha256: output if isinstance(output, Refusal) else pack(output)
            for sha256, output in zip(fresh, given, strict=True)
        }

    def _read(self, work: Work, reading: Reading[_Read]) -> _Read:
        size, mtime_ns = work.size, work.mtime_ns
        result: _Picture | Known | Failure
        try:
            with self._timed("read"):
                data, state = images.read(work.path)
                size, mtime_ns = state.st_size, state.st_mtime_ns
                sha256 = images.digest(data)
                image_id = self._lookup.embedded(sha256) if self._lookup else None
            known = None if image_id is None else Known(image_id)
            result = known or self._picture(sha256, data, reading)
        except PictureError as error:
            result = Failure(work.path, error.stage, str(error))
        return _Read(work, result, size, mtime_ns)

    def _picture(self, sha256: str, data: bytes, reading: Reading[_Read]) -> _Picture:
        with self._timed("decode"), reading.limited():
            prepared = images.prepare(data, self._spec.image, self._max_megapixels)
        item = EngineInput(self._prompt, prepared.image)
        if self._engine is not None:
            with self._timed("prepare"):
                item = self._engine.prepare(item)
        return _Picture(sha256, prepared.info, item)

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


def _told(
    result: _Picture | Known | Failure, vectors: dict[str, bytes | Refusal]
) -> Fresh | Known | Failure:
    if isinstance(result, _Picture):
        return Fresh(result.sha256, result.info, vectors[result.sha256])
    return result
