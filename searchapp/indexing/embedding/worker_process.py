"""Start one worker process, and track its state in the parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from searchapp.catalog import FileTask
from searchapp.indexing.embedding import worker
from searchapp.indexing.embedding.worker import EmbeddingJob

EXIT_TIMEOUT_S = 10.0  # for a worker whose socket is closed, to end with its own exit code


@dataclass(slots=True)
class WorkerProcess:
    """A worker process with its connection, its batches and its state, as the parent sees it."""

    environment: Mapping[str, str]  # variables that assign it to a GPU or to cores
    process: subprocess.Popen[bytes]
    connection: Connection
    batches: deque[list[FileTask]] = field(default_factory=deque)  # sent and not answered yet
    is_isolated: bool = False  # Its only file is a suspect: it gets no other file.
    is_up: bool = False  # It has received the job: from now on, a file can cause its end.
    answer_count: int = 0
    is_starting: bool = False  # Its engine starts, or has started.
    is_ready: bool = False  # Its engine runs.
    last_heard_at: float = field(default_factory=time.monotonic)  # last message, or last idle
    silent_s: float | None = None  # seconds without a message, after which it was killed

    @property
    def name(self) -> str:
        """Return the name of this worker for log messages."""
        return f"worker {self.process.pid}"

    @property
    def can_blame_file(self) -> bool:
        """Return whether a file can be the cause if this worker ends now.

        While the process or its engine starts, no file is the cause.
        """
        return self.is_up and (self.is_ready or not self.is_starting)

    def send_batch(self, tasks: list[FileTask]) -> None:
        """Send a batch of files to the worker."""
        self.batches.append(tasks)
        with suppress(OSError):  # The worker has ended; receiving from it raises EOFError.
            worker.send_files(self.connection, tasks)

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
        code = self.process.returncode
        if code == 0:
            return "too many of its decoders are stuck"
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


def start_worker(job: EmbeddingJob, environment: Mapping[str, str]) -> WorkerProcess:
    """Start a worker process with additional environment variables, and send it the job."""
    own_socket, worker_socket = socket.socketpair()
    with worker_socket:
        process = subprocess.Popen(
            [sys.executable, "-m", worker.__name__, str(worker_socket.fileno())],
            pass_fds=[worker_socket.fileno()],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if job.arguments.get("verbose") else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must reach the parent only.
        )
    started = WorkerProcess(environment, process, Connection(own_socket.detach()))
    with suppress(OSError):  # The worker has ended; receiving from it raises EOFError.
        started.connection.send_bytes(job.to_json())
    return started
