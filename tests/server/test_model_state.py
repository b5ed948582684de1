"""The model while it loads: what answers meanwhile, and who says so."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import search_api
from support.fake_engine import FakeEngine
from support.library import FakeEngines, library_environment
from support.live_server import serve_library
from support.processes import slow_command

from searchapp.errors import EngineError, LibraryError
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.server.guard import AccessRules
from searchapp.server.service import Service


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class SlowStart:
    """Waits with the start of the engine until the test allows it."""

    def __init__(self) -> None:
        self.is_allowed = threading.Event()
        self.starts = 0

    def __call__(self, spec: ModelSpec) -> FakeEngine:
        self.starts += 1
        assert self.is_allowed.wait(20)
        return FakeEngine(spec)


@pytest.fixture
def slow_start() -> Iterator[SlowStart]:
    start = SlowStart()
    yield start
    start.is_allowed.set()


def read_state(client: httpx.Client) -> tuple[int, str, str]:
    """Return status and text of /readyz, and the state in /api/v1/info."""
    ready = client.get("/readyz")
    info = client.get("/api/v1/info").json()
    metrics = client.get("/metrics").text
    assert f'searchapp_model_state{{state="{info["model_state"]}"}} 1.0' in metrics
    return ready.status_code, ready.json().get("detail", ""), info["model_state"]


def test_filters_and_pictures_answer_while_the_model_loads(
    library: Path, slow_start: SlowStart
) -> None:
    """The state is in /readyz, /api/info and /metrics; only the question waits."""
    with serve_library(library, slow_start) as url, httpx.Client(base_url=url) as client:
        status, detail, state = read_state(client)
        assert (status, state) == (503, "not_loaded")
        assert client.post("/api/v1/search", json={"text": "red"}).status_code == 503
        wait_until(lambda: slow_start.starts == 1)
        status, detail, state = read_state(client)
        assert (status, state) == (503, "loading")
        assert "the model is loading" in detail
        assert client.get("/readyz").headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/facets?format=png").json()["images"] == 1
        assert client.get("/api/v1/similar/1").status_code == 200
        assert client.get("/api/v1/thumbnails/1").status_code == 200
        slow_start.is_allowed.set()
        assert search_api(client, text="red").status_code == 200
        assert read_state(client) == (200, "", "ready")
    assert slow_start.starts == 1


def test_failed_start_is_a_state(library: Path) -> None:
    """The process lives, and the next search tries again."""
    is_broken = True

    def start(spec: ModelSpec) -> FakeEngine:
        if is_broken:
            raise EngineError("no memory")
        return FakeEngine(spec)

    with serve_library(library, start) as url, httpx.Client(base_url=url) as client:
        assert search_api(client, text="red").json()["detail"] == "no memory"
        assert read_state(client)[::2] == (503, "failed")
        is_broken = False
        assert search_api(client, text="red").status_code == 200
        assert read_state(client)[::2] == (200, "ready")


def test_service_loads_the_model_before_a_search(
    library: Path, slow_start: SlowStart, tmp_path: Path
) -> None:
    """load_model waits until the engine runs; the search that follows starts no other."""
    service = Service(library, slow_start)

    async def load() -> None:
        loading = asyncio.create_task(service.load_model())
        while service.model_state != "loading":
            await asyncio.sleep(0.01)
        assert not loading.done()
        slow_start.is_allowed.set()
        await loading

    asyncio.run(load())
    assert (service.model_state, slow_start.starts) == ("ready", 1)
    service.close()

    def fail(spec: ModelSpec) -> FakeEngine:
        raise EngineError("no memory")

    service = Service(library, fail)
    with pytest.raises(EngineError, match="no memory"):
        asyncio.run(service.load_model())
    service.close()
    Library.open(tmp_path / "empty", create=True, start=FakeEngine).close()
    service = Service(tmp_path / "empty", slow_start)
    with pytest.raises(LibraryError):
        asyncio.run(service.load_model())
    assert service.model_state == "not_loaded"
    service.close()


def test_readiness_needs_no_token(library: Path, fake_engines: FakeEngines) -> None:
    """Programs that watch the process have no token; the metrics describe the library."""
    with serve_library(library, fake_engines, AccessRules("secret")) as url:
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert httpx.get(f"{url}/metrics").status_code == 401


def test_metrics_count_pictures_and_name_the_build(client: Any) -> None:
    """Pictures, files, requests, queue and version are in /metrics."""
    lines = client.get("/metrics").text.splitlines()
    assert "searchapp_images 3.0" in lines
    assert "searchapp_files 3.0" in lines
    assert "searchapp_queued_jobs 0.0" in lines
    assert "searchapp_active_requests 0.0" in lines
    assert any(line.startswith("searchapp_build_info{") and "version=" in line for line in lines)


def test_serve_loads_the_model_and_opens_the_page(library: Path, tmp_path: Path) -> None:
    """`serve` becomes ready without a search; --open starts the browser with the page."""
    opened = tmp_path / "opened"
    browser = tmp_path / "bin" / "xdg-open"
    browser.parent.mkdir()
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        slow_command("serve", "--port", 0, "--open", "--library", library),
        env=os.environ | library_environment(tmp_path) | {"PATH": path},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    try:
        url = process.stderr.readline().split()[1]

        def is_ready() -> bool:
            try:
                with urllib.request.urlopen(f"{url}readyz") as answer:
                    return bool(answer.status == 200)
            except urllib.error.HTTPError as error:
                assert error.code == 503
                return False

        wait_until(is_ready)
        wait_until(opened.exists)
        assert opened.read_text() == f"{url}\n"
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()
