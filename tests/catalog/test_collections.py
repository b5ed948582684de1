"""The collection with the latest complete index run comes first, however fast runs follow."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.library import index_folder, write_fake_clip

from searchapp.catalog import writer
from searchapp.library import Library


def test_collections_are_ordered_by_runs_not_by_clock(
    opened: Library, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in the same second, and runs after the clock was set back, keep their order."""
    other = write_fake_clip(tmp_path / "models" / "other", b"other weights")
    times = iter([f"2026-01-01T00:00:{59 - n // 4:02}+00:00" for n in range(100)])
    monkeypatch.setattr(writer, "format_utc_now", lambda: next(times))
    for chosen in (model, other, model, other, other, model):
        index_folder(opened, photos, chosen)
        first, *_ = opened._catalog.list_collections()
        assert first.model == str(chosen)
        last_run = opened._catalog.describe_collection(first).last_run
    assert last_run == "2026-01-01T00:00:57+00:00"


def test_an_unfinished_run_does_not_count(opened: Library, photos: Path, model: Path) -> None:
    """The collection of an interrupted run comes after those with complete runs."""
    index_folder(opened, photos, model)
    catalog = opened._catalog
    new = catalog.add_collection("new", "m", "r", 4, "{}")
    catalog.writer.start_run(new, [])
    assert [each.name for each in catalog.list_collections()] == [model.name, "new"]
