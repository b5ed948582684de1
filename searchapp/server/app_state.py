"""What all requests of an app share: the service, its metrics, and what the app may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from prometheus_client import CollectorRegistry, Counter, Histogram

from searchapp.server.service import Service


class Metrics:
    """Counts and times for Prometheus, in a registry of their own."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "searchapp_requests", "Requests", ["path", "status"], registry=self.registry
        )
        self.search_seconds = Histogram(
            "searchapp_search_seconds", "Time of a search", registry=self.registry
        )


@dataclass(frozen=True, slots=True)
class AppState:
    """What all requests of an app share."""

    service: Service
    allow_urls: bool  # fetch pictures from URLs on behalf of clients
    leave: Callable[[], None]  # ends the process
    metrics: Metrics = field(default_factory=Metrics)


# FastAPI runs dependencies that are plain functions on threads; these have nothing to wait for.
async def get_state(request: Request) -> AppState:
    """Return the state that create_app gave to the app."""
    state: AppState = request.app.state.shared
    return state


async def get_service(request: Request) -> Service:
    """Return the service of the app."""
    return (await get_state(request)).service


async def require_local(request: Request) -> None:
    """Refuse a request that did not come by the Unix socket, which only the user can open."""
    if not request.scope["searchapp.local"]:
        raise HTTPException(403, "only by the Unix socket")


StateDep = Annotated[AppState, Depends(get_state)]
ServiceDep = Annotated[Service, Depends(get_service)]
LOCAL_ONLY = [Depends(require_local)]
