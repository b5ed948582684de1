"""Threads that read and decode files, and that can be abandoned if a decoder gets stuck.

Python cannot stop a thread that runs C code. A stuck thread is abandoned, and another takes its
place.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 1.0  # how long close() waits for all threads together
POLL_INTERVAL_S = 0.5  # between two checks whether a task takes too long

Result = TypeVar("Result")


class ReaderTask(Generic[Result]):
    """A call that a ReaderPool runs on one of its threads, and its result."""

    def __init__(self, call: Callable[[ReaderTask[Result]], Result]) -> None:
        """Make a task for a call that a thread runs later.

        call: takes this task as its argument, so that it can use limit_time.
        """
        self._call = call
        self._result: Future[Result] = Future()
        self._started_at: float | None = None
        self._timeout_factor = 1.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit_time(self, timeout_factor: float = 1.0) -> Iterator[None]:
        """Mark a block of code; wait() returns False if this block takes too long.

        timeout_factor: multiplies the timeout of wait().
        """
        self._timeout_factor, self._started_at = timeout_factor, time.monotonic()
        try:
            yield
        finally:
            self._started_at = None

    def run(self) -> bool:
        """Run the call on this thread; return False if the task was abandoned meanwhile."""
        self._thread = threading.current_thread()
        try:
            result = self._call(self)
        except Exception as error:
            return self._try_settle(partial(self._result.set_exception, error))
        except BaseException as error:  # SystemExit: of abandon, or of a library.
            reason = RuntimeError(f"reading a file raised {error!r}")
            return self._try_settle(partial(self._result.set_exception, reason))
        return self._try_settle(partial(self._result.set_result, result))

    def wait(self, timeout_s: float) -> bool:
        """Wait for the result; return False if a limit_time block takes longer than timeout_s."""
        while not self._result.done():  # The result is usually ready already.
            if wait([self._result], timeout=min(POLL_INTERVAL_S, timeout_s)).done:
                break
            started_at = self._started_at  # Read it once: limit_time() on the thread resets it.
            if started_at is None:
                continue
            if time.monotonic() - started_at > timeout_s * self._timeout_factor:
                return False
        return True

    def abandon(self, result: Result) -> bool:
        """Give the task a result before its call ends; return False if the call has ended already.

        The thread of an abandoned task ends as soon as the thread returns from C code to Python.
        """
        if not self._try_settle(partial(self._result.set_result, result)):
            return False
        if self._thread is not None and self._thread.ident is not None:
            thread_id = ctypes.c_ulong(self._thread.ident)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread_id, ctypes.py_object(SystemExit))
        return True

    @property
    def is_running(self) -> bool:
        """Return whether the thread that ran the call is still alive."""
        return self._thread is not None and self._thread.is_alive()

    def result(self) -> Result:
        """Return the result of the call, or raise its error."""
        return self._result.result()

    @staticmethod
    def _try_settle(set_outcome: Callable[[], None]) -> bool:
        with suppress(InvalidStateError):
            set_outcome()
            return True
        return False


class ReaderPool(Generic[Result]):
    """Daemon threads that run tasks in order; a stuck thread is replaced.

    Each task has a core for itself, except while it waits for another device (release_core).
    """

    def __init__(self, count: int) -> None:
        """Start `count` threads that run tasks, and allow them to use `count` cores."""
        self._cores = threading.Semaphore(count)
        self._queue: SimpleQueue[ReaderTask[Result] | None] = SimpleQueue()
        self._threads = [self._start_thread() for _ in range(count)]
        self._abandoned_tasks: list[ReaderTask[Result]] = []

    def add_waiting_threads(self, count: int) -> None:
        """Start more threads, so that up to `count` tasks can wait in a block of release_core."""
        self._threads += [self._start_thread() for _ in range(count)]

    @contextmanager
    def release_core(self) -> Iterator[None]:
        """Let another task run while the calling task waits in this block."""
        self._cores.release()
        try:
            yield
        finally:
            self._cores.acquire()

    def submit(self, call: Callable[[ReaderTask[Result]], Result]) -> ReaderTask[Result]:
        """Queue a call for the threads, and return the task of this call.

        call: takes its task as an argument, so that it can use limit_time.
        """
        task = ReaderTask(call)
        self._queue.put(task)
        return task

    def wait_for_result(
        self, task: ReaderTask[Result], timeout_s: float, make_late_result: Callable[[], Result]
    ) -> Result:
        """Return the result of a task; abandon the task if it takes too long.

        timeout_s: how long a limit_time block may take. make_late_result: makes the result of an
        abandoned task.
        """
        if not task.wait(timeout_s) and task.abandon(make_late_result()):
            logger.info("Abandoned a decoder thread: its task took longer than %.0f s.", timeout_s)
            self._abandoned_tasks.append(task)
            self._cores.release()
            self._threads.append(self._start_thread())
        return task.result()

    @property
    def stuck_count(self) -> int:
        """Return the number of abandoned threads that are still running."""
        self._abandoned_tasks = [task for task in self._abandoned_tasks if task.is_running]
        return len(self._abandoned_tasks)

    def close(self) -> None:
        """Drop all queued tasks, and wait up to CLOSE_TIMEOUT_S for the running tasks."""
        while not self._queue.empty():
            self._queue.get()
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_thread(self) -> threading.Thread:
        # A daemon, because the process must not wait for an abandoned thread when it exits.
        thread = threading.Thread(target=self._run_tasks, name="reader", daemon=True)
        thread.start()
        return thread

    def _run_tasks(self) -> None:
        with suppress(SystemExit):  # from ReaderTask.abandon
            while task := self._queue.get():
                self._cores.acquire()
                if not task.run():
                    return  # wait_for_result has released the core.
                self._cores.release()
