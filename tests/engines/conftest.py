"""A vLLM server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.vllm_server import Server

from searchapp.models import ModelSpec, resolve


@pytest.fixture
def spec(model: Path) -> ModelSpec:
    return resolve(str(model))


@pytest.fixture
def server(spec: ModelSpec) -> Iterator[Server]:
    server = Server(spec)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
