"""Recognize the text of unread images, and save it: beside an index run, or alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from searchapp.catalog import Catalog, UnreadScope
from searchapp.errors import SearchAppError
from searchapp.indexing.recognition.worker import RecognizedImage
from searchapp.indexing.recognition.worker_pool import TextWorkerPool, count_workers
from searchapp.pictures.recognition import text_reader
from searchapp.types import TEXT_FAILURE_STAGE, Failure, FileFailed, TextProgress, TextSummary

logger = logging.getLogger(__name__)

RECEIVE_TIMEOUT_S = 1.0
# These stages depend on the picture, so that another attempt fails, too. Other failures, such as a
# missing file, are not saved.
LASTING_STAGES = ("decode", TEXT_FAILURE_STAGE)


def start_recognition(
    catalog: Catalog,
    scope: UnreadScope,
    *,
    is_engine_running: bool,
    after_id: int = 0,
    limit: int | None = None,
) -> TextRecognition:
    """Return a text recognition with the default reader; the first image starts a process."""
    reader = text_reader.DEFAULT_READER
    pool = TextWorkerPool(count_workers(is_engine_running=is_engine_running), reader)
    name = text_reader.load_reader(reader).name
    return TextRecognition(catalog, scope, pool, name, after_id=after_id, limit=limit)


class TextRecognition:
    """Feeds worker processes with unread images, and saves their results; a context manager.

    The catalog is used only on the caller's thread, so poll() must be called regularly.
    """

    def __init__(
        self,
        catalog: Catalog,
        scope: UnreadScope,
        pool: TextWorkerPool,
        reader_name: str,
        *,
        after_id: int = 0,
        limit: int | None = None,
    ) -> None:
        """Prepare to recognize text; poll() and finish() do the work.

        after_id: leave out images with ids up to this one. limit: maximum number of images.
        """
        self._texts = catalog.recognized_texts
        self._scope, self._pool, self._reader_name = scope, pool, reader_name
        self._first_id = self._last_id = after_id
        self._rest = limit
        self._started_at = time.monotonic()
        self._failed_ids: set[int] = set()  # that count as unread, but are not tried again now
        self._start_error: SearchAppError | None = None
        self.read_count = self.with_text_count = self.failed_count = 0
        self._total = self._count_total()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Save what the workers have sent, and kill them."""
        try:
            if error is not None and not isinstance(error, SearchAppError):
                self._save(self._pool.receive(0.0))
        finally:
            self._pool.close()

    def expect(self, count: int) -> None:
        """Note that other work is about to add this number of images, for the progress."""
        self._total += count

    def poll(self) -> Iterator[TextProgress | FileFailed]:
        """Save the results that are ready, and send further images to the workers; do not wait.

        If the reader does not start, the other work continues, and finish() raises the error.
        """
        if self._start_error is not None:
            return
        self._submit()
        if self._pool.pending_count:
            try:
                outcomes = self._pool.receive(0.0)
            except SearchAppError as error:
                self._start_error = error
                return
            yield from self._save(outcomes)
            self._submit()

    def finish(self) -> Iterator[TextProgress | FileFailed]:
        """Read all unread images, and yield the progress.

        Raises SearchAppError if the reader does not start.
        """
        if self._start_error is not None:
            raise self._start_error
        self._total = self._count_total()
        for _ in range(2):  # An image can become unread behind the last id: a file came back.
            self._submit()
            while self._pool.pending_count:
                yield from self._save(self._pool.receive(RECEIVE_TIMEOUT_S))
                self._submit()
            self._last_id = self._first_id

    def summarize(self) -> TextSummary:
        """Return the counts of the images that were read."""
        return TextSummary(
            self.read_count,
            self.with_text_count,
            self.failed_count,
            self._texts.count_unread(self._scope, self._first_id),
            round(time.monotonic() - self._started_at, 3),
            self._reader_name,
        )

    def _submit(self) -> None:
        """Send unread images to free workers."""
        while count := self._pool.free_count:
            if self._rest is not None:
                count = min(count, self._rest)
            images = self._texts.list_unread(self._scope, self._last_id, count) if count else []
            if not images:
                return
            self._last_id = images[-1].image_id
            for image in images:
                if image.image_id not in self._failed_ids:
                    self._pool.submit(image)
                    self._rest = None if self._rest is None else self._rest - 1

    def _count_total(self) -> int:
        """Return the number of images that were read, or must be read."""
        unread = self._texts.count_unread(self._scope, self._first_id)
        if self._rest is not None:
            unread = min(unread, self._rest + self._pool.pending_count)
        return self.read_count + self.failed_count + max(0, unread - len(self._failed_ids))

    def _save(self, outcomes: list[RecognizedImage]) -> list[TextProgress | FileFailed]:
        """Save outcomes; return the failures and the progress."""
        if not outcomes:
            return []
        saved = []
        failures = []
        for outcome in outcomes:
            result = outcome.result
            if isinstance(result, Failure):
                logger.info("Recognized no text in %s: %s", result.path, result.message)
                # The picture itself is indexed: only its text failed.
                failures.append(replace(result, stage=TEXT_FAILURE_STAGE))
                is_lasting = result.stage in LASTING_STAGES
                if self._scope.retry_failed or not is_lasting:
                    self._failed_ids.add(outcome.image_id)
                if not is_lasting:
                    continue
            else:
                self.with_text_count += bool(result)
            saved.append((outcome.image_id, result))
        self._texts.save_outcomes(saved, self._reader_name)
        self.read_count += len(outcomes) - len(failures)
        self.failed_count += len(failures)
        done = self.read_count + self.failed_count
        return [*map(FileFailed, failures), TextProgress(done, max(done, self._total))]
