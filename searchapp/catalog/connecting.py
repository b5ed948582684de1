"""How the catalogue's file is opened, where it can be written and where it cannot."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a catalogue, in autocommit mode; errors: sqlite3.Error.

    SQLite makes two files beside it even to read. Where nobody may make them, and none were left
    there, nobody writes either: there it is opened as a file that does not change.
    """
    if not os.access(file.parent, os.W_OK) and not _journal(file).exists():
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    return sqlite3.connect(file, isolation_level=None, timeout=30)


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
