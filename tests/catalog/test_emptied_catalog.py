"""A catalog of 0 bytes beside an index is a loss, not a new library."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.library import index_folder

from searchapp.errors import LibraryError
from searchapp.files.library_folder import catalog_file
from searchapp.library import Library
from searchapp.types import Query
from searchapp.upkeep import backup


def test_an_emptied_catalog_is_an_error_until_it_is_restored(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Nothing that the folder still has is deleted, and a backup brings the rest back."""
    index_folder(opened, photos, model)
    opened.search(Query("red"))
    saved = tmp_path / "saved.db"
    opened.backup(saved)
    folder = opened.folder
    opened.close()
    catalog_file(folder).write_bytes(b"")
    before = {file.name for file in folder.iterdir()}
    assert any(name.endswith(".faiss") for name in before)
    for create in (False, True):
        with pytest.raises(LibraryError, match="is empty, but the library has an index"):
            Library.open(folder, create=create)
    assert {file.name for file in folder.iterdir()} == before
    backup.restore_backup(folder, saved)
    with Library.open(folder) as restored:
        assert restored.info().images == 3


def test_an_empty_catalog_without_an_index_is_a_new_library(tmp_path: Path) -> None:
    """A process that was killed while it created the library leaves such a file."""
    folder = tmp_path / "library"
    folder.mkdir()
    catalog_file(folder).write_bytes(b"")
    with Library.open(folder, create=True) as library:
        assert library.info().images == 0
