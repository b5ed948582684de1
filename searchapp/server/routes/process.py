"""Routes about the process: identity, health, metrics and stop."""

from __future__ import annotations

import os
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from searchapp import __version__
from searchapp.server.app_state import UNIX_SOCKET_ONLY, ServiceDep, StateDep
from searchapp.server.unix_http import API_PREFIX

NOT_READY = {
    "not_loaded": "no model is loaded. The first search loads it, once the library has pictures.",
    "loading": "the model is loading. Repeat the request.",
    "failed": "the model cannot be loaded. A search tells why, and tries again.",
}

router = APIRouter(tags=["Process"])


@router.get(f"{API_PREFIX}/resident", name="resident")
async def get_resident(service: ServiceDep) -> dict[str, Any]:
    """Return id, version and uptime (seconds) of the process."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "seconds": round(time.monotonic() - service.activity.started_at, 1),
    }


@router.post(f"{API_PREFIX}/stop", include_in_schema=False, dependencies=UNIX_SOCKET_ONLY)
async def stop_process(state: StateDep) -> dict[str, str]:
    """Stop the process; only through the Unix socket, which only the user can open."""
    state.request_stop()
    return {"detail": "stopping"}


@router.get("/healthz", name="healthz")
async def get_health() -> dict[str, str]:
    """Answer that the process is alive."""
    return {"status": "ok"}


@router.get("/readyz", name="readyz")
async def get_readiness(service: ServiceDep) -> dict[str, str]:
    """Answer whether the model is loaded; without it, only filters and pictures are answered."""
    state = service.model_state
    if state != "ready":
        raise HTTPException(503, NOT_READY[state], {"Retry-After": "1"})
    return {"status": state}


@router.get("/metrics", name="metrics", response_class=Response)
async def get_metrics(state: StateDep) -> Response:
    """Return the metrics in the text format of Prometheus."""
    metrics, service = state.metrics, state.service
    images, files = await service.count_images_and_files()
    metrics.images.set(images)
    metrics.files.set(files)
    metrics.active_requests.set(service.activity.active_requests)
    metrics.queued_jobs.set(service.count_queued_jobs())
    metrics.set_model_state(service.model_state)
    return Response(metrics.format_text(), media_type="text/plain; version=0.0.4")
