"""A page to review duplicates: one HTML file that contains its pictures and loads nothing.

On the page, a person chooses which files to keep. The page then makes the same shell script as
searchapp.duplicates.move_script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from searchapp.duplicates import move_script
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.display_path import display_path
from searchapp.pages.html_template import jpeg_data_url, write_html
from searchapp.pictures import thumbnails
from searchapp.types import DuplicateFile, DuplicateGroup, Duplicates

THUMBNAIL_SIDE = 280  # pixels
JPEG_QUALITY = 80
MAX_THUMBNAILS = 3000  # more make the page too large for a browser; the largest groups come first


@dataclass(frozen=True, slots=True)
class _Fact:
    """A property of a file, and how it compares with the file to keep."""

    text: str
    comparison: Literal["better", "worse", "same"] = "same"


@dataclass(frozen=True, slots=True)
class _Card:
    """A file as the template shows it."""

    number: int  # in the list of files that the page's script reads
    is_kept: bool
    name: str
    folder: str
    uri: str
    thumbnail: str  # a data: URL; empty if there is none
    facts: tuple[_Fact, ...]
    difference: str


@dataclass(frozen=True, slots=True)
class _CardGroup:
    """The files of one picture; no reason for look-alikes, which are all kept."""

    reason: str
    cards: list[_Card]


def write_review(file: Path, found: Duplicates) -> None:
    """Write the page; raise SearchAppError if the file cannot be written."""
    page = _ReviewPage(found)
    count = sum(len(group.others) for group in found.groups)
    write_html(
        file,
        "duplicates_review.html",
        title=f"{count:,} duplicates of {len(found.groups):,} pictures",
        duplicates=page.make_groups(found.groups),
        similar=page.make_groups(found.similar),
        has_duplicates=bool(found.groups),
        has_similar=bool(found.similar),
        files=page.files,
        script_head=move_script.SCRIPT_HEAD,
        script_tail=move_script.SCRIPT_TAIL,
    )


class _ReviewPage:
    """Makes the groups of a page one at a time: thousands of pictures are not kept in memory."""

    def __init__(self, found: Duplicates) -> None:
        self.files: list[dict[str, object]] = []  # of the groups made so far, for the page's script
        groups = (*found.groups, *found.similar)
        paths = (copy.path for group in groups for copy in (group.keeper, *group.others))
        self._thumbnails = thumbnails.render_ahead(_thumbnail_url, islice(paths, MAX_THUMBNAILS))

    def make_groups(self, groups: Sequence[DuplicateGroup]) -> Iterator[_CardGroup]:
        for group in groups:
            similar = any(copy.certainty == "similar" for copy in group.others)
            cards = [self._make_card(group.keeper, group.keeper, is_kept=True)]
            cards += [
                self._make_card(copy, group.keeper, is_kept=similar or not _is_movable(copy))
                for copy in group.others
            ]
            yield _CardGroup("" if similar else group.reason, cards)

    def _make_card(self, copy: DuplicateFile, keeper: DuplicateFile, *, is_kept: bool) -> _Card:
        number = len(self.files)
        self.files.append(
            {
                "size": copy.size,
                "comment": move_script.escape_comment(copy.path),
                **_shell_words(copy),
            }
        )
        name = Path(copy.path).name
        companions = (f"with {display_path(Path(path).name)}" for path in copy.companions)
        return _Card(
            number,
            is_kept,
            display_path(name),
            display_path(copy.path[: -len(name) - 1]),
            storage.path_to_uri(copy.path),
            next(self._thumbnails, ""),  # of the same file: cards are made in that order
            _make_facts(copy, keeper),
            ", ".join(filter(None, (copy.difference, *companions))),
        )


def _shell_words(copy: DuplicateFile) -> dict[str, str | None]:
    """Return a file and its companions as words of a shell; None if they cannot be written."""
    try:
        return {
            "word": move_script.quote_path(copy.path),
            "along": move_script.quote_companions(copy),
        }
    except ValueError:
        return {"word": None, "along": None}


def _is_movable(copy: DuplicateFile) -> bool:
    return _shell_words(copy)["word"] is not None


def _make_facts(copy: DuplicateFile, keeper: DuplicateFile) -> tuple[_Fact, ...]:
    """Return dimensions, size, format and date of a file, compared with the file to keep."""
    size = f"{copy.size / 1e6:.1f} MB" if copy.size >= 1e6 else f"{copy.size / 1e3:.0f} kB"
    more_bytes = copy.size - keeper.size
    if abs(more_bytes) <= 0.05 * keeper.size:  # too little to matter
        more_bytes = 0
    taken_at = (copy.taken_at or "no date")[:16].replace("T", " ")
    return (
        _compare(
            f"{copy.width}×{copy.height}", copy.width * copy.height - keeper.width * keeper.height
        ),
        _compare(size, more_bytes),
        _Fact(copy.format),
        _compare(taken_at, bool(copy.taken_at) - bool(keeper.taken_at)),
    )


def _compare(text: str, surplus: int) -> _Fact:
    """surplus: by how much the file has more than the file to keep."""
    return _Fact(text, "same" if not surplus else "better" if surplus > 0 else "worse")


def _thumbnail_url(path: str) -> str:
    try:
        return jpeg_data_url(thumbnails.make_thumbnail(path, THUMBNAIL_SIDE), JPEG_QUALITY)
    except PictureError:
        return ""
