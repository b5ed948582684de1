"""Embed files with several worker processes, each with its own engine and reader threads.

vLLM prepares pictures on one thread: one process with a small model leaves the GPU idle most of
the time. The parent only distributes files and collects vectors. Its memory depends on the batches
in progress, not on the number of files.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from searchapp.catalog import FileTask
from searchapp.engines.mps import MpsDaemon, needs_mps
from searchapp.errors import EngineError, error_from_dict
from searchapp.indexing.embedding import worker
from searchapp.indexing.embedding.batches import MIN_BATCH_FILES, WorkQueue
from searchapp.indexing.embedding.log_relay import get_log_level
from searchapp.indexing.embedding.outcomes import Outcome, count_embedded
from searchapp.indexing.embedding.pipeline import StartEvent
from searchapp.indexing.embedding.scaling import EngineScaler
from searchapp.indexing.embedding.suspects import SuspectFiles
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.indexing.embedding.worker_process import (
    WorkerProcess,
    start_worker,
    wait_for_engines,
)
from searchapp.types import DecodingOnCpu, EngineStarting

logger = logging.getLogger(__name__)

MAX_BATCHES_PER_WORKER = 3  # batches that a worker has, including the one in progress
MAX_FAILED_STARTS = 3  # workers in a row that may end before any engine runs
ANSWER_TIMEOUT_S = 600.0
TIMEOUT_PER_FILE_S = 60.0  # A large model on a CPU is slow.


class ReplicaPool:
    """Pool of worker processes that embed the files of an index run; replaces dead workers."""

    def __init__(
        self,
        job: EmbeddingJob,
        environments: Sequence[Mapping[str, str]],
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        timeout_per_file_s: float = TIMEOUT_PER_FILE_S,
        scaler: EngineScaler | None = None,
    ) -> None:
        """Start no process yet.

        environments: for each worker, the environment variables that assign a GPU or cores to it.
        A worker that sends nothing for answer_timeout_s, plus timeout_per_file_s for each file of
        its batch, is killed: see compute_answer_timeout. scaler: decides how many of these workers
        run; None: all.
        """
        self._answer_timeout_s, self._timeout_per_file_s = answer_timeout_s, timeout_per_file_s
        self._job = replace(job, log_level=get_log_level())
        self._environments, self._scaler = environments, scaler
        self._embedded_count = 0
        self._received: list[Outcome] = []  # not yielded yet
        self._replicas: list[WorkerProcess] = []
        self._suspects = SuspectFiles()
        self._failed_starts = 0
        self._has_announced_start = self._has_reported_decoder_problem = False
        self.file_count_by_node: Mapping[str, int] = {}  # empty: there is one node only
        self.ready_at: float | None = None  # when the first engine ran, by time.monotonic
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(float)  # see StageTimer
        self.gpu_decoded_count = 0  # pictures
        self._mps: MpsDaemon | None = None
        self._needs_mps = needs_mps(environments, job.spec, job.decode)

    def start_engines(self) -> list[float]:
        """Start all engines, and wait until they run; return how many seconds each start took.

        Workers whose engine does not start are left out. Raises EngineError or ModelError if no
        engine starts.
        """
        started_at = time.monotonic()
        for environment in self._environments[: self.active_count]:
            self._start_worker(environment, starts_early=True)
        ready_times, failures = wait_for_engines(self._replicas)
        for replica, reason in failures:
            pid = replica.process.pid
            logger.info("Left out worker %d: its engine does not start (%s)", pid, reason)
            self._stop_worker(replica)
        if not self._replicas:
            raise failures[-1][1] if failures else EngineError("no engine process was planned")
        self.ready_at = time.monotonic()
        return [ready_time - started_at for ready_time in ready_times]

    def run(self, tasks: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | StartEvent]:
        """Embed files in batches of `size` pictures; yield the outcomes of completed batches.

        If several workers have completed a batch, their outcomes are yielded together: with many
        engines, this process saves fewer and larger batches, which takes less time.
        EngineStarting is yielded before the first engine starts, also after all workers have ended.
        A worker that dies or hangs is replaced, and its files are embedded one by one (see
        SuspectFiles). Raises EngineError or ModelError if no engine starts.
        """
        self._work_queue = WorkQueue(tasks, size, self.active_count)
        for environment in self._environments[: 0 if self._replicas else self.active_count]:
            if not self._work_queue:
                break
            self._start_worker(environment)
        while True:
            for replica in self._replicas:
                self._feed_worker(replica)
            self._reassign_late_files()
            if self._received:  # only now, because the caller takes some time to save them
                received, self._received = self._received, []
                yield received
            has_files = bool(self._work_queue or self._suspects)
            if not any(r.batches or (has_files and r.waits_for_engine) for r in self._replicas):
                return
            connections = {replica.connection: replica for replica in self._replicas}
            for connection in wait(list(connections), timeout=self._answer_timeout_s / 10):
                assert isinstance(connection, Connection)
                for event in self._receive_message(connections[connection]):
                    if isinstance(event, list):
                        self._received += event
                    else:
                        yield event
            self._kill_silent_workers()
            self._adjust_worker_count(size)

    def stop_and_drain(self) -> Iterator[list[Outcome]]:
        """Kill all workers at once; yield the outcomes of batches that they have already sent."""
        for replica in self._replicas:
            replica.process.kill()
        yield self._received
        for replica in self._replicas:
            with suppress(Exception):  # The stream ends, perhaps inside a message.
                while replica.batches:
                    message = worker.receive_message(replica.connection, replica.name)
                    if "outcomes" in message:
                        yield replica.receive_outcomes(message)
        self.close()

    def close(self) -> None:
        """Kill all workers."""
        for replica in self._replicas:
            replica.process.kill()
        for replica in self._replicas:
            replica.stop()
        self._replicas = []
        if self._mps is not None:
            self._mps.close()
            self._mps = None

    @property
    def active_count(self) -> int:
        """Return the number of engines that should get pictures now."""
        return len(self._environments) if self._scaler is None else self._scaler.count

    def _adjust_worker_count(self, size: int) -> None:
        """Start, pause or resume workers as the scaler decides."""
        if self._scaler is None:
            return
        can_measure = self._work_queue and not self._suspects
        if can_measure:
            ready_count = sum(r.is_ready and not r.is_paused for r in self._replicas)
            self._scaler.observe(self._embedded_count, ready_count, size)
        # Also without a measurement: when a worker ends, a paused one must continue.
        for number, replica in enumerate(self._replicas):
            replica.is_paused = number >= self._scaler.count
        if can_measure:
            for environment in self._environments[len(self._replicas) : self._scaler.count]:
                self._start_worker(environment, starts_early=True)

    def _start_worker(self, environment: Mapping[str, str], *, starts_early: bool = False) -> None:
        """Start a worker. starts_early: as in EmbeddingJob, which may already have it."""
        starts_early |= self._job.starts_early
        if self._needs_mps:
            self._needs_mps, self._mps = False, MpsDaemon.start()
        variables = {**environment, **(self._mps.environment if self._mps else {})}
        started = start_worker(replace(self._job, starts_early=starts_early), variables)
        started.is_starting = starts_early
        self._replicas.append(started)
        logger.info("Started worker %d", started.process.pid)
        logger.debug("It has the environment variables %s", variables)

    def _feed_worker(self, replica: WorkerProcess) -> None:
        """Send batches to a worker, unless its engine is starting."""
        if replica.is_paused or replica.waits_for_engine:
            return
        if self._suspects and not replica.batches:
            replica.send_suspect(self._suspects.take_file())
        depth = MAX_BATCHES_PER_WORKER if replica.is_ready or replica.answer_count else 1
        while not replica.is_isolated and len(replica.batches) < depth:
            if self._suspects:  # Suspects come first; each needs a worker without other files.
                return
            tasks = self._work_queue.take_batch(MIN_BATCH_FILES << min(replica.answer_count, 16))
            if not tasks:
                return
            replica.send_batch(tasks)

    def _kill_silent_workers(self) -> None:
        """Kill workers that hang; `run` then replaces them and embeds their files again."""
        for replica in self._replicas:
            replica.kill_if_silent(self._answer_timeout_s, self._timeout_per_file_s)

    def _receive_message(self, replica: WorkerProcess) -> Iterator[list[Outcome] | StartEvent]:
        try:
            message = worker.receive_message(replica.connection, replica.name)
            replica.last_heard_at = time.monotonic()
            if "outcomes" in message:
                outcomes = replica.receive_outcomes(message)
                replica.answer_count += 1
                self._embedded_count += count_embedded(outcomes)
                replica.is_isolated = False
                for stage, seconds in message["seconds"].items():
                    self.seconds_by_stage[stage] += seconds
                self.gpu_decoded_count += message["gpu_decoded"] - replica.gpu_decoded_count
                replica.gpu_decoded_count = message["gpu_decoded"]
                yield outcomes
                problem = message["decoder_problem"]
                if problem and not self._has_reported_decoder_problem:
                    self._has_reported_decoder_problem = True
                    yield DecodingOnCpu(problem)
            elif "up" in message:
                replica.is_up = True
            elif "ready" in message:
                replica.is_ready, self._failed_starts = True, 0
                self.ready_at = self.ready_at or time.monotonic()
            elif "starting" in message:
                replica.is_starting = True
                if not self._has_announced_start:
                    self._has_announced_start = True
                    yield EngineStarting(self._job.spec.name, self.ready_at is not None)
            else:
                self._handle_failed_start(replica, message)
        except (EOFError, OSError):
            yield from self._replace_dead_worker(replica)

    def _handle_failed_start(self, replica: WorkerProcess, message: Mapping[str, Any]) -> None:
        """Stop a worker whose engine does not start; give its files to other workers.

        Raises the engine's error if no other worker runs.
        """
        error = error_from_dict(message["error"])
        self._stop_worker(replica)
        if not self._replicas:
            raise error
        logger.info(
            "Continued without worker %d: its engine does not start (%s)",
            replica.process.pid, error)  # fmt: skip
        for tasks in replica.batches.values():
            self._work_queue.put_back_batch(tasks)
        if self._scaler is not None:
            self._scaler.lower_limit(len(self._replicas))

    def _replace_dead_worker(self, replica: WorkerProcess) -> Iterator[list[Outcome]]:
        """Replace a worker that died; each of its unfinished files becomes a suspect.

        Yield a failure if the worker had a suspect that has ended too many workers.
        """
        replica.wait_for_exit()
        self._stop_worker(replica)
        end = replica.describe_end()
        if self.ready_at is not None and not any(each.is_ready for each in self._replicas):
            self._has_announced_start = False
        batches = list(replica.batches.values())
        if not replica.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS and not self._replicas:
                raise EngineError(
                    f"the engine's process ended {MAX_FAILED_STARTS} times before the model ran "
                    f"({end}). The option -vv shows what this process prints."
                )
        match batches:
            case [[task]] if replica.is_isolated and not replica.can_blame_file:
                self._suspects.add_files([task])
            case _ if not replica.can_blame_file:
                for tasks in batches:
                    self._work_queue.put_back_batch(tasks)
            case [[task]]:
                if failed := self._suspects.record_death(task, end):
                    yield [failed]
            case _:
                self._suspects.add_files(task for tasks in batches for task in tasks)
        if self._failed_starts < MAX_FAILED_STARTS or not self._replicas:
            logger.info(
                "Worker %d ended (%s) and was replaced; it had %d unfinished files in %d batches",
                replica.process.pid, end, sum(map(len, batches)), len(batches),
            )  # fmt: skip
            self._start_worker(replica.environment)
        else:
            logger.info(
                "Worker %d ended (%s) and was not replaced: %d workers in a row ended before an "
                "engine ran",
                replica.process.pid, end, self._failed_starts,
            )  # fmt: skip
            if self._scaler is not None:
                self._scaler.lower_limit(len(self._replicas))

    def _reassign_late_files(self) -> None:
        """Stop workers whose engine is still starting, and move their files to idle workers."""
        has_idle_worker = any(each.is_idle for each in self._replicas)
        if self._work_queue or self._suspects or not has_idle_worker:
            return
        for replica in [each for each in self._replicas if each.is_late]:
            logger.info(
                "Stopped worker %d: its engine is still starting, and other workers are idle",
                replica.process.pid,
            )
            self._stop_worker(replica)
            for tasks in replica.batches.values():
                self._work_queue.put_back_batch(tasks)
        for replica in self._replicas:
            self._feed_worker(replica)

    def _stop_worker(self, replica: WorkerProcess) -> None:
        self._replicas.remove(replica)
        replica.stop()
