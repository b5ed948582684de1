"""Each folder has one normal form, however a user writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.library import index_folder

from searchapp.catalog import Catalog, recent_migrations
from searchapp.errors import FolderError
from searchapp.files.path_forms import normalize_folder
from searchapp.files.roots import resolve_roots
from searchapp.library import Library
from searchapp.types import IndexOptions, Query, RunFinished, SearchOptions


def spell_differently(folder: Path) -> list[str]:
    """Return other ways to write the path of a folder."""
    return [
        f"/{folder}",
        f"//{folder}",
        f"{folder}/",
        f"{folder}//",
        f"{folder.parent}/./{folder.name}",
        f"{folder}/below/..",
        os.path.relpath(folder),
    ]


def test_every_spelling_is_the_same_folder(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is indexed by another spelling has no new file, and filters find it."""
    monkeypatch.setenv("HOME", str(photos.parent))
    index_folder(opened, photos, model)
    for spelling in (*spell_differently(photos), f"~/{photos.name}"):
        assert normalize_folder(spelling) == str(photos)
        events = list(opened.index([spelling], IndexOptions(str(model))))
        assert isinstance(events[-1], RunFinished)
        assert (events[-1].summary.added, events[-1].summary.unchanged) == (0, 3)
        options = SearchOptions(folder=f"{spelling}/below")
        assert [Path(hit.path).name for hit in opened.search(Query("red"), options)] == ["blue.jpg"]
    assert opened.info().files == 3


def test_two_spellings_are_one_root(photos: Path) -> None:
    """A folder that is named twice is scanned once; its order stays."""
    below = photos / "below"
    assert resolve_roots([below, *spell_differently(photos)]) == [str(below), str(photos)]


def test_the_home_of_an_unknown_user_is_no_folder() -> None:
    """It is one line, and no traceback."""
    with pytest.raises(FolderError, match="there is no home folder for ~nosuchuser"):
        resolve_roots(["~nosuchuser/photos"])


def test_urls_keep_their_slashes() -> None:
    """In a bucket, two slashes are part of the key."""
    assert normalize_folder("s3://bucket//a//b/") == "s3://bucket//a//b"


def test_an_old_library_has_each_file_once() -> None:
    """The upgrade renames paths with two slashes, unless the path with one slash is known."""
    db = Database(memory=True)
    for migration in recent_migrations.MIGRATIONS.pending(db):
        if migration.name < "m009":
            migration.fn(db)
    db.execute("insert into images (id, sha256, format, width, height) values (1, '', '', 1, 1)")
    db.execute("pragma foreign_keys = off")
    for path in ("//data/a.jpg", "/data/a.jpg", "//data/b.jpg", b"//data/\xff.jpg", "/0.jpg"):
        db.execute("insert into files values (?, 1, 1, 1, 1)", (path,))
        db.execute("insert into failures values (1, ?, 1, 1, 1, '', '')", (path,))
    db.execute("insert into companions values ('//data/b.dng', '//data/b.jpg', 'raw')")
    recent_migrations.m010_one_slash(db)
    expected = {"/data/a.jpg", "/data/b.jpg", b"/data/\xff.jpg", "/0.jpg"}
    for table in ("files", "failures"):
        assert {row["path"] for row in db[table].rows} == expected
    assert next(db["companions"].rows)["of_path"] == "/data/b.jpg"
    Catalog.in_memory().close()  # with all migrations
