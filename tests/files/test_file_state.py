"""Sizes and times from outside are bounded before they reach the catalog."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fake_engine import FakeEngine
from support.library import index_folder
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.engines import Refusal
from searchapp.files.file_state import MAX_INTEGER, MIN_INTEGER, FileState, make_state
from searchapp.library import Library
from searchapp.types import Query, RunSummary

AFTER_2262 = 14_000_000_000  # in 2413, seconds; as nanoseconds more than 64 bits


def test_a_time_after_2262_is_bounded(opened: Library, photos: Path, model: Path) -> None:
    """A picture and a sidecar with such a time are indexed, and unchanged in the next run."""
    (photos / "green.xmp").write_bytes(make_xmp('xmp:Rating="3"'))
    os.utime(photos / "green.xmp", (AFTER_2262, AFTER_2262))
    os.utime(photos / "red.jpg", (AFTER_2262, AFTER_2262))
    assert index_folder(opened, photos, model) == RunSummary(added=3)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    dates = {Path(hit.path).name: hit.date for hit in opened.search(Query("red"))}
    assert dates["red.jpg"] is None  # A clock that is wrong by centuries gives no date.
    assert dates["green.png"] is not None


def test_a_failure_with_a_time_after_2262_is_saved(
    opened: Library, photos: Path, model: Path
) -> None:
    """A broken file with such a time is a failure, and no error of the run."""
    broken = photos / "broken.jpg"
    broken.write_bytes(b"no picture")
    os.utime(broken, (AFTER_2262, AFTER_2262))
    assert index_folder(opened, photos, model).failed == 1
    assert [failure.path for failure in opened.failures()] == [str(broken)]


def test_file_states_fit_in_64_bits() -> None:
    """Sizes and times beyond 64 bits become the nearest value that SQLite can store."""
    assert FileState.from_values(2**70, 2**70) == FileState(MAX_INTEGER, MAX_INTEGER)
    assert FileState.from_values(-1, -(2**70)) == FileState(0, MIN_INTEGER)
    state = make_state(2**70, datetime(9999, 12, 31, tzinfo=UTC), "tag")
    assert state == FileState(MAX_INTEGER, MAX_INTEGER)


def test_a_limit_beyond_64_bits_is_no_limit(opened: Library, photos: Path, model: Path) -> None:
    """A number of files that SQLite cannot store is reduced to its highest number."""
    assert index_folder(opened, photos, model, limit=2**70).added == 3
    assert list(opened.check(files=2**70)) == []


@pytest.mark.parametrize("seconds", [-(10**10), 0, AFTER_2262])
def test_prune_and_check_accept_any_time(
    opened: Library, photos: Path, model: Path, seconds: int
) -> None:
    """Other commands compare the same bounded time."""
    save_picture(photos / "old.png", "white")
    os.utime(photos / "old.png", (seconds, seconds))
    index_folder(opened, photos, model)
    assert list(opened.check(files=None)) == []
    assert opened.prune(missing=True).files == 0


def test_a_reason_that_is_not_unicode_is_saved(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server can answer with half a character; the failure is saved without it."""
    reason = Refusal("bad \ud800\nreason")
    monkeypatch.setattr(FakeEngine, "embed", lambda engine, inputs: [reason for _ in inputs])
    assert index_folder(opened, photos, model).failed == 3
    assert {failure.message for failure in opened.failures()} == {"bad \ufffd\\nreason"}
