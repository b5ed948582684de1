"""Run long work in the background, one job after the other: with progress, and until canceled."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from searchapp.errors import SearchAppError
from searchapp.library import Library

logger = logging.getLogger(__name__)
MAX_WAITING_JOBS = 8
MAX_KEPT_JOBS = 4  # ended jobs whose results stay in memory
JobKind = Literal["duplicates", "map"]
JobState = Literal["waiting", "running", "done", "failed", "canceled"]
JobStage = Literal["reading", "comparing", "choosing", "thumbnails", "arranging"]


class TooManyJobsError(SearchAppError):
    """Too many jobs wait; the client repeats the request later."""


@dataclass(frozen=True, slots=True)
class JobStep:
    """Progress of a job."""

    stage: JobStage
    done: int = 0
    total: int = 0  # 0: the stage cannot be counted


JobWork: TypeAlias = Callable[[Library], Generator[JobStep, None, Any]]


@dataclass(eq=False, slots=True)
class Job:
    """Work in the background. Its thread writes the fields, and other threads read them."""

    kind: JobKind
    key: Hashable  # jobs of a kind with the same key have the same result
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: JobState = "waiting"
    step: JobStep | None = None
    error: str = ""  # why the job failed
    error_kind: str = ""  # class of the error
    result: Any = None  # of the state "done"; set before the state
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def has_ended(self) -> bool:
        """Return whether the job is neither waiting nor running."""
        return self.state in ("done", "failed", "canceled")


class BackgroundJobs:
    """Jobs on one library. They run on a thread with a connection of their own.

    All methods are called on one thread, such as that of an event loop.
    """

    def __init__(self, folder: Path) -> None:
        """Run jobs on the library in this folder."""
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._jobs: dict[str, Job] = {}  # by id, the oldest first

    def start(self, kind: JobKind, key: Hashable, work: JobWork, *, again: bool = False) -> Job:
        """Start a job, or return the one with the same key; again: not if it has ended.

        work: called on the job's thread; yields its progress, and returns the result.
        Raises TooManyJobsError.
        """
        for job in reversed(self._jobs.values()):
            is_reusable = job.state == "done" and not again
            is_same = (job.kind, job.key) == (kind, key) and not job.cancel.is_set()
            if is_same and (is_reusable or not job.has_ended):
                return job
        if sum(not job.has_ended for job in self._jobs.values()) >= MAX_WAITING_JOBS:
            raise TooManyJobsError(
                f"{MAX_WAITING_JOBS} searches or maps are computed or waiting. Cancel one, or "
                "wait until one is done."
            )
        job = Job(kind, key)
        self._jobs[job.id] = job
        self._forget_old_jobs()
        self._thread.submit(self._run, job, work)
        return job

    def find(self, job_id: str, kind: JobKind | None = None) -> Job | None:
        """Return the job with this id, and of this kind; None if there is none, or it is old."""
        job = self._jobs.get(job_id)
        return job if job is not None and kind in (None, job.kind) else None

    def cancel(self, job: Job) -> None:
        """Stop a job at its next step; a waiting job does not begin."""
        job.cancel.set()
        if job.state == "waiting":
            job.state = "canceled"

    def start_closing(self) -> ThreadPoolExecutor:
        """Cancel all jobs; return the executor that may still work."""
        for job in self._jobs.values():
            self.cancel(job)
        return self._thread

    def _forget_old_jobs(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.has_ended]
        for job_id in ended[:-MAX_KEPT_JOBS]:
            del self._jobs[job_id]

    def _run(self, job: Job, work: JobWork) -> None:
        if job.cancel.is_set():
            job.state = "canceled"
            return
        job.state = "running"
        logger.info("Started the job %s in the background", job.kind)
        try:
            with Library.open(self._folder) as library:
                job.state = self._work(job, work(library))
        except SearchAppError as error:
            job.error, job.error_kind = str(error), type(error).__name__
            job.state = "failed"
        except Exception:
            logger.exception("The job %s failed", job.kind)
            job.error = "the server has a fault. Its log has the reason."
            job.state = "failed"
        logger.info("The job %s has ended: %s", job.kind, job.state)

    def _work(self, job: Job, steps: Generator[JobStep, None, Any]) -> JobState:
        """Do the steps of a job until it ends or is canceled; return its new state."""
        try:
            while not job.cancel.is_set():
                job.step = next(steps)
        except StopIteration as end:
            job.result = end.value
            return "done"
        steps.close()
        return "canceled"
