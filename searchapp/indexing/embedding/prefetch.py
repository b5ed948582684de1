"""Pictures in object storage, fetched before their turn: many wait for a network at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from searchapp.catalog import FileTask
from searchapp.files import storage
from searchapp.files.storage import FileState
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask

MAX_PREFETCHED_FILES = 16  # pictures that are on their way, or wait in memory to be decoded

Content = tuple[bytes, FileState]


class Prefetcher:
    """Threads that fetch in the order in which the decoders take."""

    def __init__(self) -> None:
        """Start no thread before there is something to fetch."""
        self._pool: ReaderPool[None] | None = None
        self._lock = threading.Lock()
        self._queue: deque[tuple[FileTask, Future[Content]]] = deque()
        self._free_slots = MAX_PREFETCHED_FILES

    def start_fetch(self, work: FileTask) -> Callable[[], Content]:
        """Fetch a file as soon as there is room; return what waits for it. Call that once.

        Errors, of what is returned: PictureError.
        """
        if not storage.is_url(work.path):
            return partial(storage.read_file, work.path)
        future: Future[Content] = Future()
        with self._lock:
            self._queue.append((work, future))
        self._start_queued_fetches()

        def wait_for_content() -> Content:
            try:
                return future.result()
            finally:
                with self._lock:
                    self._free_slots += 1
                self._start_queued_fetches()

        return wait_for_content

    def close(self) -> None:
        """Fetch nothing more."""
        with self._lock:
            self._queue.clear()
            if self._pool is not None:
                self._pool.close()

    def _start_queued_fetches(self) -> None:
        with self._lock:
            while self._free_slots and self._queue:
                self._pool = self._pool or ReaderPool(MAX_PREFETCHED_FILES)
                self._free_slots -= 1
                self._pool.submit(partial(_fetch_file, *self._queue.popleft()))


def _fetch_file(work: FileTask, future: Future[Content], reading: ReaderTask[None]) -> None:
    try:
        future.set_result(storage.read_file(work.path, FileState(work.size, work.mtime_ns)))
    except Exception as error:  # who takes it is told
        future.set_exception(error)
