"""Run the real server on a free port, in a thread, with a fake engine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from searchapp.engines import Engine
from searchapp.engines.reranker import StartReranker
from searchapp.models import ModelSpec
from searchapp.server.app import create_app
from searchapp.server.guard import AccessRules
from searchapp.server.service import Service
from support.fake_reranker import FakeReranker


@contextmanager
def serve_library(
    library: Path,
    start: Callable[[ModelSpec], Engine],
    rules: AccessRules = AccessRules(),  # noqa: B008 (frozen)
    *,
    allow_urls: bool = False,
    start_reranker: StartReranker | None = None,
) -> Iterator[str]:
    """Serve a library; yield the URL. By default, a fake reranker answers."""
    service = Service(library, start, start_reranker or FakeReranker())
    # asyncio disables Nagle's algorithm, which delays each answer by 40 ms, only if the protocol
    # is given. searchapp gives it too.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    app = create_app(service, rules, allow_urls=allow_urls)
    config = uvicorn.Config(
        app, log_level="warning", loop="asyncio", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        service.close()


@contextmanager
def serve_with_engine(
    library: Path, start: Callable[[ModelSpec], Engine], *, has_reranker: bool = False
) -> Iterator[str]:
    """Serve a library; yield the URL once the engine runs. has_reranker: start the reranker too."""
    question = {"text": "red"} | ({"rerank": 1} if has_reranker else {})
    with serve_library(library, start) as url:
        while httpx.post(f"{url}/api/search", json=question).status_code == 503:
            time.sleep(0.02)
        yield url
