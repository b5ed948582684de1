"""Turn images of the catalog into the files of a duplicate group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from searchapp.catalog import ImageWithFiles
from searchapp.duplicates import difference_text
from searchapp.files import choose_keeper
from searchapp.types import DuplicateCertainty, DuplicateFile, DuplicateGroup

TIME_ZONE_STEP = timedelta(minutes=15)  # clocks of different zones differ by a multiple of it
CERTAINTY_ORDER = ("bytes", "pixels", "near")


@dataclass(frozen=True, slots=True)
class OtherCopy:
    """A file of a duplicate image, and how this image differs from the image to keep."""

    file: DuplicateFile
    certainty: DuplicateCertainty
    turn: int  # index in fingerprint.TURNS
    cut_share: float  # share of a side that the cropped image lacks
    is_keeper_cropped: bool
    edits: tuple[str, ...]  # what was done to this image


def make_group(files: list[DuplicateFile], other_copies: list[OtherCopy]) -> DuplicateGroup:
    """Make a group from the files of the image to keep and the files of its duplicates.

    files: the files of the image to keep. The best of these files is the file to keep. All other
    files are sorted by certainty, then by path.
    """
    keeper, *same_bytes = sorted(files, key=choose_keeper.rank_copy)
    others = [replace(file, certainty="bytes", difference="the same bytes") for file in same_bytes]
    for copy in other_copies:
        difference = difference_text.describe_difference(
            keeper,
            copy.file,
            copy.certainty,
            copy.turn,
            copy.cut_share,
            copy.edits,
            is_keeper_cropped=copy.is_keeper_cropped,
        )
        others.append(replace(copy.file, certainty=copy.certainty, difference=difference))
    others.sort(key=lambda file: (CERTAINTY_ORDER.index(file.certainty or "near"), file.path))
    return DuplicateGroup(keeper, choose_keeper.explain_choice(keeper, others), tuple(others))


def make_duplicate_files(image: ImageWithFiles, edits: tuple[str, ...] = ()) -> list[DuplicateFile]:
    """Return one DuplicateFile for each file of an image, without certainty and difference.

    edits: what was done to the image.
    """
    return [
        DuplicateFile(
            path=file.path,
            size=file.size,
            width=image.width,
            height=image.height,
            format=image.format.replace("MPO", "JPEG"),
            taken_at=image.taken_at,
            changed_at=file.changed_at,
            sha256=image.sha256,
            image_id=image.image_id,
            edits=edits,
            companions=tuple(other for path, other in image.companions if path == file.path),
        )
        for file in image.files
    ]


def are_separate_shots(one: ImageWithFiles, other: ImageWithFiles) -> bool:
    """Return whether one camera took the two images at different times.

    If a time zone is unknown, times that differ by a multiple of 15 minutes count as equal: some
    programs store UTC.
    """
    if not (one.taken_at and other.taken_at and one.camera) or one.camera != other.camera:
        return False
    try:
        moments = [datetime.fromisoformat(text) for text in (one.taken_at, other.taken_at)]
    except ValueError:
        return False
    if not all("." in text for text in (one.taken_at, other.taken_at)):
        # Some programs drop the fraction of a second.
        moments = [moment.replace(microsecond=0) for moment in moments]
    if all(moment.tzinfo for moment in moments):
        return moments[0] != moments[1]
    first, second = (moment.replace(tzinfo=None) for moment in moments)
    return abs(first - second) % TIME_ZONE_STEP != timedelta()
