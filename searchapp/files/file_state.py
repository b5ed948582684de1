"""The state of a file (size and modification time), and the interface of object stores."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedReader
from typing import Protocol, Self, TypeAlias

from searchapp.errors import PictureError
from searchapp.files.change_time import get_change_time_ns

MAX_PICTURE_BYTES = 1 << 30
NANOSECONDS_PER_SECOND = 10**9
MAX_INTEGER = 2**63 - 1  # the largest integer of SQLite
MIN_INTEGER = -MAX_INTEGER


@dataclass(frozen=True, slots=True)
class FileState:
    """The size in bytes and the times of a file, to detect changes.

    Two states are equal if size and modification time are: a change time alone proves no edit.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None = field(default=None, compare=False)  # None: unknown

    @classmethod
    def from_values(cls, size: int, mtime_ns: int, ctime_ns: int | None = None) -> Self:
        """Return a state whose values fit in the 64 bits of an SQLite integer.

        File systems and servers report any time; 64 bits of nanoseconds end in the year 2262.
        """
        change_time = 0 if ctime_ns is None else ctime_ns
        # Comparisons take half the time of min() and max(), for each file of a scan.
        if (
            0 <= size <= MAX_INTEGER
            and MIN_INTEGER <= mtime_ns <= MAX_INTEGER
            and MIN_INTEGER <= change_time <= MAX_INTEGER
        ):
            return cls(size, mtime_ns, ctime_ns)
        return cls(
            max(0, min(size, MAX_INTEGER)),
            _limit_time(mtime_ns),
            None if ctime_ns is None else _limit_time(ctime_ns),
        )

    @classmethod
    def from_stat(cls, status: os.stat_result) -> Self:
        """Return the state in a result of os.stat."""
        return cls.from_values(status.st_size, status.st_mtime_ns, get_change_time_ns(status))

    def is_unchanged(self, before: FileState) -> bool:
        """Return whether no time tells of an edit; an unknown change time tells nothing."""
        are_known = self.ctime_ns is not None and before.ctime_ns is not None
        return self == before and (not are_known or self.ctime_ns == before.ctime_ns)


def _limit_time(time_ns: int) -> int:
    return max(MIN_INTEGER, min(time_ns, MAX_INTEGER))


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a listing: its path or URL, and its state."""

    path: str
    state: FileState


@dataclass(frozen=True, slots=True)
class ListingFailure:
    """A folder or file that could not be listed, and the reason."""

    path: str
    reason: str


# Returns whether a listing includes a file, or descends into a folder (its URL ends with a slash).
UrlFilter: TypeAlias = Callable[[str], bool]


class ObjectStore(Protocol):
    """A remote file store, such as a bucket or a web server. Thread-safe."""

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder, and a ListingFailure for each part that fails."""

    def has_files(self, url: str) -> bool:
        """Return whether a file with this URL, or any file below it, exists.

        Raises OSError if the store cannot be reached.
        """

    def read_state(self, url: str) -> FileState:
        """Return the state of a file; raise OSError if it cannot be read."""

    def read_bytes(self, url: str, min_bytes: int) -> bytes:
        """Return the beginning of a file; raise OSError if it cannot be read.

        The result has min_bytes bytes or more, unless the file is shorter.
        """

    def open_file(self, url: str) -> BufferedReader:
        """Open a file of any size to read it in parts; raise OSError if it cannot be opened."""


def make_state(size: int, modified: datetime | None, tag: str | None) -> FileState:
    """Return the state of an object: its time in seconds, and a hash of its tag as nanoseconds.

    Some responses of a store round the time to seconds, others do not. Two objects of the same
    size can be written in the same second; the hash of the tag distinguishes them.
    """
    seconds = int(modified.timestamp()) if modified is not None else 0
    tag_hash = zlib.crc32(tag.strip('"').encode()) % NANOSECONDS_PER_SECOND if tag else 0
    return FileState.from_values(size, seconds * NANOSECONDS_PER_SECOND + tag_hash)


def check_size(size: int) -> None:
    """Raise PictureError if a picture is empty or larger than MAX_PICTURE_BYTES."""
    if size > MAX_PICTURE_BYTES:
        raise PictureError(
            f"the file has {size >> 20} MiB; the limit is {MAX_PICTURE_BYTES >> 20} MiB; "
            "make a smaller copy",
            stage="read",
        )
    if not size:
        raise PictureError("the file is empty", stage="read")


def make_outdated_error() -> PictureError:
    """Return the error for a file that is not the indexed one any more."""
    return PictureError(
        "the file changed since it was indexed; run `searchapp index` again", stage="read"
    )


def make_changed_error() -> PictureError:
    """Return the error for a file that changed between the start and the end of a read."""
    return PictureError(
        "the file changed while it was being read; run `searchapp index` again", stage="read"
    )
