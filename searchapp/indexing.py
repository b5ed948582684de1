"""One run of index: read ahead what is new in the folders, embed it, write it, batch by batch."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from searchapp import images, scan
from searchapp.catalog import Catalog, Lookup, Plan, Seen, Work
from searchapp.engines import Engine, EngineInput, Refusal
from searchapp.errors import FolderError, PictureError
from searchapp.models import ModelSpec, document_prompt, has_gpu
from searchapp.types import (
    Collection,
    EngineStarting,
    Event,
    Failed,
    Failure,
    IndexOptions,
    Progress,
    RunSummary,
    Scanned,
)
from searchapp.vectors import pack

READERS = min(4, os.cpu_count() or 1)
SEE_AT_ONCE = 5000  # files
AHEAD = 3  # batches that are read and prepared, or being so


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose content the collection has already, maybe from another path."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Read:
    """A file as a reader left it; size and mtime_ns are those it had when it was read."""

    work: Work
    result: images.Prepared | Known | Failure
    size: int
    mtime_ns: int


@dataclass
class Run:
    """One run over some folders; its counts grow as it goes."""

    catalog: Catalog
    spec: ModelSpec
    roots: list[Path]
    options: IndexOptions
    start_engine: Callable[[], Engine]
    collection: Collection | None
    added: int = 0
    failed: int = 0
    embedded: int = 0
    known: Counter[int] = field(default_factory=Counter)  # new paths of images known before
    summary: RunSummary = field(default_factory=RunSummary)
    embedding_seconds: float = 0.0

    @property
    def batch_size(self) -> int:
        """Return how many pictures the engine gets at once."""
        return self.options.batch_size or (64 if has_gpu() else 16)

    def look(self) -> tuple[Seen, Plan, list[Failure]]:
        """Walk the folders and find the work; raise FolderError where a folder looks unmounted."""
        seen = self.catalog.begin_scan()
        unreadable: list[Failure] = []
        for root in self.roots:
            walked = scan.walk(root)
            while batch := list(islice(walked, SEE_AT_ONCE)):
                seen.see(found for found in batch if isinstance(found, scan.Found))
                unreadable += [
                    Failure(found.path, "scan", found.reason)
                    for found in batch
                    if isinstance(found, scan.Unreadable)
                ]
        undecided = seen.undecided(self.collection)
        seen.unsee(path for path in undecided if not _is_picture(path))
        for root in self.roots:
            known = seen.files_below(root)
            if known and not seen.seen_below(root):
                raise FolderError(
                    f"{root}: no picture there, but {known} were there before. Is its drive "
                    "mounted? Nothing was changed"
                )
        plan = seen.plan(
            self.collection, retry_failed=self.options.retry_failed, limit=self.options.limit
        )
        return seen, plan, unreadable

    def rehearse(self) -> Iterator[Event]:
        """Tell what execute would do, as far as that can be told without reading a picture."""
        seen, plan, unreadable = self.look()
        yield self._scanned(plan)
        for failure in unreadable:
            yield Failed(failure)
        gone = self._vanished(seen, unreadable)
        self.summary = RunSummary(plan.work, plan.unchanged, 0, len(gone), len(unreadable))

    def execute(self, collection: Collection) -> Iterator[Event]:
        """Do the work, with events; whatever was saved stays saved when it is interrupted."""
        started = time.monotonic()
        seen, plan, unreadable = self.look()
        run_id = self.catalog.start_run(collection, self.roots)
        yield self._scanned(plan)
        for failure in unreadable:
            self.failed += 1
            yield Failed(failure)
        yield from self._embed(seen, plan, collection, run_id)
        moved, removed = self._remove(seen, unreadable)
        self.summary = RunSummary(
            added=self.added - moved,
            unchanged=plan.unchanged,
            moved=moved,
            removed=removed,
            failed=self.failed,
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(self._rate(), 2),
        )
        self.catalog.finish_run(run_id, self.summary)

    def _scanned(self, plan: Plan) -> Scanned:
        name = self.collection.name if self.collection else ""
        return Scanned(plan.seen, plan.work, plan.left_alone, self.spec.name, name)

    def _rate(self) -> float:
        return self.embedded / self.embedding_seconds if self.embedding_seconds else 0.0

    def _embed(
        self, seen: Seen, plan: Plan, collection: Collection, run_id: int
    ) -> Iterator[Event]:
        engine: Engine | None = None
        done = 0
        lookup = self.catalog.lookup()
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        try:
            reads = self._read_ahead(readers, seen.work(), lookup, collection)
            while batch := list(islice(reads, self.batch_size)):
                fresh = {
                    read.result.sha256: read.result
                    for read in batch
                    if isinstance(read.result, images.Prepared)
                }
                vectors: dict[str, bytes | Refusal] = {}
                if fresh:
                    if engine is None:
                        yield EngineStarting(self.spec.name)
                        engine = self.start_engine()
                    vectors = self._vectors(engine, fresh)
                for failure in self._save(batch, vectors, collection, run_id):
                    yield Failed(failure)
                done += len(batch)
                yield Progress(done, plan.work, self._rate())
        finally:
            readers.shutdown(cancel_futures=True)
            lookup.close()

    def _read_ahead(
        self,
        readers: ThreadPoolExecutor,
        work: Iterator[Work],
        lookup: Lookup,
        collection: Collection,
    ) -> Iterator[Read]:
        """Read and prepare files on other threads, in order, a few batches ahead of their use."""
        waiting: deque[Future[Read]] = deque()
        for item in work:
            waiting.append(readers.submit(self._read, item, lookup, collection))
            if len(waiting) >= AHEAD * self.batch_size:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _read(self, work: Work, lookup: Lookup, collection: Collection) -> Read:
        size, mtime_ns = work.size, work.mtime_ns
        result: images.Prepared | Known | Failure
        try:
            data, state = images.read(work.path)
            size, mtime_ns = state.st_size, state.st_mtime_ns
            image_id = lookup.embedded(collection, images.digest(data))
            if image_id is not None:
                result = Known(image_id)
            else:
                result = images.prepare(data, self.spec.image, self.options.max_megapixels)
        except PictureError as error:
            result = Failure(work.path, error.stage, str(error))
        return Read(work, result, size, mtime_ns)

    def _vectors(
        self, engine: Engine, fresh: dict[str, images.Prepared]
    ) -> dict[str, bytes | Refusal]:
        """Embed pictures, given by hash."""
        prompt, begun = document_prompt(self.spec), time.monotonic()
        outputs = engine.embed([EngineInput(prompt, picture.image) for picture in fresh.values()])
        self.embedding_seconds += time.monotonic() - begun
        vectors: dict[str, bytes | Refusal] = {}
        for sha256, output in zip(fresh, outputs, strict=True):
            vectors[sha256] = output if isinstance(output, Refusal) else pack(output)
            self.embedded += not isinstance(output, Refusal)
        return vectors

    def _save(
        self,
        batch: list[Read],
        vectors: dict[str, bytes | Refusal],
        collection: Collection,
        run_id: int,
    ) -> list[Failure]:
        """Write a batch in one transaction; return what could not be used."""
        failures = []
        with self.catalog.atomic():
            for read in batch:
                failure = self._save_one(read, vectors, collection, run_id)
                if failure:
                    state = Work(read.work.path, read.size, read.mtime_ns, None)
                    self.catalog.save_failure(collection, run_id, state, failure)
                    failures.append(failure)
        self.failed += len(failures)
        self.added += len(batch) - len(failures)
        return failures

    def _save_one(
        self,
        read: Read,
        vectors: dict[str, bytes | Refusal],
        collection: Collection,
        run_id: int,
    ) -> Failure | None:
        if isinstance(read.result, Failure):
            return read.result
        if isinstance(read.result, Known):
            image_id = read.result.image_id
            self.known[image_id] += 1
            vector: bytes | Refusal | None = None
        else:
            image_id = self.catalog.save_image(read.result.sha256, read.result.info)
            vector = vectors[read.result.sha256]
        path = read.work.path
        self.catalog.save_file(run_id, path, read.size, read.mtime_ns, image_id)
        if isinstance(vector, Refusal):
            return Failure(path, "embed", vector.reason)
        if vector is not None:
            self.catalog.save_embedding(collection, image_id, vector)
        self.catalog.forget_failure(collection, path)
        return None

    def _remove(self, seen: Seen, unreadable: list[Failure]) -> tuple[int, int]:
        """Forget vanished files; return how many moved, and how many are gone.

        Nothing below a folder that could not be read counts as vanished.
        """
        gone = self._vanished(seen, unreadable)
        seen.forget(gone, [] if unreadable else self.roots)
        moved = sum((Counter(gone.values()) & self.known).values())
        return moved, len(gone) - moved

    def _vanished(self, seen: Seen, unreadable: list[Failure]) -> dict[str, int]:
        """Return the image ids of known files that are not there any more, by path."""
        hidden = tuple(f"{failure.path}{os.sep}" for failure in unreadable)
        gone = {path: id for root in self.roots for path, id in seen.vanished(root)}
        return {p: id for p, id in gone.items() if not f"{p}{os.sep}".startswith(hidden)}


def _is_picture(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (speed)
            return images.looks_like_picture(file.read(images.HEAD))
    except OSError:
        return False
