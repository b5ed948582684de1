"""The time to hash a file is bounded by the data that it holds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from support.library import index_folder

from searchapp.errors import PictureError
from searchapp.files import hash_file, storage
from searchapp.library import Library


def hash_path(file: Path) -> str:
    with storage.open_file(str(file)) as (opened, state):
        return hash_file.hash_file(opened, state)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the limits from GiB to MiB."""
    monkeypatch.setattr(hash_file, "MAX_HASHED_BYTES", 64 << 20)
    monkeypatch.setattr(hash_file, "MIN_CHECKED_BYTES", 1 << 20)


@pytest.mark.parametrize("data_bytes", [0, 1, 5 << 20])
@pytest.mark.usefixtures("small_limits")
def test_a_mostly_empty_file_is_refused(tmp_path: Path, data_bytes: int) -> None:
    """An incomplete download that has reserved its size is a failure with the reason."""
    file = tmp_path / "film.mp4"
    file.write_bytes(b"x" * data_bytes)
    os.truncate(file, 32 << 20)
    with pytest.raises(PictureError, match="of its 32 MiB are written") as caught:
        hash_path(file)
    assert caught.value.stage == "read"


@pytest.mark.usefixtures("small_limits")
def test_a_file_with_some_holes_is_hashed(tmp_path: Path) -> None:
    """A hole counts as zeros, in a file that is mostly data and in a small file."""
    for name, size in (("film.mp4", 2 << 20), ("small.mp4", 1 << 19)):
        file = tmp_path / name
        data = b"x" * (size - (size >> 2))
        file.write_bytes(data)
        os.truncate(file, size)
        expected = hashlib.sha256(data + bytes(size - len(data))).hexdigest()
        assert hash_path(file) == expected


@pytest.mark.usefixtures("small_limits")
def test_a_file_system_without_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot tell holes from data, all bytes count as data."""
    real_lseek = os.lseek

    def lseek(descriptor: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_DATA:
            raise OSError(22, "Invalid argument")
        return real_lseek(descriptor, offset, whence)

    file = tmp_path / "film.mp4"
    file.touch()
    os.truncate(file, 2 << 20)
    monkeypatch.setattr(os, "lseek", lseek)
    assert hash_path(file) == hashlib.sha256(bytes(2 << 20)).hexdigest()


@pytest.mark.usefixtures("small_limits")
def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    """No file of more bytes is read."""
    file = tmp_path / "film.mp4"
    file.touch()
    os.truncate(file, (64 << 20) + 1)
    with pytest.raises(PictureError, match="the limit is 64 MiB"):
        hash_path(file)


def test_a_huge_sparse_video_is_a_failure_at_once(
    opened: Library, photos: Path, model: Path
) -> None:
    """A video of 8 TiB without data does not stop a run, with the real limits."""
    for name, size in (("reserved.mp4", 1 << 39), ("huge.mkv", 1 << 43)):
        (photos / name).touch()
        os.truncate(photos / name, size)
    assert index_folder(opened, photos, model).failed == 2
    reasons = [failure.message for failure in opened.failures()]
    assert reasons[0] == "the file has 8388608 MiB; the limit is 1048576 MiB"
    assert reasons[1].startswith("0 of its 524288 MiB are written")


def test_check_hashes_no_changed_file(opened: Library, photos: Path, model: Path) -> None:
    """A file that has another size now is the task of index, and is not read."""
    index_folder(opened, photos, model)
    os.truncate(photos / "red.jpg", 1 << 43)
    assert list(opened.check(files=None)) == []
