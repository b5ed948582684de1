"""Find the folder of a library and the catalog file in it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from searchapp.errors import LibraryError
from searchapp.files.enter_path import enter_path, find_entered

CATALOG = "catalog.db"


def get_default_folder() -> Path:
    """Return the default library folder, in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("searchapp")


def resolve_library_folder(folder: str | Path | None) -> Path:
    """Return the absolute path of a library folder; None: the default folder."""
    return get_default_folder() if folder is None else enter_path(folder, LibraryError)


def catalog_file(library: Path) -> Path:
    """Return the path of a library's catalog, the SQLite file with all data to back up."""
    return library / CATALOG


def require_library(library: Path) -> None:
    """Raise LibraryError if a folder contains no library."""
    if find_entered(catalog_file(library), LibraryError) is None:
        raise missing_library_error(library)


def missing_library_error(library: Path) -> LibraryError:
    """Return the error for a folder that contains no library."""
    return LibraryError(
        f"no library at {library}. Run `searchapp index FOLDER` to create it, or use "
        "--library DIR for another one."
    )


def can_be_resident(library: Path) -> bool:
    """Return whether a resident process can serve a library: its folder must be writable."""
    exists = os.path.exists(library)  # noqa: PTH110 (Path.exists raises OSErrors)
    return hasattr(socket, "AF_UNIX") and (not exists or os.access(library, os.W_OK))
