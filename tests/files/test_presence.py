"""A file that cannot be looked at is not gone."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder, search_file_names
from support.processes import run_without_root_rights
from support.sample_pictures import save_picture

from searchapp.errors import FolderError
from searchapp.files import storage
from searchapp.files.presence import Presence, check_presence
from searchapp.library import Library

FailStat = Callable[[Path, int], None]


@pytest.fixture
def fail_stat(monkeypatch: pytest.MonkeyPatch) -> FailStat:
    """Return a function that makes os.stat fail for a folder and all paths below it."""
    real_stat = os.stat

    def fail_below(folder: Path, number: int) -> None:
        def stat(path: object, *args: object, **options: object) -> os.stat_result:
            if isinstance(path, str | Path) and Path(path).is_relative_to(folder):
                raise OSError(number, os.strerror(number), str(path))
            return real_stat(path, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "stat", stat)

    return fail_below


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOENT, Presence.GONE),
        (errno.ENOTDIR, Presence.GONE),
        (errno.ELOOP, Presence.GONE),
        (errno.ENAMETOOLONG, Presence.GONE),
        (errno.EACCES, Presence.UNKNOWN),
        (errno.ESTALE, Presence.UNKNOWN),
        (errno.EIO, Presence.UNKNOWN),
        (errno.ENOTCONN, Presence.UNKNOWN),
        (errno.ETIMEDOUT, Presence.UNKNOWN),
    ],
)
def test_each_error_says_whether_a_file_is_gone(
    tmp_path: Path, fail_stat: FailStat, number: int, expected: Presence
) -> None:
    """Only errors that mean that no file has this path count as gone."""
    fail_stat(tmp_path, number)
    assert check_presence(str(tmp_path / "red.jpg")) is expected


def test_presence_of_real_paths(tmp_path: Path) -> None:
    """The function distinguishes files, missing files, looping links and invalid names."""
    save_picture(tmp_path / "red.jpg")
    (tmp_path / "loop").symlink_to("loop")
    presence = {
        name: check_presence(str(tmp_path / name))
        for name in ("red.jpg", "none", "loop", "red.jpg/below", "n" * 5000, "a\0b")
    }
    assert presence.pop("red.jpg") is Presence.THERE
    assert {*presence.values()} == {Presence.GONE}


def test_prune_keeps_files_that_it_cannot_look_at(
    opened: Library, photos: Path, model: Path, fail_stat: FailStat
) -> None:
    """With --missing, prune forgets a deleted file, but no file in a folder without permissions."""
    index_folder(opened, photos, model)
    (photos / "red.jpg").unlink()
    fail_stat(photos / "below", errno.EACCES)
    pruned = opened.prune(missing=True)
    assert (pruned.files, pruned.images) == (1, 1)
    assert opened.info().files == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs the capabilities of Linux")
def test_real_permissions_protect_files(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """As for any user, a folder with mode 0 keeps its files in prune, index and searches."""

    def work() -> None:
        with Library.open(tmp_path / "new", create=True, start=fake_engines) as library:
            index_folder(library, photos, model)
            (photos / "below").chmod(0)
            assert library.prune(missing=True).files == 0
            summary = index_folder(library, photos, model)
            assert (summary.unchanged, summary.removed, summary.failed) == (2, 0, 1)
            assert search_file_names(library, "blue") == ["blue.jpg"]
            assert library.info().files == 3

    try:
        run_without_root_rights(work)
    finally:
        (photos / "below").chmod(0o700)


def test_a_search_shows_files_that_it_cannot_look_at(
    opened: Library, photos: Path, model: Path, fail_stat: FailStat
) -> None:
    """A hit in a folder without permissions is shown; only a file that is gone is left out."""
    index_folder(opened, photos, model)
    fail_stat(photos / "below", errno.EACCES)
    assert search_file_names(opened, "blue") == ["blue.jpg"]


def test_a_root_that_cannot_be_looked_at_is_an_error(
    opened: Library, photos: Path, model: Path, fail_stat: FailStat
) -> None:
    """Index ends with one line, even with --prune, and forgets nothing."""
    index_folder(opened, photos, model)
    fail_stat(photos, errno.EACCES)
    for prune in (False, True):
        with pytest.raises(FolderError, match="Permission denied"):
            index_folder(opened, photos, model, prune=prune)
    assert opened.info().files == 3


def test_named_paths_that_cannot_be_looked_at_are_kept(
    opened: Library, photos: Path, model: Path, fail_stat: FailStat
) -> None:
    """A run over named paths, as watch makes them, forgets no file without permissions."""
    index_folder(opened, photos, model)
    fail_stat(photos / "below", errno.EACCES)
    paths = (str(photos / "below"), str(photos / "below" / "blue.jpg"))
    summary = index_folder(opened, photos, model, only=paths, include=("*.jpg",))
    assert (summary.removed, summary.failed) == (0, 2)
    assert opened.info().files == 3


def test_only_existing_files_are_imported(
    opened: Library, photos: Path, model: Path, tmp_path: Path, fail_stat: FailStat
) -> None:
    """An export of a stranger adds no path that this user cannot look at."""
    index_folder(opened, photos, model)
    opened.export(tmp_path / "export.json")
    fail_stat(photos / "below", errno.EACCES)
    with Library.open(tmp_path / "other", create=True) as other:
        assert other.load(tmp_path / "export.json").files == 2


def test_a_store_that_does_not_answer_has_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed request is no proof that an object is gone."""

    class BrokenStore:
        def read_state(self, url: str) -> None:
            raise OSError(errno.EIO, "the server answers 500")

    monkeypatch.setattr(storage, "_create_store", lambda scheme: BrokenStore())
    assert list(storage.find_missing(["s3://bucket/red.jpg"])) == []
