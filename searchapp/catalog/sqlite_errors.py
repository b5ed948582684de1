"""Convert SQLite errors to a LibraryError that names the library."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from searchapp.errors import LibraryError, ReadOnlyError
from searchapp.files.atomic import explain_disk_error

PRIMARY_CODE_BITS = (
    0xFF  # https://www.sqlite.org/rescode.html#primary_result_codes_versus_extended_result_codes
)


class HasFolder(Protocol):
    """Object with the path of a library's folder, for error messages."""

    folder: Path


Owner = TypeVar("Owner", bound=HasFolder)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def wrap_sqlite_errors(folder: Path) -> Iterator[None]:
    """Convert SQLite errors in the with block to a LibraryError that names the library's folder."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        is_read_only = code & PRIMARY_CODE_BITS == sqlite3.SQLITE_READONLY
        kind = ReadOnlyError if is_read_only else LibraryError
        raise kind(
            f"The library at {folder} cannot be read or written: {explain_disk_error(error)}"
        ) from error


def raise_library_errors(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Decorate a method so that SQLite errors become a LibraryError."""

    @wraps(method)
    def wrapped(owner: Owner, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with wrap_sqlite_errors(owner.folder):
            return method(owner, *args, **kwargs)

    return wrapped
