"""What SQLite raises becomes an error that names the library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchapp.errors import LibraryError
from searchapp.files.atomic import reason


@contextmanager
def stated(folder: Path) -> Iterator[None]:
    """Raise LibraryError where SQLite fails on the library in a folder."""
    try:
        yield
    except sqlite3.Error as error:
        raise LibraryError(f"the library at {folder}: {reason(error)}") from error
