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

from searchapp.catalog import Work
from searchapp.errors import EngineError, error_from_dict
from searchapp.indexing.embedding import worker
from searchapp.indexing.embedding.pipeline import Outcome, take, weight
from searchapp.indexing.embedding.worker import Job
from searchapp.types import EngineStarting, Failure

DEPTH = 3  # batches that a worker has, one of them under way
SMALLEST = 16  # files of a batch: of a worker's first, which may wait for its engine, and the last
DEADLY = 2  # times that a picture must end a worker that had nothing else
STARTS = 3  # workers in a row that may end before any engine runs
QUIET = 600.0  # seconds that a worker may answer nothing, with its engine running, and files to do
A_FILE = 60.0  # and so many more for every file of its batch: a large model on a CPU is slow
A_START = 3.0  # times as long while its engine starts


@dataclass(slots=True)
class Replica:
    """A worker as its parent sees it."""

    place: Mapping[str, str]  # its environment
    process: subprocess.Popen[bytes]
    connection: Connection
    batches: deque[list[Work]] = field(default_factory=deque)
    alone: bool = False  # its file is a suspect: it gets nothing else
    up: bool = False
    answers: int = 0
    starting: bool = False
    ready: bool = False
    heard: float = field(default_factory=time.monotonic)  # when it last answered, or was idle
    quiet: float | None = None  # seconds that it said nothing, and was ended for

    def end(self) -> str:
        """Say how its process ended."""
        if self.quiet is not None:
            return f"it said nothing for {self.quiet:.0f} s"
        return _end(self.process.returncode)


class Replicas:
    """Workers, one for each place; a place is the environment that puts it on a GPU or on cores."""

    def __init__(
        self,
        job: Job,
        places: Sequence[Mapping[str, str]],
        quiet: float = QUIET,
        a_file: float = A_FILE,
    ) -> None:
        """Start no process yet.

        quiet: seconds, and a_file as many more for each file of its batch, after which a worker
        that answers nothing is taken for dead.
        """
        self._quiet, self._a_file = quiet, a_file
        self._job = job
        self._places = places
        self._replicas: list[Replica] = []
        self._suspects: deque[Work] = deque()  # each was with a worker when that died
        self._deaths: Counter[str] = Counter()  # by path, of workers that had nothing else
        self._failed_starts = 0
        self._announced = False
        self.nodes: Mapping[str, int] = {}  # all is done on this one
        self.ready_at: float | None = None  # when the first engine ran, by time.monotonic
        self.seconds: defaultdict[str, float] = defaultdict(float)  # by stage: see Pipeline

    def warm(self) -> list[float]:
        """Start all engines and wait for them; return the seconds that each took.

        One that does not start is left out; errors: EngineError and ModelError where none does.
        """
        begun, seconds = time.monotonic(), list[float]()
        reason: Exception = EngineError("no engine")
        self._job = replace(self._job, warm=True)
        for place in self._places:
            self._start(place)
        waiting = {replica.connection: replica for replica in self._replicas}
        while waiting:
            for connection in wait(list(waiting)):
                assert isinstance(connection, Connection)
                replica = waiting[connection]
                try:
                    message = worker.receive(connection)
                except (EOFError, OSError):
                    code = replica.process.wait()
                    reason = EngineError(f"the engine's process ended: {_end(code)}")
                    message = {}
                if "up" in message:
                    replica.up = True
                    continue
                del waiting[connection]
                if "error" in message:
                    reason = error_from_dict(message["error"])
                if "ready" in message:
                    replica.ready = replica.starting = True
                    seconds.append(time.monotonic() - begun)
                else:
                    self._dismiss(replica)
        if not self._replicas:
            raise reason
        self.ready_at = time.monotonic()
        return seconds

    def run(self, works: Iterable[Work], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size, in whatever order they are done.

        A worker that dies, or hangs, is replaced, and its files go to others one by one; a file
        that ends DEADLY workers which have nothing else is a failure. Errors: EngineError and
        ModelError where no engine starts.
        """
        self._waiting = _Waiting(works, size, len(self._places))
        for place in self._places if not self._replicas else ():
            if not self._waiting:
                break
            self._start(place)
        while True:
            for replica in self._replicas:
                self._feed(replica)
            self._take_back()
            if not any(replica.batches for replica in self._replicas):
                return
            connections = {replica.connection: replica for replica in self._replicas}
            for connection in wait(list(connections), timeout=self._quiet / 10):
                assert isinstance(connection, Connection)
                yield from self._hear(connections[connection])
            self._end_the_quiet()

    def leave(self) -> Iterator[list[Outcome]]:
        """End the workers at once; return what they had embedded and nobody had taken yet."""
        for replica in self._replicas:
            replica.process.kill()
        for replica in self._replicas:
            with suppress(Exception):  # the end of the stream, or of a half-read message
                while replica.batches:
                    message = worker.receive(replica.connection)
                    if "outcomes" in message:
                        works = replica.batches.popleft()
                        yield worker.outcomes_of(replica.connection, message, works)
        self.close()

    def close(self) -> None:
        """End the workers."""
        for replica in self._replicas:
            replica.process.kill()
        for replica in self._replicas:
            replica.process.wait()
            replica.connection.close()
        self._replicas = []

    def _start(self, place: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", worker.__name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **place},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if self._job.arguments.get("verbose") else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the parent's to hear
            )
        replica = Replica(place, process, Connection(ours.detach()))
        self._replicas.append(replica)
        with suppress(OSError):  # it has died: its end will be heard
            replica.connection.send_bytes(self._job.to_json())

    def _feed(self, replica: Replica) -> None:
        """Give a worker files, as long as it is not known to be starting its engine."""
        if replica.starting and not replica.ready:
            return
        if self._suspects and not replica.batches:
            self._give(replica, [self._suspects.popleft()])
            replica.alone = True
        depth = DEPTH if replica.ready or replica.answers else 1
        while not replica.alone and len(replica.batches) < depth:
            if self._suspects:  # they come first, and each to a worker that has nothing else
                return
            works = self._waiting.take(SMALLEST << min(replica.answers, 16))
            if not works:
                return
            self._give(replica, works)

    def _give(self, replica: Replica, works: list[Work]) -> None:
        replica.batches.append(works)
        with suppress(OSError):  # it has died: its end will be heard
            worker.send_works(replica.connection, works)

    def _end_the_quiet(self) -> None:
        """End workers that hang: their end will be heard, and their files go to others."""
        now = time.monotonic()
        for replica in self._replicas:
            if not replica.batches or replica.connection.poll():
                replica.heard = now
                continue
            allowed = self._quiet + self._a_file * sum(map(weight, replica.batches[0]))
            if not replica.ready:
                allowed *= A_START
            if replica.quiet is None and now - replica.heard > allowed:
                replica.quiet = now - replica.heard
                replica.process.kill()

    def _hear(self, replica: Replica) -> Iterator[list[Outcome] | EngineStarting]:
        try:
            message = worker.receive(replica.connection)
            replica.heard = time.monotonic()
            if "outcomes" in message:
                outcomes = worker.outcomes_of(replica.connection, message, replica.batches[0])
                replica.batches.popleft()
                replica.answers += 1
                replica.alone = False
                for stage, seconds in message["seconds"].items():
                    self.seconds[stage] += seconds
                yield outcomes
            elif "up" in message:
                replica.up = True
            elif "ready" in message:
                replica.ready, self._failed_starts = True, 0
                self.ready_at = self.ready_at or time.monotonic()
            elif "starting" in message:
                replica.starting = True
                if not self._announced:
                    self._announced = True
                    yield EngineStarting(self._job.spec.name)
            else:
                self._failed(replica, message)
        except (EOFError, OSError):
            yield from self._lost(replica)

    def _failed(self, replica: Replica, message: Mapping[str, Any]) -> None:
        """Go on without a worker whose engine does not start, where another's runs."""
        self._dismiss(replica)
        if not self._replicas:
            raise error_from_dict(message["error"])
        for works in replica.batches:
            self._waiting.put_back(works)

    def _lost(self, replica: Replica) -> Iterator[list[Outcome]]:
        """Replace a worker that died, and suspect every file that it had read, or was to read."""
        self._dismiss(replica)
        batches = list(replica.batches)
        if not replica.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS and not self._replicas:
                raise EngineError(
                    f"the engine's process ended {STARTS} times before the model ran "
                    f"({replica.end()}); -v shows what it says"
                )
        match batches:
            case [[work]] if replica.alone and not _at_work(replica):
                self._suspects.append(work)
            case _ if not _at_work(replica):
                for works in batches:
                    self._waiting.put_back(works)
            case [[work]]:
                self._deaths[work.path] += 1
                if self._deaths[work.path] >= DEADLY:
                    reason = f"the engine's process ended on it {DEADLY} times ({replica.end()})"
                    failure = Failure(work.path, "embed", reason)
                    yield [Outcome(work, failure, work.size, work.mtime_ns)]
                else:
                    self._suspects.append(work)
            case _:
                self._suspects.extend(work for works in batches for work in works)
        if self._failed_starts < STARTS or not self._replicas:
            self._start(replica.place)

    def _take_back(self) -> None:
        """Take the files of workers that still start, where others have nothing left to do."""
        if (
            self._waiting
            or self._suspects
            or not any(replica.ready and not replica.batches for replica in self._replicas)
        ):
            return
        late = [
            replica
            for replica in self._replicas
            if replica.batches and not replica.ready and (replica.starting or not replica.answers)
        ]
        for replica in late:
            self._dismiss(replica)
            for works in replica.batches:
                self._waiting.put_back(works)
        for replica in self._replicas:
            self._feed(replica)

    def _dismiss(self, replica: Replica) -> None:
        self._replicas.remove(replica)
        replica.process.kill()
        replica.process.wait()
        replica.connection.close()


class _Waiting:
    """Files that no worker has yet, of which the next are known: the last are shared out evenly."""

    def __init__(self, works: Iterable[Work], size: int, workers: int) -> None:
        """Give batches of a size, and smaller ones when few files are left."""
        self._rest, self._size, self._workers = iter(works), size, workers
        self._next: deque[Work] = deque()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        self._look_ahead()
        return bool(self._next)

    def take(self, most: int) -> list[Work]:
        """Return a batch of so many pictures, or little more; empty where there is none."""
        self._look_ahead()
        share = max(SMALLEST, len(self._next) // (2 * self._workers))
        return take(iter(self._pop, None), min(self._size, share, most))

    def _pop(self) -> Work | None:
        return self._next.popleft() if self._next else None

    def put_back(self, batch: list[Work]) -> None:
        self._next.extendleft(reversed(batch))

    def _look_ahead(self) -> None:
        missing = 2 * self._workers * self._size - len(self._next)
        self._next.extend(islice(self._rest, max(0, missing)))


def _at_work(replica: Replica) -> bool:
    """Tell whether a file can be to blame for a worker's end: not while it or its engine starts."""
    return replica.up and (replica.ready or not replica.starting)


def _end(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
