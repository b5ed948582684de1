"""Images as files of a group: those that are there, what is told of each, and which is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from searchapp.catalog import ImageWithFiles
from searchapp.duplicates import choose_keeper, difference_text
from searchapp.files import storage
from searchapp.types import CatalogedFile, DuplicateCertainty, DuplicateFile, DuplicateGroup

TIME_ZONE_STEP_S = 15 * 60  # seconds: by a multiple of that clocks differ, of different time zones


def keep_existing_files(
    image: ImageWithFiles, folder: str | None, list_companions: Callable[[str], Iterable[str]]
) -> ImageWithFiles | None:
    """Return an image with those of its files that are as they were, one name each.

    along: tells what goes along with a file; it is returned with what of that is there.
    A file of two names (by a link) is one file: to move one of them away may move both.
    """
    seen = set[tuple[int, int]]()
    files = list[CatalogedFile]()
    for file in image.files:
        if folder is not None and not storage.is_below(file.path, folder):
            continue
        if storage.is_url(file.path):
            files.append(file)
            continue
        try:
            state = os.stat(file.path)  # noqa: PTH116 (speed)
        except OSError:
            continue
        file_id = (state.st_dev, state.st_ino)
        if state.st_size == file.size and file_id not in seen:
            seen.add(file_id)
            files.append(file)
    if not files:
        return None
    companions = [(file.path, it) for file in files for it in list_companions(file.path)]
    existing_companions = tuple(each for each in companions if storage.can_exist(each[1]))
    return replace(image, files=tuple(files), companions=existing_companions)


def make_group(
    ours: list[DuplicateFile],
    theirs: list[tuple[DuplicateFile, DuplicateCertainty, int, float, bool]],
) -> DuplicateGroup:
    """Make a group of an image's files and those of others that are the same."""
    keeper, *other_copies = sorted(ours, key=choose_keeper.rank_copy)
    others = [
        replace(copy, certainty="bytes", difference="the same bytes") for copy in other_copies
    ]
    others += [
        replace(
            copy,
            certainty=certainty,
            difference=difference_text.describe_difference(
                keeper, copy, certainty, turn, cut, lacks
            ),
        )
        for copy, certainty, turn, cut, lacks in theirs
    ]
    order = ("bytes", "pixels", "near")
    others.sort(key=lambda copy: (order.index(copy.certainty or "near"), copy.path))
    return DuplicateGroup(keeper, choose_keeper.explain_choice(keeper, others), tuple(others))


def make_copies(image: ImageWithFiles) -> list[DuplicateFile]:
    """Return an image's files, as they are told of."""
    return [
        DuplicateFile(
            path=file.path,
            size=file.size,
            width=image.width,
            height=image.height,
            format=image.format.replace("MPO", "JPEG"),
            taken_at=image.taken_at,
            changed_at=datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).isoformat("T", "seconds"),
            sha256=image.sha256,
            image_id=image.image_id,
            companions=tuple(it for path, it in image.companions if path == file.path),
        )
        for file in image.files
    ]


def are_separate_shots(one: ImageWithFiles, other: ImageWithFiles) -> bool:
    """Tell whether one camera took both, at two moments."""
    if not (one.taken_at and other.taken_at and one.camera) or one.camera != other.camera:
        return False
    try:
        moments = [datetime.fromisoformat(each.taken_at[:19]) for each in (one, other)]  # type: ignore[index]
    except ValueError:
        return False
    return abs((moments[0] - moments[1]).total_seconds()) % TIME_ZONE_STEP_S != 0
