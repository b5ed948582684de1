"""Files that hold the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from searchapp.types.search import Filter


@dataclass(frozen=True)
class DuplicateOptions(Filter):
    """Where to look for duplicates: in which collection, among which pictures."""

    collection: str | None = None  # by default the one that was indexed last
    similar: bool = False  # look-alikes, too, which are no duplicates


# Of two files: the same bytes; other bytes that hold the same pixels; the same picture resized,
# compressed, cut a little, turned or made brighter; another picture that looks like it.
DuplicateCertainty = Literal["bytes", "pixels", "near", "similar"]


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One file of a group, and how it differs from the one to keep."""

    path: str
    size: int  # bytes
    width: int  # pixels, upright
    height: int
    format: str
    taken_at: str | None  # ISO 8601
    changed_at: str  # when the file was changed, ISO 8601, UTC
    sha256: str
    image_id: int
    certainty: DuplicateCertainty | None = None  # None: it is the one to keep
    difference: str = ""  # in words
    companions: tuple[str, ...] = ()  # what goes where it goes: RAW, a Live Photo's film, sidecars


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files of one picture: the one to keep, why that one, and the others, surest first."""

    keeper: DuplicateFile
    reason: str
    others: tuple[DuplicateFile, ...]

    @property
    def others_size_bytes(self) -> int:
        """Return how many bytes the others take."""
        return sum(copy.size for copy in self.others)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found: groups of duplicates, and of look-alikes where they were asked for."""

    groups: tuple[DuplicateGroup, ...]
    similar: tuple[DuplicateGroup, ...]
    images: int  # that were compared
    failed: int  # images that could not be read

    @property
    def duplicate_count(self) -> int:
        """Return the number of files that are duplicates of a file to keep."""
        return sum(len(group.others) for group in self.groups)

    @property
    def duplicates_size_bytes(self) -> int:
        """Return the size of the files that are duplicates of a file to keep."""
        return sum(group.others_size_bytes for group in self.groups)


@dataclass(frozen=True, slots=True)
class ComparisonStarted:
    """Event: all pictures have been read, and are compared."""

    images: int


@dataclass(frozen=True, slots=True)
class DuplicatesFound:
    """Event: the last of a search for duplicates."""

    duplicates: Duplicates
