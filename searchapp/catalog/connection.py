"""Open the catalog's SQLite file, interrupt its statements, and wrap transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from sqlite_utils import Database

BUSY_TIMEOUT_S = 30  # maximum wait for another process that writes
MIGRATION_BUSY_TIMEOUT_S = 3600  # maximum wait for another process that upgrades the catalog


class CatalogConnection(sqlite3.Connection):
    """SQLite connection that interrupt_statements() finds while it exists."""

    real_path: str


_connections: WeakSet[CatalogConnection] = WeakSet()
_connections_lock = threading.Lock()


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a catalog in autocommit mode. Raises sqlite3.Error.

    In WAL mode, SQLite creates two files next to the catalog even for reading. In a read-only
    folder it cannot, so the files that exist there decide how the catalog is opened:
    - no WAL file: nobody can write, so the file is opened as immutable.
    - a WAL file without its index (-shm), as in a copy: no process has the catalog open, so SQLite
      works without file locks, and keeps the index of the WAL in memory.
    - both files: SQLite can use them.
    https://www.sqlite.org/wal.html#read_only_databases
    https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
    """
    address: str | Path = file
    options = ""
    if not os.access(file.parent, os.W_OK):
        has_wal, has_wal_index = (
            file.with_name(f"{file.name}{suffix}").exists() for suffix in ("-wal", "-shm")
        )
        if not has_wal:
            options = "?mode=ro&immutable=1"
        elif not has_wal_index:
            options = "?mode=ro&vfs=unix-none"
        if options:
            address = file.absolute().as_uri() + options
    connection = sqlite3.connect(
        address,
        uri=bool(options),
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        factory=CatalogConnection,
    )
    if "vfs=" in options:
        connection.execute("pragma locking_mode = exclusive")
    connection.real_path = os.path.realpath(file)
    with _connections_lock:
        _connections.add(connection)
    return connection


def interrupt_statements(file: Path) -> None:
    """Interrupt the running statements of a catalog's connections in this process.

    They raise sqlite3.OperationalError. Any thread may call this function.
    """
    real_path = os.path.realpath(file)
    with _connections_lock:
        connections = [each for each in _connections if each.real_path == real_path]
    for connection in connections:
        with suppress(sqlite3.ProgrammingError):  # its thread has just closed it
            connection.interrupt()


@contextmanager
def begin_immediate(db: Database) -> Iterator[None]:
    """Run the with block in a transaction that takes the write lock first.

    A transaction that starts with a read fails at its first write if another connection wrote
    meanwhile.
    """
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.conn.rollback()
        raise
    db.conn.commit()


@contextmanager
def wait_for_writers(db: Database) -> Iterator[None]:
    """In the with block, wait up to MIGRATION_BUSY_TIMEOUT_S for another process that writes."""
    db.execute(f"pragma busy_timeout = {1000 * MIGRATION_BUSY_TIMEOUT_S}")
    try:
        yield
    finally:
        db.execute(f"pragma busy_timeout = {1000 * BUSY_TIMEOUT_S}")
