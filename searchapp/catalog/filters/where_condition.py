"""Run a user's SQL condition on the view photos safely: read-only, with limits and a timeout."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog.connection import connect
from searchapp.errors import QueryError
from searchapp.files.text_form import normalize_text

Result = TypeVar("Result")
PHOTOS_COLUMNS = (
    "path", "folder", "format", "width", "height", "megapixels", "taken_at", "date", "date_from",
    "camera", "lens", "latitude", "longitude", "rating", "title", "description", "keywords", "size",
    "mtime", "sha256", "image_id", "text", "city", "region", "country",
)  # fmt: skip
# Columns whose texts can have any Unicode normal form. Files keep the form of their names.
TEXT_COLUMNS = (
    "path",
    "folder",
    "camera",
    "lens",
    "title",
    "description",
    "keywords",
    "city",
    "region",
    "country",
    "text",
)
NORMALIZE_FUNCTION = "searchapp_nfc"
VIEW_TABLES = ("files", "images", "keywords", "file_metadata", "recognized_texts", "frames")
TIMEOUT_S = 30.0
STEPS_PER_CANCEL_CHECK = 20_000  # SQLite virtual machine instructions between two checks
# Pure functions only: no function reads a file or creates a large value.
ALLOWED_FUNCTION_NAMES = """
    abs acos asin atan atan2 avg ceil ceiling coalesce concat cos count date datetime
    degrees floor glob group_concat hex iif ifnull instr julianday length like lower ltrim
    max min mod nullif octet_length pi power radians replace round rtrim sign sin sqrt
    strftime substr substring sum tan time timediff total trim trunc typeof unicode
    unixepoch upper
"""
ALLOWED_FUNCTIONS = frozenset(ALLOWED_FUNCTION_NAMES.split())
# Without arguments or with 'now', these functions return the current time.
TIME_FUNCTIONS = frozenset(
    ("date", "datetime", "julianday", "strftime", "time", "timediff", "unixepoch")
)
VIEW_FUNCTION = "strftime"  # The column mtime of the view calls it, without the current time.
FILE_ERROR_CODES = (  # The catalog file causes these errors, not the condition.
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
)  # fmt: skip
SQLITE_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    # Bytes of any value. The text of a video has at most 32 frames of MAX_TEXT_CHARACTERS.
    sqlite3.SQLITE_LIMIT_LENGTH: 2_000_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}


@dataclass(frozen=True, slots=True)
class WhereResult:
    """Images for which a condition is true.

    is_repeatable: the condition gives the same result again while the catalog does not change. A
    condition that calls a function of TIME_FUNCTIONS may depend on the time, as date('now') does.
    """

    image_ids: NDArray[np.int64]
    is_repeatable: bool


def find_image_ids(file: Path, condition: str) -> WhereResult:
    """Return the ids of images with a file in the view photos for which a condition is true.

    For a file with metadata of its own, the id is that of its metadata in the table images.

    Raises QueryError if the condition is not an SQL expression or exceeds TIMEOUT_S. The
    condition may read only the columns of photos, and call only ALLOWED_FUNCTIONS.
    """

    def read_ids(rows: Iterator[tuple[int, str]]) -> NDArray[np.int64]:
        return np.fromiter((metadata_id for metadata_id, _ in rows), dtype=np.int64)

    evaluation = _Evaluation(file, condition, read_ids)
    return WhereResult(_wait_for(evaluation), evaluation.is_repeatable)


def find_paths(file: Path, condition: str, image_ids: Collection[int]) -> set[str]:
    """Return the paths of images, as the catalog stores them, for which a condition is true.

    Raises QueryError as find_image_ids() does.
    """

    def read_paths(rows: Iterator[tuple[int, str]]) -> set[str]:
        return {path for _, path in rows}

    return _wait_for(_Evaluation(file, condition, read_paths, image_ids))


def _wait_for(evaluation: _Evaluation[Result]) -> Result:
    """Run an evaluation, and return its result. Raises QueryError as find_image_ids() does."""
    evaluation.start()
    try:
        evaluation.join(TIMEOUT_S)
        if evaluation.is_alive():
            raise QueryError(
                f"--where: stopped, because the condition took longer than {TIMEOUT_S:g} seconds. "
                "Write a simpler condition: subqueries and functions of long texts are slow."
            )
    finally:
        evaluation.cancel()
    error = evaluation.error
    if error is None:
        assert evaluation.result is not None
        return evaluation.result
    if not isinstance(error, (sqlite3.Error, sqlite3.Warning, ValueError)):
        raise error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in FILE_ERROR_CODES:
        raise error
    raise QueryError(f"--where: {_explain_error(error)}. {_describe_columns()}") from error


class _Evaluation(threading.Thread, Generic[Result]):
    """Evaluate a condition in a thread, so that its caller can stop waiting at any time.

    SQLite looks for an interrupt only between rows, and one row can call hundreds of slow
    functions. So a cancelled thread can outlive its caller.
    """

    def __init__(
        self,
        file: Path,
        condition: str,
        read: Callable[[Iterator[tuple[int, str]]], Result],
        image_ids: Collection[int] | None = None,
    ) -> None:
        """Prepare to evaluate a condition on the view photos of a catalog file.

        read: makes the result of the metadata id and the path of each file for which the condition
        is true. image_ids: only files of these images are compared; None: all files.
        """
        super().__init__(name="where", daemon=True)  # The process may exit before the thread ends.
        self.result: Result | None = None
        self.error: Exception | None = None
        self.is_repeatable = False  # as in WhereResult
        self._file, self._condition = file, condition
        self._read, self._image_ids = read, image_ids
        self._cancelled = threading.Event()
        self._lock = threading.Lock()  # A closed connection cannot be interrupted.
        self._connection: sqlite3.Connection | None = None

    def cancel(self) -> None:
        """Tell the thread to end at the next row; does nothing if the thread has ended."""
        self._cancelled.set()
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()

    def run(self) -> None:
        """Evaluate the condition, and keep the result or the error."""
        try:
            self.result = self._evaluate()
        except Exception as error:  # find_image_ids raises it in the thread of the caller.
            self.error = error

    def _evaluate(self) -> Result:
        connection = connect(self._file)
        with self._lock:
            self._connection = connection
        try:
            condition = normalize_text(self._condition)
            # An ASCII text has one normal form.
            _cover_view(
                connection, has_normal_texts=not condition.isascii(), image_ids=self._image_ids
            )
            connection.execute("pragma query_only = on")
            for limit, maximum in SQLITE_LIMITS.items():
                connection.setlimit(limit, maximum)
            # An interrupt between two statements has no effect on the second statement.
            connection.set_progress_handler(self._cancelled.is_set, STEPS_PER_CANCEL_CHECK)
            called_functions = set[str]()
            connection.set_authorizer(partial(_authorize_action, called_functions))
            # An expression is valid with and without parentheses. An injection that closes our
            # parenthesis, or ends in a comment, is invalid in one of the two statements.
            connection.execute(f"explain select 1 from photos where {condition}\n").close()
            rows = connection.execute(
                f"select metadata_id, stored_path from photos where (\n{condition}\n)"
            )
            result = self._read(rows)
            if VIEW_FUNCTION not in condition.casefold():
                called_functions.discard(VIEW_FUNCTION)  # Only the view called it.
            self.is_repeatable = called_functions.isdisjoint(TIME_FUNCTIONS)
            return result
        finally:
            with self._lock:
                self._connection = None
            connection.close()


def _cover_view(
    connection: sqlite3.Connection, *, has_normal_texts: bool, image_ids: Collection[int] | None
) -> None:
    """Cover the view photos with a temporary view, which adds metadata_id and stored_path.

    has_normal_texts: whether the texts of the temporary view have the Unicode form NFC.
    image_ids: the temporary view has only files of these images; None: all files.
    """
    ids = None if image_ids is None else ", ".join(map(str, map(int, image_ids)))
    limit = "" if ids is None else f" where p.image_id in ({ids})"
    connection.create_function(
        NORMALIZE_FUNCTION, 1,
        lambda value: normalize_text(value) if isinstance(value, str) else value,
    )  # fmt: skip
    columns = (
        f"{NORMALIZE_FUNCTION}({name}) as {name}"
        if has_normal_texts and name in TEXT_COLUMNS
        else name
        for name in PHOTOS_COLUMNS
    )
    connection.execute(
        f"create temp view photos as select {', '.join(columns)}, coalesce((select m.metadata_id"
        " from file_metadata m where m.path = p.path), p.image_id) as metadata_id,"
        f" p.path as stored_path from main.photos p{limit}"
    )


def _authorize_action(
    called_functions: set[str],
    action: int,
    first_argument: str | None,
    second_argument: str | None,
    _: str | None,
    view_name: str | None,
) -> int:
    """Decide for SQLite whether a statement may do an action: only reading photos is allowed.

    Adds the functions that the statement calls, also those of the view, to called_functions.
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
            allowed = first_argument == "photos" or is_view_table
        case sqlite3.SQLITE_FUNCTION:
            if second_argument is not None:
                called_functions.add(second_argument)
            is_view_function = view_name == "photos" and second_argument == NORMALIZE_FUNCTION
            allowed = second_argument in ALLOWED_FUNCTIONS or is_view_function
        case _:
            allowed = False
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _explain_error(error: Exception) -> str:
    message = str(error)
    if "not authorized" in message or "prohibited" in message:
        return f"the condition may read only the columns of photos ({message})"
    if "one statement" in message:
        return "the condition must be one expression without a semicolon"
    if "binding" in message:
        return "the condition must not have parameters such as ? or :name"
    return message


def _describe_columns() -> str:
    return f"Write an SQL condition on the columns {', '.join(PHOTOS_COLUMNS)}."
