"""Requests and answers of work in the background."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from searchapp.server.background_jobs import BackgroundJobs, Job, JobKind, JobStage, JobState

JobId = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$")]


class JobAnswer(BaseModel):
    """Work in the background: how far it is."""

    id: str
    state: JobState
    stage: JobStage | None = Field(description="null: the work has not begun")
    done: int = Field(description="pictures that this stage has processed")
    total: int = Field(description="pictures that this stage will process; 0: unknown")
    error: str | None = Field(description="why the work failed")
    error_kind: str | None = Field(description="class of the error, such as LibraryError")

    @classmethod
    def from_job(cls, job: Job) -> JobAnswer:
        """Convert a job into its form in the API."""
        step = job.step
        return cls(
            id=job.id,
            state=job.state,
            stage=None if step is None else step.stage,
            done=0 if step is None else step.done,
            total=0 if step is None else step.total,
            error=job.error or None,
            error_kind=job.error_kind or None,
        )


def require_job(jobs: BackgroundJobs, job_id: str, kind: JobKind | None = None) -> Job:
    """Return a job; answer 404 if there is none, or its result is no longer kept."""
    job = jobs.find(job_id, kind)
    if job is None:
        raise HTTPException(404, "this search or map is no longer kept. Start it again.")
    return job


def require_result(jobs: BackgroundJobs, job_id: str, kind: JobKind) -> Job:
    """Return a job that is done; answer 404 as require_job, and 409 if it is not done."""
    job = require_job(jobs, job_id, kind)
    if job.state != "done":
        raise HTTPException(
            409, f"the {kind} is {job.state}. Ask for /jobs/{job_id} until its state is done."
        )
    return job
