"""A vLLM server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.vllm_server import FakeVllmServer

from searchapp.models import ModelSpec, resolve_model


@pytest.fixture
def spec(model: Path) -> ModelSpec:
    return resolve_model(str(model))


@pytest.fixture
def server(spec: ModelSpec) -> Iterator[FakeVllmServer]:
    server = FakeVllmServer(spec)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
