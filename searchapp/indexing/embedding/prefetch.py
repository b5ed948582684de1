"""Pictures in object storage, fetched before their turn: many wait for a network at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from searchapp.catalog import Work
from searchapp.files import storage
from searchapp.files.storage import State
from searchapp.pictures.decoder_threads import Readers, Reading

FETCHERS = 16  # pictures that are on their way, or wait in memory to be decoded

Content = tuple[bytes, State]


class Fetching:
    """Threads that fetch in the order in which the decoders take."""

    def __init__(self) -> None:
        """Start no thread before there is something to fetch."""
        self._threads: Readers[None] | None = None
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Work, Future[Content]]] = deque()
        self._room = FETCHERS

    def begin(self, work: Work) -> Callable[[], Content]:
        """Fetch a file as soon as there is room; return what waits for it. Call that once.

        Errors, of what is returned: PictureError.
        """
        if not storage.is_url(work.path):
            return partial(storage.read, work.path)
        fetched: Future[Content] = Future()
        with self._lock:
            self._waiting.append((work, fetched))
        self._go_on()

        def take() -> Content:
            try:
                return fetched.result()
            finally:
                with self._lock:
                    self._room += 1
                self._go_on()

        return take

    def close(self) -> None:
        """Fetch nothing more."""
        with self._lock:
            self._waiting.clear()
            if self._threads is not None:
                self._threads.close()

    def _go_on(self) -> None:
        with self._lock:
            while self._room and self._waiting:
                self._threads = self._threads or Readers(FETCHERS)
                self._room -= 1
                self._threads.submit(partial(_fetch, *self._waiting.popleft()))


def _fetch(work: Work, fetched: Future[Content], reading: Reading[None]) -> None:
    try:
        fetched.set_result(storage.read(work.path, State(work.size, work.mtime_ns)))
    except Exception as error:  # who takes it is told
        fetched.set_exception(error)
