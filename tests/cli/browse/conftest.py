"""Fixtures of the tests of `searchapp browse`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.library import index_folder

from searchapp.cli.browse import app, picture_loader
from searchapp.library import Library


@pytest.fixture
def library(opened: Library, photos: Path, model: Path) -> Library:
    """A library with a red, a green and a blue picture."""
    index_folder(opened, photos, model)
    return opened


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load pictures at once, and search only at Enter: no test depends on the speed of typing."""
    monkeypatch.setattr(picture_loader, "SCROLL_PAUSE_S", 0)
    monkeypatch.setattr(app, "TYPING_PAUSE_S", 600)
