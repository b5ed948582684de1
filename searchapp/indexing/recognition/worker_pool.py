"""Run worker processes that recognize text; replace those that die or hang."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from searchapp.catalog import UnreadImage
from searchapp.engines import machine
from searchapp.errors import SearchAppError
from searchapp.indexing.child_process import describe_exit, start_module
from searchapp.indexing.recognition import worker
from searchapp.indexing.recognition.worker import RecognizedImage
from searchapp.types import TEXT_FAILURE_STAGE, Failure

logger = logging.getLogger(__name__)

MAX_WORKERS = 8
WORKER_MIB = 1000  # memory that one worker needs
MAX_IMAGES_PER_WORKER = 2  # including the one in progress
MAX_FAILED_STARTS = 3
MAX_DEATHS_PER_IMAGE = 2  # workers that may die while they read the same image
# A worker is killed after this time without an answer. It has a low priority, so it can wait long
# for a core.
ANSWER_TIMEOUT_S = START_TIMEOUT_S = 900.0
# Each worker uses one core; the libraries would start one thread for each core.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


def count_workers(*, is_engine_running: bool) -> int:
    """Return the number of worker processes for the cores and the free memory of this machine."""
    cores = len(machine.list_cores())
    by_cores = cores // 2 if is_engine_running else cores
    free_mib = machine.read_free_memory_mib()
    by_memory = MAX_WORKERS if free_mib is None else free_mib // 2 // WORKER_MIB
    return max(1, min(by_cores, by_memory, MAX_WORKERS))


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    images: deque[UnreadImage] = field(default_factory=deque)  # sent and not answered yet
    is_up: bool = False  # Its reader has started: from now on, a picture can cause its end.
    last_heard_at: float = field(default_factory=time.monotonic)  # last answer, or last idle

    def stop(self) -> None:
        """Kill the process, and wait until it has ended."""
        self.process.kill()
        self.process.wait()
        self.connection.close()

    def describe_end(self) -> str:
        """Return why the ended process ended: a signal or an exit code."""
        return describe_exit(self.process.wait())


class TextWorkerPool:
    """Pool of worker processes that recognize text; a context manager that kills them."""

    def __init__(self, count: int, reader: str, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Prepare a pool; the first image starts the first worker.

        count: maximum number of processes. reader: see load_reader.
        """
        self._count, self._reader, self._answer_timeout_s = count, reader, answer_timeout_s
        self._workers: list[_Worker] = []
        self._waiting: deque[UnreadImage] = deque()
        self._death_count_by_image: Counter[int] = Counter()
        self._failed_starts = 0  # in a row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pending_count(self) -> int:
        """Return the number of submitted images that are not received yet."""
        return len(self._waiting) + sum(len(worker.images) for worker in self._workers)

    @property
    def free_count(self) -> int:
        """Return the number of images that keep all workers busy for a while."""
        return max(0, self._count * MAX_IMAGES_PER_WORKER - self.pending_count)

    def submit(self, image: UnreadImage) -> None:
        """Send an image to a worker that is free, or keep it until a worker is."""
        self._waiting.append(image)
        self._send_waiting_images()

    def receive(self, timeout_s: float) -> list[RecognizedImage]:
        """Return the outcomes that are ready; wait up to timeout_s for the first one.

        Raises SearchAppError if the reader does not start.
        """
        connections = {worker.connection: worker for worker in self._workers}
        outcomes: list[RecognizedImage] = []
        while ready := wait(list(connections), timeout=0 if outcomes else timeout_s):
            for connection in ready:
                assert isinstance(connection, Connection)
                current = connections[connection]
                try:
                    outcome = worker.receive_outcome(connection)
                    current.last_heard_at = time.monotonic()
                    current.is_up, self._failed_starts = True, 0
                    if outcome is not None:
                        outcomes.append(outcome)
                        current.images.popleft()
                except (EOFError, OSError):
                    del connections[connection]
                    outcomes += self._remove_dead_worker(current)
            self._send_waiting_images()
            if outcomes and not self.pending_count:
                break
        self._kill_silent_workers()
        return outcomes

    def close(self) -> None:
        """Kill all workers."""
        for each in self._workers:
            each.process.kill()
        for each in self._workers:
            each.stop()
        self._workers = []

    def _send_waiting_images(self) -> None:
        while self._waiting:
            free = min(self._workers, key=lambda each: len(each.images), default=None)
            if (free is None or free.images) and len(self._workers) < self._count:
                free = _start_worker(self._reader)
                self._workers.append(free)
            if free is None or len(free.images) >= MAX_IMAGES_PER_WORKER:
                return
            if not free.images:
                free.last_heard_at = time.monotonic()
            free.images.append(self._waiting.popleft())
            with suppress(OSError):  # The worker has ended; receive() finds out.
                worker.send_image(free.connection, free.images[-1])

    def _remove_dead_worker(self, dead: _Worker) -> list[RecognizedImage]:
        """Put back the images of a dead worker; return a failure if its image ends all workers."""
        self._workers.remove(dead)
        dead.stop()
        end = dead.describe_end()
        logger.info("A process that recognizes text ended (%s)", end)
        failures = []
        if not dead.is_up:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                raise SearchAppError(
                    f"The process that recognizes text ended {MAX_FAILED_STARTS} times while it "
                    f"started ({end}). The option -vv shows what it prints."
                )
        elif dead.images:
            first = dead.images[0]
            self._death_count_by_image[first.image_id] += 1
            if self._death_count_by_image[first.image_id] >= MAX_DEATHS_PER_IMAGE:
                dead.images.popleft()
                message = f"the process that recognizes text ended ({end})"
                failure = Failure(first.originals[0].path, TEXT_FAILURE_STAGE, message)
                failures.append(RecognizedImage(first.image_id, failure))
        self._waiting.extendleft(reversed(dead.images))
        return failures

    def _kill_silent_workers(self) -> None:
        """Kill workers that hang; receive() then replaces them."""
        now = time.monotonic()
        for each in self._workers:
            timeout_s = self._answer_timeout_s if each.is_up else START_TIMEOUT_S
            if each.images and now - each.last_heard_at > timeout_s:
                logger.info("A process that recognizes text sent nothing for %.0f s",
                            now - each.last_heard_at)  # fmt: skip
                each.process.kill()


def _start_worker(reader: str) -> _Worker:
    process, connection = start_module(
        worker.__name__, ENVIRONMENT, shows_errors=logger.isEnabledFor(logging.DEBUG)
    )
    logger.info("Started the process %d, which recognizes text", process.pid)
    started = _Worker(process, connection)
    with suppress(OSError):  # The worker has ended; receive() finds out.
        started.connection.send_bytes(json.dumps(reader).encode())
    return started
