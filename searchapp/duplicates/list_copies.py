"""Images as files of a group: those that are there, what is told of each, and which is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from searchapp.catalog import Filed
from searchapp.duplicates import choose_keeper, difference_text
from searchapp.files import storage
from searchapp.types import Certainty, Copy, Group, KnownFile

BETWEEN = 15 * 60  # seconds: by a multiple of that clocks differ, of different time zones


def here(image: Filed, folder: str | None, along: Callable[[str], Iterable[str]]) -> Filed | None:
    """Return an image with those of its files that are as they were, one name each.

    along: tells what goes along with a file; it is returned with what of that is there.
    A file of two names (by a link) is one file: to move one of them away may move both.
    """
    seen = set[tuple[int, int]]()
    files = list[KnownFile]()
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
        same = (state.st_dev, state.st_ino)
        if state.st_size == file.size and same not in seen:
            seen.add(same)
            files.append(file)
    if not files:
        return None
    companions = [(file.path, it) for file in files for it in along(file.path)]
    there = tuple(each for each in companions if storage.may_be_there(each[1]))
    return replace(image, files=tuple(files), companions=there)


def group(ours: list[Copy], theirs: list[tuple[Copy, Certainty, int, float, bool]]) -> Group:
    """Make a group of an image's files and those of others that are the same."""
    keeper, *also = sorted(ours, key=choose_keeper.rank)
    others = [replace(copy, certainty="bytes", difference="the same bytes") for copy in also]
    others += [
        replace(
            copy,
            certainty=certainty,
            difference=difference_text.difference(keeper, copy, certainty, turn, cut, lacks),
        )
        for copy, certainty, turn, cut, lacks in theirs
    ]
    order = ("bytes", "pixels", "near")
    others.sort(key=lambda copy: (order.index(copy.certainty or "near"), copy.path))
    return Group(keeper, choose_keeper.reason(keeper, others), tuple(others))


def copies(image: Filed) -> list[Copy]:
    """Return an image's files, as they are told of."""
    return [
        Copy(
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


def apart(one: Filed, other: Filed) -> bool:
    """Tell whether one camera took both, at two moments."""
    if not (one.taken_at and other.taken_at and one.camera) or one.camera != other.camera:
        return False
    try:
        moments = [datetime.fromisoformat(each.taken_at[:19]) for each in (one, other)]  # type: ignore[index]
    except ValueError:
        return False
    return abs((moments[0] - moments[1]).total_seconds()) % BETWEEN != 0
