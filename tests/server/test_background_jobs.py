"""Work in the background: progress, results, errors and cancellation."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.server.background_jobs import (
    MAX_KEPT_JOBS,
    MAX_WAITING_JOBS,
    BackgroundJobs,
    Job,
    JobStep,
    TooManyJobsError,
)

TIMEOUT_S = 120


@pytest.fixture
def jobs(library: Path) -> Iterator[BackgroundJobs]:
    jobs = BackgroundJobs(library)
    yield jobs
    jobs.start_closing().shutdown()


def finish(jobs: BackgroundJobs) -> None:
    """Wait until all jobs that were started have ended."""
    jobs._thread.submit(lambda: None).result(TIMEOUT_S)


def count_images(library: Library) -> Generator[JobStep, None, int]:
    yield JobStep("reading", 1, 2)
    return library.reader.count_images_and_files()[0]


class Gate:
    """Work that reports one step, and goes on when the gate is opened."""

    def __init__(self) -> None:
        self.is_begun, self.is_open = threading.Event(), threading.Event()

    def __call__(self, library: Library) -> Generator[JobStep, None, str]:
        yield JobStep("comparing")
        self.is_begun.set()
        assert self.is_open.wait(TIMEOUT_S)
        yield JobStep("arranging")
        return "result"


def start_gate(jobs: BackgroundJobs, key: object = "gate") -> tuple[Job, Gate]:
    gate = Gate()
    job = jobs.start("map", key, gate)
    assert gate.is_begun.wait(TIMEOUT_S)
    return job, gate


def test_result_is_kept_for_the_same_key(jobs: BackgroundJobs) -> None:
    """An old result is used again, unless the client wants a new one; old results are forgotten."""
    job = jobs.start("duplicates", 1, count_images)
    finish(jobs)
    assert (job.state, job.result, job.step) == ("done", 3, JobStep("reading", 1, 2))
    assert jobs.start("duplicates", 1, count_images) is job
    assert jobs.find(job.id) is job and jobs.find(job.id, "map") is None
    assert jobs.start("map", 1, count_images) is not job
    assert jobs.start("duplicates", 1, count_images, again=True) is not job
    for key in range(2, 3 + MAX_KEPT_JOBS):
        jobs.start("duplicates", key, count_images)
        finish(jobs)
    assert jobs.find(job.id) is None


def test_running_job_is_joined_and_canceled(jobs: BackgroundJobs) -> None:
    """A canceled job ends at its next step, and a new one begins from the start."""
    job, gate = start_gate(jobs)
    assert (job.state, job.step) == ("running", JobStep("comparing"))
    assert jobs.start("map", "gate", gate, again=True) is job
    waiting = jobs.start("map", "later", count_images)
    jobs.cancel(waiting)
    jobs.cancel(job)
    assert jobs.start("map", "gate", count_images) is not job
    gate.is_open.set()
    finish(jobs)
    assert (job.state, job.result, waiting.state) == ("canceled", None, "canceled")


def test_failure_has_a_reason(jobs: BackgroundJobs) -> None:
    """A stated error is shown; a fault is logged, and its details are not shown."""

    def fail(error: Exception) -> Any:
        def work(library: Library) -> Generator[JobStep, None, None]:
            yield JobStep("reading")
            raise error

        return work

    stated = jobs.start("map", 1, fail(QueryError("no picture matches")))
    fault = jobs.start("map", 2, fail(RuntimeError("secret")))
    finish(jobs)
    assert (stated.state, stated.error) == ("failed", "no picture matches")
    assert (stated.error_kind, fault.error_kind) == ("QueryError", "")
    assert fault.state == "failed" and "secret" not in fault.error
    assert jobs.start("map", 1, count_images) is not stated


def test_number_of_waiting_jobs_is_bounded(jobs: BackgroundJobs) -> None:
    _, gate = start_gate(jobs)
    for key in range(MAX_WAITING_JOBS - 1):
        jobs.start("map", key, count_images)
    with pytest.raises(TooManyJobsError, match="are computed or waiting"):
        jobs.start("map", "one more", count_images)
    gate.is_open.set()
