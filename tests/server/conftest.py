"""A library behind the HTTP API, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import search_api
from support.browser import CHROMIUM_PATH, BrowserTabs, sync_api
from support.library import FakeEngines, index_folder
from support.live_server import serve_library

from searchapp.library import Library


@pytest.fixture
def library(tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines) -> Path:
    """A library of three pictures."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
    return tmp_path / "library"


@pytest.fixture
def client(library: Path, fake_engines: FakeEngines) -> Iterator[Any]:
    """A client of a server that is warm."""
    with (
        serve_library(library, fake_engines) as url,
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        search_api(client, text="red")
        yield client


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tabs(chromium: Any) -> Iterator[BrowserTabs]:
    """Tabs; no error and no violation of the policy may be left in their consoles."""
    tabs = BrowserTabs(chromium)
    yield tabs
    tabs.close()
    assert tabs.console_errors == []
