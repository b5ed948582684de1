"""Auxiliary files are read with the same care as pictures: only regular files of bounded size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.library import index_folder
from support.metadata_files import make_xmp

from searchapp.bench.captions import CaptionsError, read_captions
from searchapp.errors import LibraryError, ModelError
from searchapp.files import ignore_rules, local
from searchapp.library import Library
from searchapp.models.custom import read_model_file
from searchapp.models.local_folder import read_model_folder
from searchapp.types import FileFailed, IndexOptions, Query, SearchOptions
from searchapp.upkeep.exchange import read_export

MakeFile = Callable[[Path], None]


def make_pipe(file: Path) -> None:
    """Make a pipe that has a writer, which never writes: a plain read waits without end."""
    os.mkfifo(file)
    os.open(file, os.O_RDWR)


def link_endless_device(file: Path) -> None:
    """Make a link to a device that never ends."""
    file.symlink_to("/dev/zero")


special_files = pytest.mark.parametrize("make_file", [make_pipe, link_endless_device])


@special_files
def test_an_ignore_file_that_is_not_regular_is_told(
    opened: Library, photos: Path, model: Path, make_file: MakeFile
) -> None:
    """The folder of such a file is a failure with the reason; the other folders are indexed."""
    make_file(photos / "below" / ".searchappignore")
    events = list(opened.index([photos], IndexOptions(str(model))))
    (failure,) = [event.failure for event in events if isinstance(event, FileFailed)]
    assert failure.path == str(photos / "below")
    reason = ".searchappignore in it cannot be read: the path is not a regular file"
    assert failure.message == reason
    assert opened.info().files == 2
    summary = index_folder(opened, photos, model, only=(str(photos / "below" / "blue.jpg"),))
    assert (summary.added, summary.failed) == (0, 1)


def test_a_large_ignore_file_is_told(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ignore file above the limit is not half applied."""
    monkeypatch.setattr(ignore_rules, "MAX_IGNORE_FILE_BYTES", 1 << 20)
    (photos / "below" / ".searchappignore").write_bytes(b"#" * (1 << 20) + b"\n")
    assert index_folder(opened, photos, model).failed == 1
    assert opened.info().files == 2


@special_files
def test_a_sidecar_that_is_not_regular_is_skipped(
    opened: Library, photos: Path, model: Path, make_file: MakeFile
) -> None:
    """The picture is indexed without it, and the next sidecar by order is read."""
    make_file(photos / "red.jpg.xmp")
    (photos / "red.xmp").write_bytes(make_xmp('xmp:Rating="3"'))
    summary = index_folder(opened, photos, model)
    assert (summary.added, summary.failed) == (3, 0)
    (red,) = opened.search(Query("red"), SearchOptions(count=1))
    assert red.rating == 3


@special_files
def test_captions_models_and_exports_must_be_regular_files(
    tmp_path: Path, model: Path, make_file: MakeFile
) -> None:
    """Each command ends with one line that names the reason."""
    make_file(tmp_path / "captions.json")
    with pytest.raises(CaptionsError, match="not a regular file"):
        read_captions(tmp_path / "captions.json")
    make_file(tmp_path / "model.toml")
    with pytest.raises(ModelError, match="not a regular file"):
        read_model_file(tmp_path / "model.toml")
    (model / "config.json").unlink()
    make_file(model / "config.json")
    with pytest.raises(ModelError, match="not a regular file"):
        read_model_folder(model)
    for name in ("export.json", "export.npy", "export.parquet"):
        (tmp_path / name).unlink(missing_ok=True)
        make_file(tmp_path / name)
        with pytest.raises(LibraryError, match="not a regular file"):
            read_export(tmp_path / name)


def test_the_size_of_auxiliary_files_is_bounded(tmp_path: Path) -> None:
    """A file of the limit is read; one byte more is an error, and a size costs no memory."""
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    assert len(local.read_bounded_file(file, 1 << 20)) == 1 << 20
    with file.open("ab") as opened:
        opened.write(b"x")
    with pytest.raises(OSError, match="more than 1 MiB"):
        local.read_bounded_file(file, 1 << 20)
    os.truncate(file, 1 << 43)
    with pytest.raises(OSError, match="more than 1 MiB"):
        local.read_bounded_file(file, 1 << 20)
    assert local.read_bounded_file("/proc/self/status", 1 << 20).startswith(b"Name:")
