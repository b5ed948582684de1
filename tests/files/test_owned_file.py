"""Deleting a file only if this process made it."""

from __future__ import annotations

import os
from pathlib import Path

from searchapp.files.lock import hold_writer_lock
from searchapp.files.owned_file import unlink_own


def test_only_the_own_file_is_deleted(tmp_path: Path) -> None:
    """A file of another process at the same path stays, even if it reuses the inode number."""
    file = tmp_path / "file"
    file.write_text("own")
    own = file.lstat()
    file.rename(tmp_path / "moved")
    file.write_text("other")
    unlink_own(file, own)
    assert file.read_text() == "other"
    file.unlink()
    (tmp_path / "moved").rename(file)
    os.utime(file, ns=(own.st_atime_ns, own.st_mtime_ns + 1))
    unlink_own(file, own)
    assert file.exists()
    os.utime(file, ns=(own.st_atime_ns, own.st_mtime_ns))
    unlink_own(file, own)
    assert not file.exists()
    unlink_own(file, own)


def test_writer_of_a_moved_library_keeps_the_name_of_the_new_writer(tmp_path: Path) -> None:
    """A lock of a moved library does not delete writer.txt of a new library at the path."""
    library = tmp_path / "library"
    library.mkdir()
    with hold_writer_lock(library, "first"):
        library.rename(tmp_path / "moved")
        library.mkdir()
        (library / "writer.txt").write_text("second")
    assert (library / "writer.txt").read_text() == "second"
