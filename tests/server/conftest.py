"""Fixtures: a library, a server with an HTTP client, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import search_api
from support.library import FakeEngines, index_folder
from support.live_server import serve_library

from searchapp.library import Library


@pytest.fixture
def library(tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines) -> Path:
    """Library with three pictures."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
    return tmp_path / "library"


@pytest.fixture
def client(library: Path, fake_engines: FakeEngines) -> Iterator[Any]:
    """HTTP client of a server whose engine runs."""
    with (
        serve_library(library, fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        search_api(client, text="red")
        yield client
