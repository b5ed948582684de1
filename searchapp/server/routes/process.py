"""Routes about the process: identity, health, metrics and stop."""

from __future__ import annotations

import os
import time
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import generate_latest

from searchapp import __version__
from searchapp.server.app_state import UNIX_SOCKET_ONLY, ServiceDep, StateDep
from searchapp.server.unix_http import API_PREFIX

router = APIRouter()


@router.get(f"{API_PREFIX}/resident", name="resident")
async def get_resident(service: ServiceDep) -> dict[str, Any]:
    """Return id, version and uptime (seconds) of the process."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "seconds": round(time.monotonic() - service.started_at, 1),
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


@router.get("/metrics", name="metrics", response_class=Response)
async def get_metrics(state: StateDep) -> Response:
    """Return the metrics in the text format of Prometheus."""
    text = generate_latest(state.metrics.registry)
    return Response(text, media_type="text/plain; version=0.0.4")
