"""Run the driver of a Ray cluster in a child process.

Ray ends the process of a driver, without an error message, if the Ray node of this machine ends.
The child sends pickled messages; only this module's own two processes exchange them.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from searchapp.catalog import FileTask
from searchapp.errors import EngineError, SearchAppError, error_from_dict, error_to_dict
from searchapp.indexing.child_process import describe_exit, start_module
from searchapp.indexing.embedding import log_relay
from searchapp.indexing.embedding.cluster.driver import Cluster
from searchapp.indexing.embedding.cluster.spool import Spool
from searchapp.indexing.embedding.log_relay import LogEntry
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.pipeline import StartEvent
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.types import DecodingOnCpu, EngineStarting

logger = logging.getLogger(__name__)

EXIT_TIMEOUT_S = 10.0  # for the child, to disconnect from the cluster


@dataclass(frozen=True, slots=True)
class _ClusterState:
    """The numbers of a Cluster that its run changes."""

    ready_at: float | None = None  # time.monotonic has the same origin in both processes
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    file_count_by_node: Mapping[str, int] = field(default_factory=dict)
    answered_engines: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Message:
    """What the child sends; without an event and an error, it has done what it was asked for."""

    event: list[Outcome] | DecodingOnCpu | None = None
    error: Mapping[str, Any] | None = None  # from error_to_dict
    state: _ClusterState = _ClusterState()
    logs: list[LogEntry] = field(default_factory=list)


class ClusterProcess:
    """An EmbeddingSource that embeds files on the nodes of a Ray cluster: see Cluster."""

    def __init__(
        self,
        job: EmbeddingJob,
        address: str,
        engines_per_device: int | None = None,
        max_engines: int | None = None,
    ) -> None:
        """Connect to a Ray cluster; the arguments and errors are those of Cluster."""
        self._job = job
        self._state = _ClusterState()
        self._process, self._connection = start_module(
            __name__, {}, shows_errors=bool(job.arguments.get("verbose"))
        )
        job = replace(job, log_level=log_relay.get_log_level())
        try:
            self._send((job, address, engines_per_device, max_engines))
            self._receive()
        except BaseException:
            self.close()
            raise

    @property
    def ready_at(self) -> float | None:
        """Return when the first engine ran, by time.monotonic."""
        return self._state.ready_at

    @property
    def seconds_by_stage(self) -> Mapping[str, float]:
        """Return the seconds that each stage took, summed over all threads and nodes."""
        return self._state.seconds_by_stage

    @property
    def file_count_by_node(self) -> Mapping[str, int]:
        """Return the number of files that each node embedded."""
        return self._state.file_count_by_node

    @property
    def answered_engines(self) -> frozenset[tuple[str, int]]:
        """Return the node and the process id of each engine that has answered."""
        return self._state.answered_engines

    def run(self, tasks: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | StartEvent]:
        """Embed files in batches of `size` pictures; yield the outcomes of each completed batch.

        EngineStarting is yielded first, and DecodingOnCpu if a GPU decodes no more pictures.
        Raises EngineError or ModelError if no engine starts, or if the cluster is lost.
        """
        yield EngineStarting(self._job.spec.name)
        catalog = self._job.catalog_file
        spool = Spool(tasks, Path(catalog).parent if catalog is not None else None)
        try:
            self._send((spool, size))
            while (event := self._receive()) is not None:
                spool.touch()
                yield event
        finally:
            spool.close()

    def _send(self, request: object) -> None:
        with suppress(OSError):  # The child has ended; receiving from it raises EOFError.
            self._connection.send(request)

    def _receive(self) -> list[Outcome] | DecodingOnCpu | None:
        """Return the next event of a run; None: the child has done what it was asked for."""
        self._connection.poll(None)  # wait for the message, however long it takes
        try:
            message: _Message = self._connection.recv()
        except (EOFError, OSError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_TIMEOUT_S)
            raise EngineError(
                "the process that uses the Ray cluster ended "
                f"({describe_exit(self._process.returncode)}), probably because the Ray node of "
                "this machine ended. Finished work is saved. See `ray status` and the logs in "
                "/tmp/ray, then run the same command again to continue."
            ) from error
        log_relay.relay_entries(message.logs, "cluster")
        self._state = message.state
        if message.error is not None:
            raise error_from_dict(message.error)
        return message.event

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Disconnect from the cluster; the next index run embeds the files not yielded yet."""
        self.close()
        return ()

    def close(self) -> None:
        """Disconnect from the cluster, which ends the engines, and end the child."""
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Serve the parent; the first command line argument is the number of the socket to it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # Ray may abort while it ends.
    # SystemExit closes the cluster. Ray sets the same handler later.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
    os.chdir("/")  # Ray lets all processes of the cluster import modules from the current folder.
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, OSError):  # The parent has ended.
        _serve_parent(connection)
    os._exit(0)  # Ray has threads that can take seconds to end.


def _serve_parent(connection: Connection) -> None:
    """Connect to the cluster, and embed the files of each spool that the parent sends."""
    job, *options = connection.recv()
    logs = log_relay.start_collecting(job.log_level)
    cluster: Cluster | None = None

    def send(event: Any = None, error: SearchAppError | None = None) -> None:
        state = _ClusterState() if cluster is None else _read_state(cluster)
        values = None if error is None else error_to_dict(error)
        connection.send(_Message(event, values, state, logs.take_entries()))

    try:
        cluster = Cluster(job, *options)
        send()
        while True:
            spool, size = connection.recv()
            for event in cluster.run(spool, size):
                send(event)
            send()
    except SearchAppError as error:
        send(error=error)
    except (EOFError, BrokenPipeError):  # The parent has ended.
        raise
    except Exception as error:
        logger.exception("The driver of the Ray cluster failed")
        send(error=EngineError(f"embedding on the Ray cluster failed: {error!r}"))
    finally:
        if cluster is not None:
            cluster.close()


def _read_state(cluster: Cluster) -> _ClusterState:
    return _ClusterState(
        cluster.ready_at,
        dict(cluster.seconds_by_stage),
        dict(cluster.file_count_by_node),
        frozenset(cluster.answered_engines),
    )
