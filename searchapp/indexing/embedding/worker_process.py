"""Start one worker process, and track its state in the parent."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from searchapp.catalog import FileTask
from searchapp.errors import EngineError, error_from_dict
from searchapp.indexing.child_process import describe_exit, start_module
from searchapp.indexing.embedding import worker
from searchapp.indexing.embedding.batches import count_max_pictures
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.worker import EmbeddingJob

START_TIMEOUT_FACTOR = 3.0  # Timeouts are this many times as long while the engine starts.
# After 3600 s without any progress, cli/watchdog.py ends the command. A worker that hangs with a
# large batch must be replaced before.
MAX_ANSWER_TIMEOUT_S = 3000.0
EXIT_TIMEOUT_S = 10.0  # for a worker whose socket is closed, to end with its own exit code


@dataclass(slots=True)
class WorkerProcess:
    """A worker process with its connection, its batches and its state, as the parent sees it."""

    environment: Mapping[str, str]  # variables that assign it to a GPU or to cores
    process: subprocess.Popen[bytes]
    connection: Connection
    # Sent and not answered yet, oldest first. An answer names the number of its batch: after Ctrl-C
    # at any moment, the outcomes of one batch must not be taken for those of another one.
    batches: dict[int, list[FileTask]] = field(default_factory=dict)
    sent_count: int = 0  # batches
    is_isolated: bool = False  # Its only file is a suspect: it gets no other file.
    is_paused: bool = False  # It gets no more batches for now.
    is_up: bool = False  # It has received the job: from now on, a file can cause its end.
    answer_count: int = 0
    gpu_decoded_count: int = 0  # pictures
    is_starting: bool = False  # Its engine starts, or has started.
    is_ready: bool = False  # Its engine runs.
    last_heard_at: float = field(default_factory=time.monotonic)  # last message, or last idle
    silent_s: float | None = None  # seconds without a message, after which it was killed

    @property
    def name(self) -> str:
        """Return the name of this worker for log messages."""
        return f"worker {self.process.pid}"

    @property
    def oldest_batch(self) -> list[FileTask]:
        """Return the batch that the worker embeds now; empty if it has none."""
        return next(iter(self.batches.values()), [])

    @property
    def can_blame_file(self) -> bool:
        """Return whether a file can be the cause if this worker ends now.

        While the process or its engine starts, no file is the cause.
        """
        return self.is_up and (self.is_ready or not self.is_starting)

    @property
    def waits_for_engine(self) -> bool:
        """Return whether its engine is starting; the worker gets files when the engine runs."""
        return self.is_starting and not self.is_ready

    @property
    def is_idle(self) -> bool:
        """Return whether this worker could embed more files now."""
        return self.is_ready and not self.batches and not self.is_paused

    @property
    def is_late(self) -> bool:
        """Return whether this worker has files, but its engine does not run yet."""
        is_starting = self.is_starting or not self.answer_count
        return bool(self.batches) and not self.is_ready and is_starting

    def kill_if_silent(self, answer_timeout_s: float, timeout_per_file_s: float) -> None:
        """Kill the process if it has files or starts, but sends nothing for too long: it hangs."""
        now = time.monotonic()
        if not (self.batches or self.waits_for_engine) or self.connection.poll():
            self.last_heard_at = now
            return
        pictures = sum(map(count_max_pictures, self.oldest_batch))
        allowed_s = compute_answer_timeout(
            pictures, answer_timeout_s, timeout_per_file_s, is_ready=self.is_ready
        )
        if self.silent_s is None and now - self.last_heard_at > allowed_s:
            self.silent_s = now - self.last_heard_at
            self.process.kill()

    def send_batch(self, tasks: list[FileTask]) -> None:
        """Send a batch of files to the worker."""
        self._send(tasks, is_cpu_only=False)

    def send_suspect(self, task: FileTask) -> None:
        """Send a suspect file, which is decoded on the CPU: the GPU's decoder may be the cause."""
        self._send([task], is_cpu_only=True)
        self.is_isolated = True

    def _send(self, tasks: list[FileTask], *, is_cpu_only: bool) -> None:
        number = self.sent_count
        self.sent_count += 1
        self.batches[number] = tasks
        with suppress(OSError):  # The worker has ended; receiving from it raises EOFError.
            worker.send_files(self.connection, number, tasks, is_cpu_only=is_cpu_only)

    def receive_outcomes(self, message: dict[str, Any]) -> list[Outcome]:
        """Return the outcomes that a message announces; the batch is then answered."""
        number = message["batch"]
        outcomes = worker.receive_outcomes(self.connection, message, self.batches[number])
        del self.batches[number]
        return outcomes

    def stop(self) -> None:
        """Kill the worker process and wait until it has ended."""
        self.process.kill()
        self.process.wait()
        self.connection.close()

    def wait_for_exit(self) -> None:
        """Wait until a worker that has closed its socket ends by itself with its own exit code."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(EXIT_TIMEOUT_S)

    def describe_end(self) -> str:
        """Return why the worker process ended: no message, a signal, or an exit code."""
        if self.silent_s is not None:
            return f"it sent nothing for {self.silent_s:.0f} s"
        if self.process.returncode == 0:
            return "too many of its decoders are stuck"
        return describe_exit(self.process.returncode)


def compute_answer_timeout(
    pictures: int, answer_timeout_s: float, timeout_per_file_s: float, *, is_ready: bool
) -> float:
    """Return the seconds in which an engine must embed a batch, or else hangs.

    is_ready: whether the engine runs already.
    """
    allowed_s = min(MAX_ANSWER_TIMEOUT_S, answer_timeout_s + timeout_per_file_s * pictures)
    return allowed_s if is_ready else allowed_s * START_TIMEOUT_FACTOR


def start_worker(job: EmbeddingJob, environment: Mapping[str, str]) -> WorkerProcess:
    """Start a worker process with additional environment variables, and send it the job."""
    process, connection = start_module(
        worker.__name__, environment, shows_errors=bool(job.arguments.get("verbose"))
    )
    started = WorkerProcess(environment, process, connection)
    with suppress(OSError):  # The worker has ended; receiving from it raises EOFError.
        started.connection.send_bytes(job.to_json())
    return started


def wait_for_engines(
    workers: Iterable[WorkerProcess],
) -> tuple[list[float], list[tuple[WorkerProcess, Exception]]]:
    """Wait until the engines of workers run, or do not start.

    Return the time.monotonic values when they were ready, and the workers whose engine does not
    start, with the reason.
    """
    ready_times, failures = list[float](), list[tuple[WorkerProcess, Exception]]()
    waiting = {each.connection: each for each in workers}
    while waiting:
        for connection in wait(list(waiting)):
            assert isinstance(connection, Connection)
            starting = waiting[connection]
            try:
                message = worker.receive_message(connection, starting.name)
            except (EOFError, OSError):
                starting.process.wait()
                end = starting.describe_end()
                reason = EngineError(f"the process ended while its engine started ({end})")
                failures.append((starting, reason))
                del waiting[connection]
                continue
            if "up" in message:
                starting.is_up = True
                continue
            del waiting[connection]
            if "error" in message:
                failures.append((starting, error_from_dict(message["error"])))
            else:
                starting.is_ready = starting.is_starting = True
                ready_times.append(time.monotonic())
    return ready_times, failures
