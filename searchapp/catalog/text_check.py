"""Compare the full-text index with the rows that it is made of, and build it again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.connection import begin_immediate
from searchapp.catalog.text_index import PAGE_IMAGES, TEXT_COLUMNS, make_rows, update_page
from searchapp.types import format_count

UNWRITABLE_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# The images that have a row in texts, or must have one. Rows in stale_texts wait for an update.
_INDEXED_SQL = (
    "select image_id from files union select image_id from recognized_texts"
    " union select rowid from texts except select image_id from stale_texts"
)


def find_text_damage(db: Database) -> str | None:
    """Return how the full-text index differs from the rows; None if it does not."""
    try:
        wrong_count = _count_wrong_rows(db)
        # https://www.sqlite.org/fts5.html#the_integrity_check_command
        with db.atomic():
            db.execute("insert into texts (texts) values ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in UNWRITABLE_CODES:
            return str(error)
    if wrong_count:
        return (
            f"the words of {format_count(wrong_count, 'image')} are not those in names and captions"
        )
    return None


def _count_wrong_rows(db: Database) -> int:
    """Return the number of images whose row is missing, superfluous or different."""
    ids = [row[0] for row in db.execute(_INDEXED_SQL)]
    columns, wrong_count = ", ".join(TEXT_COLUMNS), 0
    for start in range(0, len(ids), PAGE_IMAGES):
        chosen = json.dumps(ids[start : start + PAGE_IMAGES])
        rows = db.execute(
            f"select rowid, {columns} from texts where rowid in (select value from json_each(?))",
            (chosen,),
        )
        stored, expected = _to_sets(rows), _to_sets(make_rows(db, chosen))
        wrong_count += len({row[0] for row in stored ^ expected})
    return wrong_count


def _to_sets(rows: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return rows with sets of lines: the order of the lines in a column has no meaning."""
    return {
        (row[0], *(frozenset(str(text or "").splitlines()) for text in row[1:])) for row in rows
    }


def rebuild_texts(db: Database) -> None:
    """Build the full-text index again; an interrupted build continues at the next opening."""
    with begin_immediate(db):
        (sql,) = db.execute("select sql from sqlite_master where name = 'texts'").fetchone()
        db.execute("drop table texts")
        db.execute(sql)
        db.execute("delete from place_names")
        db.execute(
            "insert or ignore into stale_texts select image_id from files"
            " union select image_id from recognized_texts"
        )
    is_incomplete = True
    while is_incomplete:
        with begin_immediate(db):
            is_incomplete = update_page(db)
