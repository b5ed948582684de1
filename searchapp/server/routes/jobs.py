"""Routes of work in the background: its progress, and its end."""

from __future__ import annotations

from fastapi import APIRouter, Response

from searchapp.server.app_state import ServiceDep
from searchapp.server.job_models import JobAnswer, JobId, require_job
from searchapp.server.unix_http import API_PREFIX

router = APIRouter(tags=["Background work"])


@router.get(f"{API_PREFIX}/jobs/{{job_id}}", name="job", response_model=JobAnswer)
async def get_job(job_id: JobId, service: ServiceDep) -> JobAnswer:
    """Return how far a search for duplicates or a map is."""
    return JobAnswer.from_job(require_job(service.jobs, job_id))


@router.delete(f"{API_PREFIX}/jobs/{{job_id}}", name="cancel_job", status_code=204)
async def cancel_job(job_id: JobId, service: ServiceDep) -> Response:
    """Cancel work in the background. What a search has read is kept, so the next one continues."""
    service.jobs.cancel(require_job(service.jobs, job_id))
    return Response(status_code=204)
