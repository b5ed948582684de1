"""What SQLite raises becomes an error that names the library."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error


class HasFolder(Protocol):
    """An object that reads or writes the library in a folder."""

    folder: Path


Owner = TypeVar("Owner", bound=HasFolder)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def wrap_sqlite_errors(folder: Path) -> Iterator[None]:
    """Raise LibraryError where SQLite fails on the library in a folder."""
    try:
        yield
    except sqlite3.Error as error:
        raise LibraryError(f"the library at {folder}: {explain_disk_error(error)}") from error


def raise_library_errors(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Let a method raise LibraryError if SQLite fails."""

    @wraps(method)
    def wrapped(owner: Owner, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with wrap_sqlite_errors(owner.folder):
            return method(owner, *args, **kwargs)

    return wrapped
