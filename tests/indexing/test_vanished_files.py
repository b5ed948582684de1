"""A path that cannot be read protects itself, and disables nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.dng_files import make_dng
from support.library import index_folder
from support.metadata_files import make_xmp
from support.sample_pictures import make_picture

from searchapp.files import scan
from searchapp.library import Library


def test_a_looping_link_is_no_failure(opened: Library, photos: Path, model: Path) -> None:
    """Links to themselves and to nothing are skipped, in full runs and in runs over paths."""
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "nothing.jpg").symlink_to("nowhere.jpg")
    (photos / "long.jpg").symlink_to("n" * 300)
    assert index_folder(opened, photos, model).failed == 0
    paths = tuple(str(photos / name) for name in ("loop.jpg", "nothing.jpg", "long.jpg"))
    assert index_folder(opened, photos, model, only=paths).failed == 0


def test_failures_of_deleted_files_are_removed(opened: Library, photos: Path, model: Path) -> None:
    """A failure goes with its file, although the folder has a link that cannot be followed."""
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "bad.jpg").write_bytes(b"no picture")
    assert index_folder(opened, photos, model).failed == 1
    (photos / "bad.jpg").unlink()
    index_folder(opened, photos, model)
    assert opened.failures() == []


def test_prune_missing_removes_failures(opened: Library, photos: Path, model: Path) -> None:
    """With --missing, prune forgets the failures of files that are gone."""
    for name in ("bad.jpg", "worse.jpg"):
        (photos / name).write_bytes(b"no picture")
    index_folder(opened, photos, model)
    (photos / "bad.jpg").unlink()
    opened.prune(missing=True, dry=True)
    assert len(opened.failures()) == 2
    opened.prune(missing=True)
    assert [Path(failure.path).name for failure in opened.failures()] == ["worse.jpg"]
    opened.prune()
    assert len(opened.failures()) == 1


def test_an_unreadable_folder_protects_only_itself(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an unreadable folder, deleted files, failures, companions and sidecars are removed."""
    locked = photos / "locked"
    for folder in (photos, locked):
        folder.mkdir(exist_ok=True)
        make_picture("white").save(folder / "shot.jpg")
        (folder / "shot.dng").write_bytes(make_dng())
        (folder / "shot.xmp").write_bytes(make_xmp('xmp:Rating="3"'))
        (folder / "bad.jpg").write_bytes(b"no picture")
    index_folder(opened, photos, model)
    for folder in (photos, locked):
        for name in ("shot.dng", "shot.xmp", "bad.jpg"):
            (folder / name).unlink()
    real_scandir = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real_scandir(path)

    monkeypatch.setattr(scan.os, "scandir", scandir)
    summary = index_folder(opened, photos, model)
    assert (summary.removed, summary.failed) == (0, 1)
    assert [failure.path for failure in opened.failures()] == [str(locked / "bad.jpg")]
    companions = opened._catalog.get_companions()
    assert companions.list_files_to_move(str(photos / "shot.jpg")) == []
    assert companions.list_files_to_move(str(locked / "shot.jpg")) == [
        str(locked / "shot.dng"),
        str(locked / "shot.xmp"),
    ]


def test_a_folder_that_vanishes_during_the_scan_is_gone(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is deleted after its parent was listed is no failure."""
    index_folder(opened, photos, model)
    real_scandir = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == photos / "below":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return real_scandir(path)

    monkeypatch.setattr(scan.os, "scandir", scandir)
    summary = index_folder(opened, photos, model)
    assert (summary.removed, summary.failed) == (1, 0)


@pytest.mark.parametrize("kind", ["file", "loop", "file of a folder above"])
def test_a_folder_that_becomes_a_file_is_gone(
    opened: Library, photos: Path, model: Path, kind: str
) -> None:
    """The files of a folder are forgotten if another file has the name of the folder now."""
    folder = photos / "deep" / "below"
    folder.mkdir(parents=True)
    make_picture("yellow").save(folder / "yellow.png")
    index_folder(opened, photos, model)
    (folder / "yellow.png").unlink()
    folder.rmdir()
    if kind == "file":
        folder.write_text("a file")
    elif kind == "loop":
        folder.symlink_to("below")
    else:
        folder.parent.rmdir()
        folder.parent.write_text("a file")
    summary = index_folder(opened, photos, model, only=(str(folder), str(folder / "yellow.png")))
    assert (summary.removed, summary.failed) == (1, 0)
    assert opened.info().files == 3
