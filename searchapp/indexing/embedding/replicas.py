"""Several processes, each with an engine of its own and its own files to read: bulk indexing.

vLLM prepares pictures on one thread, so one process leaves a small model's GPU idle for most of the
time. The parent only hands out files and collects vectors; what it holds is bounded by the batches
under way, whatever the number of files.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

from searchapp.catalog import FileTask
from searchapp.errors import EngineError, error_from_dict
from searchapp.indexing.embedding import worker
from searchapp.indexing.embedding.pipeline import Outcome, count_max_pictures, take_batch
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.types import EngineStarting, Failure

MAX_BATCHES_PER_WORKER = 3  # batches that a worker has, one of them under way
MIN_BATCH_FILES = (
    16  # files of a batch: of a worker's first, which may wait for its engine, and the last
)
MAX_DEATHS_PER_FILE = 2  # times that a picture must end a worker that had nothing else
MAX_FAILED_STARTS = 3  # workers in a row that may end before any engine runs
ANSWER_TIMEOUT_S = (
    600.0  # seconds that a worker may answer nothing, with its engine running, and files to do
)
TIMEOUT_PER_FILE_S = (
    60.0  # and so many more for every file of its batch: a large model on a CPU is slow
)
START_TIMEOUT_FACTOR = 3.0  # times as long while its engine starts


@dataclass(slots=True)
class Replica:
    """A worker as its parent sees it."""

    environment: Mapping[str, str]  # its environment
    process: subprocess.Popen[bytes]
    connection: Connection
    batches: deque[list[FileTask]] = field(default_factory=deque)
    is_isolated: bool = False  # its file is a suspect: it gets nothing else
    is_up: bool = False
    answer_count: int = 0
    is_starting: bool = False
    is_ready: bool = False
    last_heard_at: float = field(
        default_factory=time.monotonic
    )  # when it last answered, or was idle
    silent_s: float | None = None  # seconds that it said nothing, and was ended for

    def describe_end(self) -> str:
        """Say how its process ended."""
        if self.silent_s is not None:
            return f"it said nothing for {self.silent_s:.0f} s"
        return _describe_exit(self.process.returncode)


class ReplicaPool:
    """Workers, one for each place; a place is the environment that puts it on a GPU or on cores."""

    def __init__(
        self,
        job: EmbeddingJob,
        environments: Sequence[Mapping[str, str]],
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        timeout_per_file_s: float = TIMEOUT_PER_FILE_S,
    ) -> None:
        """Start no process yet.

        quiet: seconds, and a_file as many more for each file of its batch, after which a worker
        that answers nothing is taken for dead.
        """
        self._answer_timeout_s, self._timeout_per_file_s = answer_timeout_s, timeout_per_file_s
        self._job = job
        self._environments = environments
        self._replicas: list[Replica] = []
        self._suspects: deque[FileTask] = deque()  # each was with a worker when that died
        self._deaths_by_path: Counter[str] = Counter()  # by path, of workers that had nothing else
        self._failed_starts = 0
        self._has_announced_start = False
        self.file_count_by_node: Mapping[str, int] = {}  # all is done on this one
        self.ready_at: float | None = None  # when the first engine ran, by time.monotonic
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(
            float
        )  # by stage: see Pipeline

    def start_engines(self) -> list[float]:
        """Start all engines and wait for them; return the seconds that each took.

        One that does not start is left out; errors: EngineError and ModelError where none does.
        """
        started_at, seconds = time.monotonic(), list[float]()
        reason: Exception = EngineError("no engine")
        self._job = replace(self._job, starts_early=True)
        for place in self._environments:
            self._start_worker(place)
        waiting = {replica.connection: replica for replica in self._replicas}
        while waiting:
            for connection in wait(list(waiting)):
                assert isinstance(connection, Connection)
                replica = waiting[connection]
                try:
                    message = worker.receive_message(connection)
                except (EOFError, OSError):
                    code = replica.process.wait()
                    reason = EngineError(f"the engine's process ended: {_describe_exit(code)}")
                    message = {}
                if "up" in message:
                    replica.is_up = True
                    continue
                del waiting[connection]
                if "error" in message:
                    reason = error_from_dict(message["error"])
                if "ready" in message:
                    replica.is_ready = replica.is_starting = True
                    seconds.append(time.monotonic() - started_at)
                else:
                    self._stop_worker(replica)
        if not self._replicas:
            raise reason
        self.ready_at = time.monotonic()
        return seconds

    def run(self, works: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size, in whatever order they are done.

        A worker that dies, or hangs, is replaced, and its files go to others one by one; a file
        that ends DEADLY workers which have nothing else is a failure. Errors: EngineError and
        ModelError where no engine starts.
        """
        self._work_queue = _WorkQueue(works, size, len(self._environments))
        for place in self._environments if not self._replicas else ():
            if not self._work_queue:
                break
            self._start_worker(place)
        while True:
            for replica in self._replicas:
                self._feed_worker(replica)
            self._reassign_late_files()
            if not any(replica.batches for replica in self._replicas):
                return
            connections = {replica.connection: replica for replica in self._replicas}
            for connection in wait(list(connections), timeout=self._answer_timeout_s / 10):
                assert isinstance(connection, Connection)
                yield from self._receive_message(connections[connection])
            self._kill_silent_workers()

    def stop_and_drain(self) -> Iterator[list[Outcome]]:
        """End the workers at once; return what they had embedded and nobody had taken yet."""
        for replica in self._replicas:
            replica.process.kill()
        for replica in self._replicas:
            with suppress(Exception):  # the end of the stream, or of a half-read message
                while replica.batches:
                    message = worker.receive_message(replica.connection)
                    if "outcomes" in message:
                        works = replica.batches.popleft()
                        yield worker.receive_outcomes(replica.connection, message, works)
        self.close()

    def close(self) -> None:
        """End the workers."""
        for replica in self._replicas:
            replica.process.kill()
        for replica in self._replicas:
            replica.process.wait()
            replica.connection.close()
        self._replicas = []

    def _start_worker(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", worker.__name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if self._job.arguments.get("verbose") else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the parent's to hear
            )
        replica = Replica(environment, process, Connection(ours.detach()))
        self._replicas.append(replica)
        with suppress(OSError):  # it has died: its end will be heard
            replica.connection.send_bytes(self._job.to_json())

    def _feed_worker(self, replica: Replica) -> None:
        """Give a worker files, as long as it is not known to be starting its engine."""
        if replica.is_starting and not replica.is_ready:
            return
        if self._suspects and not replica.batches:
            self._send_batch(replica, [self._suspects.popleft()])
            replica.is_isolated = True
        depth = MAX_BATCHES_PER_WORKER if replica.is_ready or replica.answer_count else 1
        while not replica.is_isolated and len(replica.batches) < depth:
            if self._suspects:  # they come first, and each to a worker that has nothing else
                return
            works = self._work_queue.take_batch(MIN_BATCH_FILES << min(replica.answer_count, 16))
            if not works:
                return
            self._send_batch(replica, works)

    def _send_batch(self, replica: Replica, works: list[FileTask]) -> None:
        replica.batches.append(works)
        with suppress(OSError):  # it has died: its end will be heard
            worker.send_files(replica.connection, works)

    def _kill_silent_workers(self) -> None:
        """End workers that hang: their end will be heard, and their files go to others."""
        now = time.monotonic()
        for replica in self._replicas:
            if not replica.batches or replica.connection.poll():
                replica.last_heard_at = now
                continue
            allowed_s = self._answer_timeout_s + self._timeout_per_file_s * sum(
                map(count_max_pictures, replica.batches[0])
            )
            if not replica.is_ready:
                allowed_s *= START_TIMEOUT_FACTOR
            if replica.silent_s is None and now - replica.last_heard_at > allowed_s:
                replica.silent_s = now - replica.last_heard_at
                replica.process.kill()

    def _receive_message(self, replica: Replica) -> Iterator[list[Outcome] | EngineStarting]:
        try:
            message = worker.receive_message(replica.connection)
            replica.last_heard_at = time.monotonic()
            if "outcomes" in message:
                outcomes = worker.receive_outcomes(replica.connection, message, replica.batches[0])
                replica.batches.popleft()
                replica.answer_count += 1
                replica.is_isolated = False
                for stage, seconds in message["seconds"].items():
                    self.seconds_by_stage[stage] += seconds
                yield outcomes
            elif "up" in message:
                replica.is_up = True
            elif "ready" in message:
                replica.is_ready, self._failed_starts = True, 0
                self.ready_at = self.ready_at or time.monotonic()
            elif "starting" in message:
                replica.is_starting = True
                if not self._has_announced_start:
                    self._has_announced_start = True
                    yield EngineStarting(self._job.spec.name)
            else:
                self._handle_failed_start(replica, message)
        except (EOFError, OSError):
            yield from self._replace_dead_worker(replica)

    def _handle_failed_start(self, replica: Replica, message: Mapping[str, Any]) -> None:
        """Go on without a worker whose engine does not start, where another's runs."""
        self._stop_worker(replica)
        if not self._replicas:
            raise error_from_dict(message["error"])
        for works in replica.batches:
            self._work_queue.put_back_batch(works)

    def _replace_dead_worker(self, replica: Replica) -> Iterator[list[Outcome]]:
        """Replace a worker that died, and suspect every file that it had read, or was to read."""
        self._stop_worker(replica)
        batches = list(replica.batches)
        if not replica.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS and not self._replicas:
                raise EngineError(
                    f"the engine's process ended {MAX_FAILED_STARTS} times before the model ran "
                    f"({replica.describe_end()}); -v shows what it says"
                )
        match batches:
            case [[work]] if replica.is_isolated and not _can_blame_file(replica):
                self._suspects.append(work)
            case _ if not _can_blame_file(replica):
                for works in batches:
                    self._work_queue.put_back_batch(works)
            case [[work]]:
                self._deaths_by_path[work.path] += 1
                if self._deaths_by_path[work.path] >= MAX_DEATHS_PER_FILE:
                    reason = f"the engine's process ended on it {MAX_DEATHS_PER_FILE} times ({replica.describe_end()})"
                    failure = Failure(work.path, "embed", reason)
                    yield [Outcome(work, failure, work.size, work.mtime_ns)]
                else:
                    self._suspects.append(work)
            case _:
                self._suspects.extend(work for works in batches for work in works)
        if self._failed_starts < MAX_FAILED_STARTS or not self._replicas:
            self._start_worker(replica.environment)

    def _reassign_late_files(self) -> None:
        """Take the files of workers that still start, where others have nothing left to do."""
        if (
            self._work_queue
            or self._suspects
            or not any(replica.is_ready and not replica.batches for replica in self._replicas)
        ):
            return
        late_replicas = [
            replica
            for replica in self._replicas
            if replica.batches
            and not replica.is_ready
            and (replica.is_starting or not replica.answer_count)
        ]
        for replica in late_replicas:
            self._stop_worker(replica)
            for works in replica.batches:
                self._work_queue.put_back_batch(works)
        for replica in self._replicas:
            self._feed_worker(replica)

    def _stop_worker(self, replica: Replica) -> None:
        self._replicas.remove(replica)
        replica.process.kill()
        replica.process.wait()
        replica.connection.close()


class _WorkQueue:
    """Files that no worker has yet, of which the next are known: the last are shared out evenly."""

    def __init__(self, works: Iterable[FileTask], size: int, workers: int) -> None:
        """Give batches of a size, and smaller ones when few files are left."""
        self._remaining_works, self._size, self._workers = iter(works), size, workers
        self._lookahead: deque[FileTask] = deque()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        self._fill_lookahead()
        return bool(self._lookahead)

    def take_batch(self, max_pictures: int) -> list[FileTask]:
        """Return a batch of so many pictures, or little more; empty where there is none."""
        self._fill_lookahead()
        share = max(MIN_BATCH_FILES, len(self._lookahead) // (2 * self._workers))
        return take_batch(iter(self._pop_work, None), min(self._size, share, max_pictures))

    def _pop_work(self) -> FileTask | None:
        return self._lookahead.popleft() if self._lookahead else None

    def put_back_batch(self, batch: list[FileTask]) -> None:
        self._lookahead.extendleft(reversed(batch))

    def _fill_lookahead(self) -> None:
        missing_count = 2 * self._workers * self._size - len(self._lookahead)
        self._lookahead.extend(islice(self._remaining_works, max(0, missing_count)))


def _can_blame_file(replica: Replica) -> bool:
    """Tell whether a file can be to blame for a worker's end: not while it or its engine starts."""
    return replica.is_up and (replica.is_ready or not replica.is_starting)


def _describe_exit(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
