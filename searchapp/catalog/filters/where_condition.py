"""A user's own SQL condition over the view photos, which can read that and do nothing else."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog.connection import connect
from searchapp.errors import QueryError

PHOTOS_COLUMNS = (
    "path", "folder", "format", "width", "height", "megapixels", "taken_at", "date", "date_from",
    "camera", "lens", "latitude", "longitude", "rating", "title", "description", "keywords", "size",
    "mtime", "sha256", "image_id",
)  # fmt: skip
TIMEOUT_S = 30.0  # that a condition may take
STEPS_PER_TIME_CHECK = 20_000  # of SQLite's machine between two looks at the clock
# Plain functions of their arguments: none reads a file, or makes something large.
ALLOWED_FUNCTION_NAMES = """
    abs acos asin atan atan2 avg ceil ceiling coalesce concat cos count date datetime
    degrees floor glob group_concat hex iif ifnull instr julianday length like lower ltrim
    max min mod nullif octet_length pi power radians replace round rtrim sign sin sqrt
    strftime substr substring sum tan time timediff total trim trunc typeof unicode
    unixepoch upper
"""
ALLOWED_FUNCTIONS = frozenset(ALLOWED_FUNCTION_NAMES.split())
FILE_ERROR_CODES = (  # and not the condition's
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
)  # fmt: skip
SQLITE_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_LENGTH: 100_000,  # bytes of any value
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}


def find_image_ids(file: Path, condition: str) -> NDArray[np.int64]:
    """Return the ids of the images that have a file for which a condition holds.

    Raise QueryError where the condition is no SQL expression, reads anything but the view's
    columns, calls what is no plain function, or takes longer than SECONDS.
    """
    with closing(connect(file)) as connection:
        connection.execute("pragma query_only = on")
        for limit, maximum in SQLITE_LIMITS.items():
            connection.setlimit(limit, maximum)
        end = time.monotonic() + TIMEOUT_S
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_PER_TIME_CHECK)
        connection.set_authorizer(_authorize_action)
        try:
            # What is an expression stands both with parentheses and without; what closes ours
            # and goes on, or ends in a comment, fails one of the two.
            connection.execute(f"explain select 1 from photos where {condition}\n").close()
            rows = connection.execute(f"select image_id from photos where (\n{condition}\n)")
            return np.fromiter((row[0] for row in rows), dtype=np.int64)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in FILE_ERROR_CODES:
                raise
            raise QueryError(f"--where: {_explain_error(error)}; {_describe_columns()}") from error


def _authorize_action(
    action: int,
    first_argument: str | None,
    second_argument: str | None,
    _: str | None,
    view_name: str | None,
) -> int:
    """Say whether a statement may do something: only what reads the view photos."""
    match action:
        case sqlite3.SQLITE_SELECT:
            allowed = True
        case sqlite3.SQLITE_READ:
            # Without a column it is only the number of rows, as the view's own join asks for it.
            is_view_table = first_argument in ("files", "images", "keywords") and (
                view_name == "photos" or not second_argument
            )
            allowed = first_argument == "photos" or is_view_table
        case sqlite3.SQLITE_FUNCTION:
            allowed = second_argument in ALLOWED_FUNCTIONS
        case _:
            allowed = False
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _explain_error(error: Exception) -> str:
    message = str(error)
    if message == "interrupted":
        return f"it took longer than {TIMEOUT_S:.0f} seconds"
    if "not authorized" in message or "prohibited" in message:
        return f"only the columns of photos can be read ({message})"
    if "one statement" in message:
        return "a single condition is wanted, without a semicolon"
    if "binding" in message:
        return "a condition has no parameters"
    return message


def _describe_columns() -> str:
    return f"write an SQL condition over the columns {', '.join(PHOTOS_COLUMNS)}"
