"""What is known of a file before it is read, wherever it lies."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from typing import Protocol, TypeAlias

from searchapp.errors import PictureError

MAX_PICTURE_BYTES = 1 << 30  # of a picture
NANOSECONDS_PER_SECOND = 10**9  # nanoseconds


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file has changed: its size in bytes, and when it did."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that a listing has shown: its path or URL, and its state."""

    path: str
    state: FileState


@dataclass(frozen=True, slots=True)
class ListingFailure:
    """A folder, or a file, that could not be listed."""

    path: str
    reason: str


# Tells from a URL whether a file is wanted, or what is below a folder, whose URL ends at a slash.
UrlFilter: TypeAlias = Callable[[str], bool]


class ObjectStore(Protocol):
    """Where files lie that no file system of this machine has. For use by several threads."""

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder, some at a time; what cannot be listed is told once."""

    def has_files(self, url: str) -> bool:
        """Tell whether there is a file of this name, or any below it; OSError if out of reach."""

    def read_state(self, url: str) -> FileState:
        """Return a file's state; raise OSError."""

    def read_bytes(self, url: str, max_bytes: int) -> bytes:
        """Return a file's bytes, or its first ones, which are at least so many; raise OSError."""

    def open_file(self, url: str) -> BufferedReader:
        """Open a file of any size, to be read in parts; raise OSError."""


def make_state(size: int, modified: datetime | None, tag: str | None) -> FileState:
    """Return the state of an object: when it was written in full seconds, and below them its tag.

    Stores tell the time to the second in one answer and more exactly in another, and two objects
    of one size can be written in the same second: what stands for the tag tells them apart.
    """
    seconds = int(modified.timestamp()) if modified is not None else 0
    below = zlib.crc32(tag.strip('"').encode()) % NANOSECONDS_PER_SECOND if tag else 0
    return FileState(size, seconds * NANOSECONDS_PER_SECOND + below)


def check_size(size: int) -> None:
    """Raise PictureError for a picture that is too large to be read, or empty."""
    if size > MAX_PICTURE_BYTES:
        raise PictureError(
            f"{size >> 20} MiB, the limit is {MAX_PICTURE_BYTES >> 20}", stage="read"
        )
    if not size:
        raise PictureError("the file is empty", stage="read")


def make_changed_error() -> PictureError:
    """Return the error of a file that is not the one that was begun with."""
    return PictureError("changed while it was being read; index again", stage="read")
