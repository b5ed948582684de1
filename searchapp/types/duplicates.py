"""Options, events and results of the search for duplicates: files with the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from searchapp.types.picture import Failure
from searchapp.types.search import Filter

MAX_LISTED_FAILURES = 1000  # of a search for duplicates


@dataclass(frozen=True)
class DuplicateOptions(Filter):
    """Options of a search for duplicates: the pictures to compare, and what to report."""

    collection: str | None = None  # None: the collection that was indexed last
    similar: bool = False  # report pictures that look alike as well; these are not duplicates
    reviewed: bool = False  # report groups as well of which an earlier review keeps all files


# How two files agree. bytes: identical files. pixels: identical pixels in different bytes.
# near: the same picture resized, recompressed, slightly cropped, rotated or brightened, without
# its colors, with a caption or with a border.
# similar: different pictures that look alike.
DuplicateCertainty = Literal["bytes", "pixels", "near", "similar"]


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One file of a duplicate group, and how it differs from the file to keep."""

    path: str
    size: int  # bytes
    width: int  # pixels, upright (orientation applied)
    height: int
    format: str
    taken_at: str | None  # ISO 8601
    changed_at: str  # modification time, ISO 8601, UTC
    sha256: str
    image_id: int
    certainty: DuplicateCertainty | None = None  # None: this is the file to keep
    difference: str = ""  # one phrase for people
    # What was done to the picture, compared with others of its group: "grayscale", "caption" (text
    # was written into it), "border".
    edits: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()  # files to move along: RAW, Live Photo video, sidecars
    stays: bool | None = None  # choice of an earlier review; None: none


@dataclass(frozen=True, slots=True)
class ReviewChoice:
    """What a person chose for one file of a group of duplicates."""

    path: str
    sha256: str
    stays: bool


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files with the same picture: the file to keep, and its duplicates, most certain first."""

    keeper: DuplicateFile
    reason: str
    others: tuple[DuplicateFile, ...]

    @property
    def kept(self) -> tuple[DuplicateFile, ...]:
        """Return the files that stay: by an earlier review, or by default the file to keep.

        Of look-alikes, all files stay by default.
        """
        kept = tuple(
            copy
            for copy in (self.keeper, *self.others)
            if (copy.certainty in (None, "similar") if copy.stays is None else copy.stays)
        )
        return kept or (self.keeper,)  # the files that were chosen to stay are gone

    @property
    def moved(self) -> tuple[DuplicateFile, ...]:
        """Return the files that do not stay."""
        kept_paths = {copy.path for copy in self.kept}
        return tuple(copy for copy in (self.keeper, *self.others) if copy.path not in kept_paths)

    @property
    def others_size_bytes(self) -> int:
        """Return the total size in bytes of the duplicates, without the file to keep."""
        return sum(copy.size for copy in self.others)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Result of a search for duplicates."""

    groups: tuple[DuplicateGroup, ...]
    similar: tuple[DuplicateGroup, ...]  # empty unless DuplicateOptions.similar is set
    images: int  # number of images compared, without those that failed or whose file is gone
    failed: int  # number of images that could not be read
    # Number of pages of text that look like another page, and whose text cannot be compared.
    unreadable: int = 0
    reviewed: int = 0  # number of groups left out: an earlier review keeps all of their files
    # Number of images that may be duplicates, but whose files are gone or have changed.
    missing: int = 0
    failures: tuple[Failure, ...] = ()  # the first MAX_LISTED_FAILURES files that failed

    @property
    def duplicate_count(self) -> int:
        """Return the number of files that are duplicates of a file to keep."""
        return sum(len(group.others) for group in self.groups)

    @property
    def duplicates_size_bytes(self) -> int:
        """Return the total size in bytes of the files that are duplicates of a file to keep."""
        return sum(group.others_size_bytes for group in self.groups)


@dataclass(frozen=True, slots=True)
class ComparisonStarted:
    """Event: all pictures are read; the comparison starts."""

    images: int


@dataclass(frozen=True, slots=True)
class DuplicatesFound:
    """Event: the search for duplicates is complete; no event follows."""

    duplicates: Duplicates
