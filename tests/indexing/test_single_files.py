"""`index photo.jpg`: files that the user names, alone or together with folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dng_files import make_dng
from support.library import FakeEngines, RunCommand, index_folder, search_file_names
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.errors import FolderError
from searchapp.library import Library
from searchapp.types import (
    FileFailed,
    IndexOptions,
    Query,
    RatingRange,
    RunFinished,
    RunSummary,
    SearchOptions,
)


def test_only_the_named_file_is_indexed(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Its folder is not scanned; a later run of the folder reads only the other files."""
    assert index_folder(opened, photos / "red.jpg", model) == RunSummary(added=1)
    assert index_folder(opened, photos / "red.jpg", model) == RunSummary(unchanged=1)
    assert search_file_names(opened, "red") == ["red.jpg"]
    assert index_folder(opened, photos, model) == RunSummary(added=2, unchanged=1)
    save_picture(photos / "red.jpg", "yellow")
    (photos / "green.png").unlink()
    assert index_folder(opened, photos / "red.jpg", model) == RunSummary(added=1)
    assert (opened.info().files, fake_engines.embedded_count) == (3, 4)


def test_files_and_folders_can_be_mixed(
    opened: Library, photos: Path, model: Path, run: RunCommand
) -> None:
    """A file inside a named folder is indexed once."""
    done = run(
        "index", photos / "green.png", photos / "below", photos / "below/blue.jpg",
        "--model", model,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "2 added" in done.stderr
    assert opened.info().files == 2


def test_sidecars_and_companions_come_with_the_file(
    opened: Library, photos: Path, model: Path
) -> None:
    """A file of the same name that is another picture does not."""
    (photos / "red.xmp").write_bytes(make_xmp('xmp:Rating="4"'))
    (photos / "red.dng").write_bytes(make_dng())
    save_picture(photos / "red.png", "blue")
    index_folder(opened, photos / "red.jpg", model)
    (hit,) = opened.search(Query("red"), SearchOptions(rating=RatingRange(4, 4)))
    assert hit.path == str(photos / "red.jpg")
    assert hit.companions == (str(photos / "red.dng"),)
    assert opened.info().files == 1


def test_a_named_file_is_read_although_a_rule_excludes_it(
    opened: Library, photos: Path, model: Path
) -> None:
    """The user names it, so neither its hidden name nor an ignore file matters, now or later."""
    save_picture(photos / ".hidden.jpg", "yellow")
    save_picture(photos / "secret.jpg", "white")
    (photos / ".searchappignore").write_text("secret*\n")
    for name in (".hidden.jpg", "secret.jpg"):
        assert index_folder(opened, photos / name, model) == RunSummary(added=1)
    assert index_folder(opened, photos, model) == RunSummary(added=3)
    assert opened.info().files == 5


def test_a_file_that_is_no_picture_is_a_failure(opened: Library, photos: Path, model: Path) -> None:
    """In a folder it would be skipped without a word; here the user asked for it."""
    (photos / "notes.txt").write_text("no picture")
    events = list(opened.index([photos / "notes.txt"], IndexOptions(model=str(model))))
    (failure,) = [event.failure for event in events if isinstance(event, FileFailed)]
    assert failure.path == str(photos / "notes.txt")
    assert failure.message == "the content of the file is not a picture or video"
    assert isinstance(events[-1], RunFinished) and events[-1].summary.failed == 1


def test_a_file_that_is_gone_is_an_error(opened: Library, photos: Path, model: Path) -> None:
    """With --prune, the library forgets it."""
    index_folder(opened, photos, model)
    (photos / "red.jpg").unlink()
    with pytest.raises(FolderError, match="check the path"):
        index_folder(opened, photos / "red.jpg", model)
    assert index_folder(opened, photos / "red.jpg", model, prune=True).removed == 1
    assert opened.info().files == 2
