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

GRACE = 1.0  # seconds that a thread has to end in when all is closed
LOOK = 0.5  # seconds between two looks at a file that is being read

Result = TypeVar("Result")


class Reading(Generic[Result]):
    """A call that a thread makes, or is to make."""

    def __init__(self, call: Callable[[Reading[Result]], Result]) -> None:
        """Do nothing yet."""
        self._call = call
        self._result: Future[Result] = Future()
        self._since: float | None = None
        self._times = 1.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def limited(self, times: float = 1.0) -> Iterator[None]:
        """Let the block be given up where it takes too long, or so many times as long."""
        self._times, self._since = times, time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def make(self) -> bool:
        """Make the call; return whether anybody still waits for what comes of it."""
        self._thread = threading.current_thread()
        try:
            result = self._call(self)
        except Exception as error:
            return self._settle(partial(self._result.set_exception, error))
        return self._settle(partial(self._result.set_result, result))

    def wait(self, seconds: float) -> bool:
        """Wait for the result; return False once a limited block has taken so many seconds."""
        while not self._result.done():  # mostly it is
            if wait([self._result], timeout=min(LOOK, seconds)).done:
                break
            since = self._since
            if since is not None and time.monotonic() - since > seconds * self._times:
                return False
        return True

    def give_up(self, result: Result) -> bool:
        """Take another result; return False where the call's own has come meanwhile.

        The thread ends as soon as it is back in Python. In C it goes on for as long as that takes.
        """
        if not self._settle(partial(self._result.set_result, result)):
            return False
        if self._thread is not None and self._thread.ident is not None:
            number = ctypes.c_ulong(self._thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))
        return True

    @property
    def under_way(self) -> bool:
        """Tell whether the thread that began has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def result(self) -> Result:
        """Return what has come of the call, or raise what it has raised."""
        return self._result.result()

    @staticmethod
    def _settle(how: Callable[[], None]) -> bool:
        with suppress(InvalidStateError):
            how()
            return True
        return False


class Readers(Generic[Result]):
    """So many threads, whatever becomes of single ones; none keeps the process from ending."""

    def __init__(self, count: int) -> None:
        """Start the threads."""
        self._waiting: SimpleQueue[Reading[Result] | None] = SimpleQueue()
        self._threads = [self._start() for _ in range(count)]
        self._given_up: list[Reading[Result]] = []

    def submit(self, call: Callable[[Reading[Result]], Result]) -> Reading[Result]:
        """Let a thread make a call, when those before it are made; it is told its Reading."""
        reading = Reading(call)
        self._waiting.put(reading)
        return reading

    def result(
        self, reading: Reading[Result], seconds: float, late: Callable[[], Result]
    ) -> Result:
        """Wait for a result; what is late after so many seconds has another, and is given up."""
        if not reading.wait(seconds) and reading.give_up(late()):
            self._given_up.append(reading)
            self._threads.append(self._start())
        return reading.result()

    @property
    def stuck(self) -> int:
        """Return how many threads that were given up have not ended yet."""
        self._given_up = [reading for reading in self._given_up if reading.under_way]
        return len(self._given_up)

    def close(self) -> None:
        """Begin no call any more, and give those under way a moment."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self) -> threading.Thread:
        # A daemon, since the end of the process must not wait for one that was given up.
        thread = threading.Thread(target=self._run, name="reader", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        with suppress(SystemExit):  # by give_up
            while reading := self._waiting.get():
                if not reading.make():
                    return
