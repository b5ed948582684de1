"""Fetch pictures from object storage ahead of the decoders, several at a time."""

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

MAX_PREFETCHED_FILES = 16  # files being fetched, or waiting in memory to be decoded

Content = tuple[bytes, FileState]


class Prefetcher:
    """Threads that fetch files from object storage in the order in which decoders need them."""

    def __init__(self) -> None:
        """Start no thread yet, because local files need no thread."""
        self._pool: ReaderPool[None] | None = None
        self._lock = threading.Lock()
        self._queue: deque[tuple[FileTask, Future[Content]]] = deque()
        self._free_slots = MAX_PREFETCHED_FILES

    def start_fetch(self, task: FileTask) -> Callable[[], Content]:
        """Queue a file to be fetched; return a function that waits for the file's content.

        The caller must call the function once. The function raises PictureError if the file
        cannot be read. A local file is not queued: the function reads the file.
        """
        if not storage.is_url(task.path):
            return partial(storage.read_file, task.path)
        future: Future[Content] = Future()
        with self._lock:
            self._queue.append((task, future))
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
        """Stop fetching files; fetches in progress end by themselves."""
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


def _fetch_file(task: FileTask, future: Future[Content], reading: ReaderTask[None]) -> None:
    try:
        future.set_result(storage.read_file(task.path, FileState(task.size, task.mtime_ns)))
    except Exception as error:  # The caller of the returned function gets it.
        future.set_exception(error)
