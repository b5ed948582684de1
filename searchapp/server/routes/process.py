"""Routes about the process: which it is, whether it lives, its metrics, and its end."""

from __future__ import annotations

import os
import time
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import generate_latest

from searchapp import __version__
from searchapp.server.app_state import LOCAL_ONLY, ServiceDep, StateDep

router = APIRouter()


@router.get("/api/resident", name="resident")
async def get_resident(service: ServiceDep) -> dict[str, Any]:
    """Tell which process this is."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "seconds": round(time.monotonic() - service.started_at, 1),
    }


@router.post("/api/stop", include_in_schema=False, dependencies=LOCAL_ONLY)
async def stop_process(state: StateDep) -> dict[str, str]:
    """Leave; only the user can ask for it, by the Unix socket."""
    state.leave()
    return {"detail": "leaving"}


@router.get("/healthz", name="healthz")
async def get_health() -> dict[str, str]:
    """Say that the process lives."""
    return {"status": "ok"}


@router.get("/metrics", name="metrics", response_class=Response)
async def get_metrics(state: StateDep) -> Response:
    """Return counts and times for Prometheus."""
    text = generate_latest(state.metrics.registry)
    return Response(text, media_type="text/plain; version=0.0.4")
