"""Run a user's SQL condition on the view photos safely: read-only, with limits and a timeout."""

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
VIEW_TABLES = ("files", "images", "keywords", "file_metadata")
TIMEOUT_S = 30.0
STEPS_PER_TIME_CHECK = 20_000  # SQLite virtual machine instructions between two timeout checks
# Pure functions only: no function reads a file or creates a large value.
ALLOWED_FUNCTION_NAMES = """
    abs acos asin atan atan2 avg ceil ceiling coalesce concat cos count date datetime
    degrees floor glob group_concat hex iif ifnull instr julianday length like lower ltrim
    max min mod nullif octet_length pi power radians replace round rtrim sign sin sqrt
    strftime substr substring sum tan time timediff total trim trunc typeof unicode
    unixepoch upper
"""
ALLOWED_FUNCTIONS = frozenset(ALLOWED_FUNCTION_NAMES.split())
FILE_ERROR_CODES = (  # The catalog file causes these errors, not the condition.
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
    """Return the ids of images with a file in the view photos for which a condition is true.

    For a file with metadata of its own, the id is that of its metadata in the table images.

    Raises QueryError if the condition is not an SQL expression or exceeds TIMEOUT_S. The
    condition may read only the columns of photos, and call only ALLOWED_FUNCTIONS.
    """
    with closing(connect(file)) as connection:
        connection.execute("pragma query_only = on")
        for limit, maximum in SQLITE_LIMITS.items():
            connection.setlimit(limit, maximum)
        deadline = time.monotonic() + TIMEOUT_S
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_PER_TIME_CHECK)
        connection.set_authorizer(_authorize_action)
        try:
            # An expression is valid with and without parentheses. An injection that closes our
            # parenthesis, or ends in a comment, is invalid in one of the two statements.
            connection.execute(f"explain select 1 from photos where {condition}\n").close()
            rows = connection.execute(
                "select coalesce((select m.metadata_id from file_metadata m"
                f" where m.path = photos.path), image_id) from photos where (\n{condition}\n)"
            )
            return np.fromiter((row[0] for row in rows), dtype=np.int64)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in FILE_ERROR_CODES:
                raise
            raise QueryError(f"--where: {_explain_error(error)}. {_describe_columns()}") from error


def _authorize_action(
    action: int,
    first_argument: str | None,
    second_argument: str | None,
    _: str | None,
    view_name: str | None,
) -> int:
    """Decide for SQLite whether a statement may do an action: only reading photos is allowed.

    https://www.sqlite.org/c3ref/set_authorizer.html
    """
    match action:
        case sqlite3.SQLITE_SELECT:
            allowed = True
        case sqlite3.SQLITE_READ:
            # SQLite reports an empty column if it only counts rows, as in the join of the view.
            is_view_table = first_argument in VIEW_TABLES and (
                view_name == "photos" or not second_argument
            )
            # Outside the view, find_image_ids reads the ids of the metadata of files.
            is_view_table |= first_argument == "file_metadata"
            allowed = first_argument == "photos" or is_view_table
        case sqlite3.SQLITE_FUNCTION:
            allowed = second_argument in ALLOWED_FUNCTIONS
        case _:
            allowed = False
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _explain_error(error: Exception) -> str:
    message = str(error)
    if message == "interrupted":
        return f"the condition took longer than {TIMEOUT_S:.0f} seconds"
    if "not authorized" in message or "prohibited" in message:
        return f"the condition may read only the columns of photos ({message})"
    if "one statement" in message:
        return "the condition must be one expression without a semicolon"
    if "binding" in message:
        return "the condition must not have parameters such as ? or :name"
    return message


def _describe_columns() -> str:
    return f"Write an SQL condition on the columns {', '.join(PHOTOS_COLUMNS)}."
