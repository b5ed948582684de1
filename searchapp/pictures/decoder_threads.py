"""Threads that read files in order, and that can be given up: nothing stops a decoder in C."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

CLOSE_TIMEOUT_S = 1.0  # seconds that a thread has to end in when all is closed
POLL_INTERVAL_S = 0.5  # seconds between two looks at a file that is being read

Result = TypeVar("Result")


class ReaderTask(Generic[Result]):
    """A call that a thread makes, or is to make."""

    def __init__(self, call: Callable[[ReaderTask[Result]], Result]) -> None:
        """Do nothing yet."""
        self._call = call
        self._result: Future[Result] = Future()
        self._started_at: float | None = None
        self._timeout_factor = 1.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit_time(self, timeout_factor: float = 1.0) -> Iterator[None]:
        """Let the block be given up where it takes too long, or so many times as long."""
        self._timeout_factor, self._started_at = timeout_factor, time.monotonic()
        try:
            yield
        finally:
            self._started_at = None

    def run(self) -> bool:
        """Make the call; return whether anybody still waits for what comes of it."""
        self._thread = threading.current_thread()
        try:
            result = self._call(self)
        except Exception as error:
            return self._try_settle(partial(self._result.set_exception, error))
        return self._try_settle(partial(self._result.set_result, result))

    def wait(self, timeout_s: float) -> bool:
        """Wait for the result; return False once a limited block has taken so many seconds."""
        while not self._result.done():  # mostly it is
            if wait([self._result], timeout=min(POLL_INTERVAL_S, timeout_s)).done:
                break
            since = self._started_at
            if since is not None and time.monotonic() - since > timeout_s * self._timeout_factor:
                return False
        return True

    def abandon(self, result: Result) -> bool:
        """Take another result; return False where the call's own has come meanwhile.

        The thread ends as soon as it is back in Python. In C it goes on for as long as that takes.
        """
        if not self._try_settle(partial(self._result.set_result, result)):
            return False
        if self._thread is not None and self._thread.ident is not None:
            number = ctypes.c_ulong(self._thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))
        return True

    @property
    def is_running(self) -> bool:
        """Tell whether the thread that began has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def result(self) -> Result:
        """Return what has come of the call, or raise what it has raised."""
        return self._result.result()

    @staticmethod
    def _try_settle(set_outcome: Callable[[], None]) -> bool:
        with suppress(InvalidStateError):
            set_outcome()
            return True
        return False


class ReaderPool(Generic[Result]):
    """So many threads, whatever becomes of single ones; none keeps the process from ending."""

    def __init__(self, count: int) -> None:
        """Start the threads."""
        self._queue: SimpleQueue[ReaderTask[Result] | None] = SimpleQueue()
        self._threads = [self._start_thread() for _ in range(count)]
        self._abandoned_tasks: list[ReaderTask[Result]] = []

    def submit(self, call: Callable[[ReaderTask[Result]], Result]) -> ReaderTask[Result]:
        """Let a thread make a call, when those before it are made; it is told its Reading."""
        reading = ReaderTask(call)
        self._queue.put(reading)
        return reading

    def wait_for_result(
        self, reading: ReaderTask[Result], timeout_s: float, make_late_result: Callable[[], Result]
    ) -> Result:
        """Wait for a result; what is late after so many seconds has another, and is given up."""
        if not reading.wait(timeout_s) and reading.abandon(make_late_result()):
            self._abandoned_tasks.append(reading)
            self._threads.append(self._start_thread())
        return reading.result()

    @property
    def stuck_count(self) -> int:
        """Return how many threads that were given up have not ended yet."""
        self._abandoned_tasks = [reading for reading in self._abandoned_tasks if reading.is_running]
        return len(self._abandoned_tasks)

    def close(self) -> None:
        """Begin no call any more, and give those under way a moment."""
        while not self._queue.empty():
            self._queue.get()
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_thread(self) -> threading.Thread:
        # A daemon, since the end of the process must not wait for one that was given up.
        thread = threading.Thread(target=self._run_tasks, name="reader", daemon=True)
        thread.start()
        return thread

    def _run_tasks(self) -> None:
        with suppress(SystemExit):  # by give_up
            while reading := self._queue.get():
                if not reading.run():
                    return
