"""How the catalogue's file is opened, where it can be written and where it cannot."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

WAIT = 30  # seconds for others that write
LONG = 3600  # seconds for one that brings the catalogue up to date


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a catalogue, in autocommit mode; errors: sqlite3.Error.

    SQLite makes two files beside it even to read. Where nobody may make them, and none were left
    there, nobody writes either: there it is opened as a file that does not change.
    """
    if not os.access(file.parent, os.W_OK) and not _journal(file).exists():
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    return sqlite3.connect(file, isolation_level=None, timeout=WAIT)


@contextmanager
def writing(db: Database) -> Iterator[Database]:
    """Wrap what follows in one transaction, which may read before it writes.

    One that has begun to read cannot write once another connection has: this one is begun as the
    only writer, and waits for others.
    """
    if db.conn.in_transaction:
        with db.atomic():
            yield db
        return
    db.execute("begin immediate")
    try:
        yield db
    except BaseException:
        db.conn.rollback()
        raise
    db.conn.commit()


@contextmanager
def patient(db: Database) -> Iterator[None]:
    """Wait for others that write as long as it takes."""
    db.execute(f"pragma busy_timeout = {1000 * LONG}")
    try:
        yield
    finally:
        db.execute(f"pragma busy_timeout = {1000 * WAIT}")


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
