"""Turn images of the catalog into the files of a duplicate group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from searchapp.catalog import ImageWithFiles
from searchapp.duplicates import difference_text
from searchapp.files import choose_keeper
from searchapp.types import DuplicateCertainty, DuplicateFile, DuplicateGroup

TIME_ZONE_STEP_S = 15 * 60  # clocks of different time zones differ by a multiple of 15 minutes
CERTAINTY_ORDER = ("bytes", "pixels", "near")


@dataclass(frozen=True, slots=True)
class OtherCopy:
    """A file of a duplicate image, and how this image differs from the image to keep."""

    file: DuplicateFile
    certainty: DuplicateCertainty
    turn: int  # index in fingerprint.TURNS
    cut_share: float  # share of a side that the cropped image lacks
    is_keeper_cropped: bool


def make_group(files: list[DuplicateFile], other_copies: list[OtherCopy]) -> DuplicateGroup:
    """Make a group from the files of the image to keep and the files of its duplicates.

    files: the files of the image to keep. The best of these files is the file to keep. All other
    files are sorted by certainty, then by path.
    """
    keeper, *same_bytes = sorted(files, key=choose_keeper.rank_copy)
    others = [replace(file, certainty="bytes", difference="the same bytes") for file in same_bytes]
    for copy in other_copies:
        difference = difference_text.describe_difference(
            keeper, copy.file, copy.certainty, copy.turn, copy.cut_share, copy.is_keeper_cropped
        )
        others.append(replace(copy.file, certainty=copy.certainty, difference=difference))
    others.sort(key=lambda file: (CERTAINTY_ORDER.index(file.certainty or "near"), file.path))
    return DuplicateGroup(keeper, choose_keeper.explain_choice(keeper, others), tuple(others))


def make_duplicate_files(image: ImageWithFiles) -> list[DuplicateFile]:
    """Return one DuplicateFile for each file of an image, without certainty and difference."""
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
            companions=tuple(other for path, other in image.companions if path == file.path),
        )
        for file in image.files
    ]


def are_separate_shots(one: ImageWithFiles, other: ImageWithFiles) -> bool:
    """Return whether one camera took the two images at different times.

    Times that differ by a multiple of 15 minutes count as equal: some programs store UTC.
    """
    if not (one.taken_at and other.taken_at and one.camera) or one.camera != other.camera:
        return False
    try:
        moment, other_moment = (
            datetime.fromisoformat(text[:19]) for text in (one.taken_at, other.taken_at)
        )
    except ValueError:
        return False
    return abs((moment - other_moment).total_seconds()) % TIME_ZONE_STEP_S != 0
