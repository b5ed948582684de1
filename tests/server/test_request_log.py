"""What `serve` logs of each request: no token, and texts of queries only as details."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.api import hit_names, search_api
from support.library import FakeEngines, index_folder
from support.live_server import serve_library

from searchapp.library import Library
from searchapp.server.guard import AccessRules

TOKEN = "S3CRET"


@pytest.fixture
def client(
    photos: Path, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> Iterator[httpx.Client]:
    """A client of a server that has a token."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
    rules = AccessRules(TOKEN, frozenset({"127.0.0.1"}))
    with (
        serve_library(tmp_path / "library", fake_engines, rules) as url,
        httpx.Client(base_url=url, timeout=120) as opened_client,
    ):
        yield opened_client


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "searchapp.server.request_log" and record.levelno == level
    ]


def send_requests(client: httpx.Client) -> None:
    assert client.get("/", params={"token": "wrong"}).status_code == 401
    assert client.get("/", params={"token": TOKEN}).status_code == 303
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert hit_names(search_api(client, text="a red boat"))
    client.get("/api/facets", params={"keyword": "beach"})
    client.get("/healthz")  # A request is logged after its answer, but before the next request.


def test_each_request_is_a_line(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """Method, path, status and milliseconds; refused requests too; no query string."""
    caplog.set_level(logging.INFO, "searchapp")
    send_requests(client)
    lines = messages(caplog, logging.INFO)
    assert re.fullmatch(r"GET / 401 \d+ ms", lines[0])
    assert re.fullmatch(r"GET / 303 \d+ ms", lines[1])
    answered = [line for line in lines[2:] if not line.startswith("POST /api/search 503")]
    assert re.fullmatch(r"POST /api/search 200 \d+ ms", answered[0])
    assert re.fullmatch(r"GET /api/facets 200 \d+ ms", answered[1])
    assert messages(caplog, logging.DEBUG) == []
    for secret in (TOKEN, "wrong", "red boat", "beach"):
        assert secret not in caplog.text


def test_details_hide_the_token(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """The query string is a detail; a token in it, even a wrong one, is not logged."""
    caplog.set_level(logging.DEBUG, "searchapp")
    send_requests(client)
    lines = messages(caplog, logging.DEBUG)
    assert "Query string of the request /: token=..." in lines
    assert "Query string of the request /api/facets: keyword=beach" in lines
    assert TOKEN not in caplog.text and "wrong" not in caplog.text


def test_nothing_is_logged_by_default(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Without -v there is no record at all."""
    send_requests(client)
    assert messages(caplog, logging.INFO) == messages(caplog, logging.DEBUG) == []
