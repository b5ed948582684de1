"""Transactions of a catalog, which update the full-text index before they commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from sqlite_utils import Database

from searchapp.catalog.connection import begin_immediate
from searchapp.catalog.text_index import update_stale_texts


class CatalogDatabase(Database):
    """Database whose transactions keep the full-text index in step with the other tables."""

    def executescript(self, sql: str) -> sqlite3.Cursor:
        """Execute the statements of a script, without a commit in the current transaction.

        sqlite_utils looks for the end of a statement at each character, which takes most of the
        time that a new library takes. A statement ends only at a semicolon.
        """
        if not self.conn.in_transaction:
            return super().executescript(sql)
        cursor = self.conn.cursor()
        for statement in _split_script(sql):
            cursor.execute(statement)
        return cursor

    @contextmanager
    def atomic(self) -> Generator[Database, None, None]:
        """Run the with block in a transaction, or in a part of the current transaction."""
        is_outermost, changes = not self.conn.in_transaction, self.conn.total_changes
        with super().atomic():
            yield self
            # A block that only reads must not write: the catalog may be read-only.
            if is_outermost and self.conn.total_changes != changes:
                update_stale_texts(self)


def _split_script(sql: str) -> Iterator[str]:
    """Yield the statements of a script. A trigger, a text or a comment may contain semicolons."""
    *parts, rest = sql.split(";")
    statement = ""
    for part in parts:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if (statement + rest).strip():
        yield statement + rest


@contextmanager
def write_transaction(db: Database) -> Iterator[Database]:
    """Run the with block in a write transaction; the block may read before it writes."""
    if db.conn.in_transaction:
        with db.atomic():
            yield db
        return
    with begin_immediate(db):
        yield db
        update_stale_texts(db)


@contextmanager
def begin_transaction(db: Database, dry_run: bool) -> Iterator[None]:
    """Run the with block in a transaction; roll it back if dry_run is true."""
    db.execute("begin" if dry_run else "begin immediate")
    try:
        yield
        if not dry_run:
            update_stale_texts(db)
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("rollback" if dry_run else "commit")
