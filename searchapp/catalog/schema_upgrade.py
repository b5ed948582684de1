"""Create or upgrade the schema of a catalog, and reject files that are not catalogs."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlite_utils import Database

from searchapp.catalog.connection import begin_immediate, wait_for_writers
from searchapp.catalog.recent_migrations import MIGRATIONS
from searchapp.catalog.text_index import build_missing_texts
from searchapp.errors import LibraryError
from searchapp.files.extras import upgrade_hint

logger = logging.getLogger(__name__)
# In the header of the file, to tell a catalog from other SQLite files.
# https://www.sqlite.org/pragma.html#pragma_application_id
APPLICATION_ID = 0x53726368
SLOW_MIGRATION_IMAGES = 50_000  # On a slow disk, migrating so many images takes 1 second.


def upgrade_schema(db: Database, file: Path, report: Callable[[str], None]) -> None:
    """Apply the missing migrations to a catalog; an empty file becomes a new catalog.

    report: receives a message before an upgrade that takes long.
    Raises LibraryError if the file is not a catalog, or a newer version of searchapp wrote it.
    """
    (application_id,) = db.execute("pragma application_id").fetchone()
    (table_count,) = db.execute("select count(*) from sqlite_master").fetchone()
    if table_count and application_id != APPLICATION_ID:
        raise LibraryError(
            f"{file} is not a searchapp catalog. Choose another library folder with --library DIR."
        )
    _enable_wal(db)
    if not table_count:
        db.execute(f"pragma application_id = {APPLICATION_ID}")
    if has_unknown_migrations(db):
        raise LibraryError(
            f"The library at {file.parent} was written by a newer version of searchapp. "
            f"Upgrade searchapp: {upgrade_hint()}"
        )
    if MIGRATIONS.pending(db):
        if table_count and _read_last_image_id(db) > SLOW_MIGRATION_IMAGES:
            report("Upgrading the library for this version of searchapp ...")
        # If several processes find an old catalog, one upgrades it and the others wait.
        with wait_for_writers(db), begin_immediate(db):
            names = [migration.name for migration in MIGRATIONS.pending(db)]
            MIGRATIONS.apply(db)
        if names:
            logger.info("Applied migrations to the catalog %s: %s.", file, ", ".join(names))
    build_missing_texts(db, report)


def has_unknown_migrations(db: Database) -> bool:
    """Return whether a newer version of searchapp has written a catalog."""
    known_names = {migration.name for migration in MIGRATIONS.pending(Database(memory=True))}
    return any(migration.name not in known_names for migration in MIGRATIONS.applied(db))


def _enable_wal(db: Database) -> None:
    """Let readers continue while another process writes. A new catalog and a backup need this."""
    if db.execute("pragma journal_mode").fetchone() not in (("wal",), ("memory",)):
        with suppress(sqlite3.OperationalError):  # read-only, or in use: the next process does it
            db.execute("pragma journal_mode = wal")


def _read_last_image_id(db: Database) -> int:
    (last_id,) = db.execute("select coalesce(max(id), 0) from images").fetchone()
    return int(last_id)
