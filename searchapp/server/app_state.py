"""State that all requests of an app share: the service, its metrics, its permissions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from searchapp.server.metrics import Metrics
from searchapp.server.service import Service
from searchapp.server.start_options import EngineOrigin
from searchapp.server.web_files import WebFiles, load_page_files


@dataclass(frozen=True, slots=True)
class AppState:
    """Objects and permissions that all requests of an app share."""

    service: Service
    allow_urls: bool  # whether to fetch pictures from URLs for clients
    request_stop: Callable[[], None]  # makes the process stop
    engine: EngineOrigin = field(default_factory=EngineOrigin)
    has_token: bool = False  # whether clients on other computers can connect
    metrics: Metrics = field(default_factory=Metrics)
    web_files: WebFiles = field(default_factory=load_page_files)


# FastAPI runs a dependency that is a plain function on a thread. These never block, so they are
# coroutines and need no thread.
async def get_state(request: Request) -> AppState:
    """Return the state of the app that handles a request."""
    state: AppState = request.app.state.shared
    return state


async def get_service(request: Request) -> Service:
    """Return the service of the app that handles a request."""
    return (await get_state(request)).service


async def require_unix_socket(request: Request) -> None:
    """Refuse a request over TCP: only the user can open the Unix socket.

    Raises HTTPException with status 403.
    """
    if not request.scope["searchapp.local"]:
        raise HTTPException(403, "this request is accepted only through the Unix socket")


StateDep = Annotated[AppState, Depends(get_state)]
ServiceDep = Annotated[Service, Depends(get_service)]
UNIX_SOCKET_ONLY = [Depends(require_unix_socket)]
