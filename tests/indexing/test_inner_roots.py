"""A folder that is indexed by its own name keeps its files in runs of a folder around it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.dng_files import make_dng
from support.library import index_folder
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.errors import FolderError
from searchapp.library import Library
from searchapp.types import RunSummary


@pytest.mark.parametrize("name", [".private", "excluded", "ignored"])
def test_an_inner_root_is_not_pruned_by_the_outer_one(
    opened: Library, photos: Path, model: Path, name: str
) -> None:
    """Pictures, failures, companions and sidecars that only the inner run sees stay."""
    inner = photos / name
    for number in range(12):
        save_picture(inner / f"{number}.jpg", "yellow", number + 1)
    (inner / "0.dng").write_bytes(make_dng())
    (inner / "0.xmp").write_bytes(make_xmp('xmp:Rating="4"'))
    (inner / "bad.jpg").write_bytes(b"no picture")
    (photos / ".searchappignore").write_text("ignored/\n")
    exclude = ("excluded/",)
    index_folder(opened, photos, model, exclude=exclude)
    index_folder(opened, inner, model)
    with sqlite3.connect(opened.folder / "catalog.db") as db:
        before = read_tables(db)
        assert [len(rows) for rows in before] == [15, 1, 1, 1]
        assert index_folder(opened, photos, model, exclude=exclude) == RunSummary(unchanged=3)
        assert index_folder(opened, photos, model, exclude=exclude, prune=True).removed == 0
        assert read_tables(db) == before
    assert index_folder(opened, inner, model) == RunSummary(unchanged=12)
    (inner / "5.jpg").unlink()
    assert index_folder(opened, photos, model, exclude=exclude).removed == 1


def read_tables(db: sqlite3.Connection) -> list[list[str]]:
    """Return the paths of all files, failures, companions and sidecars."""
    return [
        [path for (path,) in db.execute(f"select path from {table} order by path")]
        for table in ("files", "failures", "companions", "sidecars")
    ]


def test_files_that_the_outer_run_has_seen_belong_to_it(
    opened: Library, photos: Path, model: Path
) -> None:
    """An old run of an inner folder does not keep files that are excluded now."""
    index_folder(opened, photos / "below", model)
    assert index_folder(opened, photos, model) == RunSummary(added=2, unchanged=1)
    assert index_folder(opened, photos, model, exclude=("below/",)).removed == 1


def test_an_outer_root_can_be_without_pictures_of_its_own(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """All known pictures are in the inner root, so that no drive seems to be unmounted."""
    save_picture(tmp_path / "outer" / ".inner" / "red.jpg")
    index_folder(opened, tmp_path / "outer" / ".inner", model)
    assert index_folder(opened, tmp_path / "outer", model) == RunSummary()
    save_picture(tmp_path / "outer" / "blue.jpg", "blue")
    index_folder(opened, tmp_path / "outer", model)
    (tmp_path / "outer" / "blue.jpg").unlink()
    with pytest.raises(FolderError, match="no picture found"):
        index_folder(opened, tmp_path / "outer", model)


def test_roots_in_one_run_do_not_prune_one_another(
    opened: Library, photos: Path, model: Path
) -> None:
    """The outer root excludes what the inner root includes."""
    save_picture(photos / ".private" / "yellow.jpg", "yellow")
    for _ in range(2):
        *_, last = opened.index([photos, photos / ".private"])
        assert last.summary.removed == 0
    assert opened.info().files == 4
