"""Where a library is, and its catalog in it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from searchapp.errors import LibraryError

CATALOG = "catalog.db"


def get_default_folder() -> Path:
    """Return where the library is when nobody says otherwise: in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("searchapp")


def resolve_library_folder(given: str | Path | None) -> Path:
    """Return the absolute path of the library that is meant."""
    return get_default_folder() if given is None else Path(given).expanduser().absolute()


def catalog_file(library: Path) -> Path:
    """Return the path of a library's catalog, the SQLite file that holds what must be kept."""
    return library / CATALOG


def require_library(library: Path) -> None:
    """Raise LibraryError where a folder holds no library."""
    if not catalog_file(library).exists():
        raise missing_library_error(library)


def missing_library_error(library: Path) -> LibraryError:
    """Return the error that says that a folder holds no library."""
    return LibraryError(
        f"no library at {library}; `searchapp index FOLDER` makes one there, "
        "--library DIR names another"
    )


def can_be_resident(library: Path) -> bool:
    """Tell whether a process can be left behind for a library: not where it cannot be written."""
    return hasattr(socket, "AF_UNIX") and (not library.exists() or os.access(library, os.W_OK))
