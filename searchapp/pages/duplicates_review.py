"""Write a page to review duplicates: one HTML file that contains its thumbnails.

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
from searchapp.duplicates.review_store import REVIEW_KEY, REVIEW_VERSION
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.display_path import display_path
from searchapp.pages.html_template import encode_jpeg_url, write_html
from searchapp.pictures import thumbnails
from searchapp.types import DuplicateFile, DuplicateGroup, Duplicates, Original, format_count

THUMBNAIL_SIDE_PX = 280
JPEG_QUALITY = 80
MAX_THUMBNAILS = 3000  # a larger page is too large for a browser; the largest groups come first


@dataclass(frozen=True, slots=True)
class _Fact:
    """A property of a file, and how it compares with the file to keep."""

    text: str
    comparison: Literal["better", "worse", "same"] = "same"


@dataclass(frozen=True, slots=True)
class _Card:
    """The values of one file that the template shows."""

    number: int  # in the list of files that the page's script reads
    is_kept: bool
    name: str
    folder: str
    uri: str
    thumbnail: str  # a data: URL; empty if there is none
    facts: tuple[_Fact, ...]
    difference: str
    is_decided: bool  # by an earlier review


@dataclass(frozen=True, slots=True)
class _CardGroup:
    """The cards of one group of duplicates or look-alikes."""

    reason: str  # empty for look-alikes: all of them are kept
    cards: list[_Card]

    @property
    def is_decided(self) -> bool:
        """Return whether an earlier review has a choice for a file of the group."""
        return any(card.is_decided for card in self.cards)


def write_review(file: Path, found: Duplicates) -> None:
    """Write the HTML file in which a person reviews groups of duplicates and look-alikes.

    Errors: SearchAppError if the file cannot be written.
    """
    page = _ReviewPage(found)
    write_html(
        file,
        "duplicates_review.html",
        title=f"{format_count(found.duplicate_count, 'duplicate')} of "
        f"{format_count(len(found.groups), 'picture')}",
        duplicates=page.make_groups(found.groups),
        similar=page.make_groups(found.similar),
        has_duplicates=bool(found.groups),
        has_similar=bool(found.similar),
        files=page.files,
        script_head=move_script.SCRIPT_HEAD,
        script_tail=move_script.SCRIPT_TAIL,
        review_key=REVIEW_KEY,
        review_version=REVIEW_VERSION,
    )


class _ReviewPage:
    """Makes the groups of the page one after another, to keep few thumbnails in memory."""

    def __init__(self, found: Duplicates) -> None:
        self.files: list[dict[str, object]] = []  # read by the page's script; grows with each group
        groups = (*found.groups, *found.similar)
        copies = (copy for group in groups for copy in (group.keeper, *group.others))
        self._thumbnails = thumbnails.render_ahead(
            _make_thumbnail_url, islice(copies, MAX_THUMBNAILS)
        )

    def make_groups(self, groups: Sequence[DuplicateGroup]) -> Iterator[_CardGroup]:
        for group in groups:
            similar = any(copy.certainty == "similar" for copy in group.others)
            kept_paths = {copy.path for copy in group.kept}
            cards = [
                self._make_card(
                    copy,
                    group.keeper,
                    is_kept=copy.path in kept_paths or not move_script.can_move(copy),
                )
                for copy in (group.keeper, *group.others)
            ]
            yield _CardGroup("" if similar else group.reason, cards)

    def _make_card(self, copy: DuplicateFile, keeper: DuplicateFile, *, is_kept: bool) -> _Card:
        number = len(self.files)
        self.files.append(
            {
                "size": copy.size,
                "path": copy.path,
                "sha256": copy.sha256,
                "comment": move_script.escape_comment(copy.path),
                **_quote_for_shell(copy),
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
            next(self._thumbnails, ""),  # thumbnails and cards have the same order
            _make_facts(copy, keeper),
            ", ".join(filter(None, (copy.difference, *companions))),
            copy.stays is not None,
        )


def _quote_for_shell(copy: DuplicateFile) -> dict[str, str | None]:
    """Return the path of a file, and those of its companions, quoted for sh.

    The values are None if a shell script cannot move the file.
    """
    try:
        return {
            "word": move_script.quote_path(copy.path),
            "along": move_script.quote_companions(copy),
        }
    except ValueError:
        return {"word": None, "along": None}


def _make_facts(copy: DuplicateFile, keeper: DuplicateFile) -> tuple[_Fact, ...]:
    """Return dimensions, size, format and date of a file, compared with the file to keep."""
    size = f"{copy.size / 1e6:.1f} MB" if copy.size >= 1e6 else f"{copy.size / 1e3:.0f} kB"
    more_bytes = copy.size - keeper.size
    if abs(more_bytes) <= 0.05 * keeper.size:  # too little to matter
        more_bytes = 0
    taken_at = (copy.taken_at or "no date")[:16].replace("T", " ")
    return (
        _compare_with_keeper(
            f"{copy.width}×{copy.height}", copy.width * copy.height - keeper.width * keeper.height
        ),
        _compare_with_keeper(size, more_bytes),
        _Fact(copy.format),
        _compare_with_keeper(taken_at, bool(copy.taken_at) - bool(keeper.taken_at)),
    )


def _compare_with_keeper(text: str, surplus: int) -> _Fact:
    """Make a fact; surplus: the value of the file minus the value of the file to keep."""
    return _Fact(text, "same" if not surplus else "better" if surplus > 0 else "worse")


def _make_thumbnail_url(copy: DuplicateFile) -> str:
    try:
        thumbnail = thumbnails.make_thumbnail(Original(copy.path, copy.sha256), THUMBNAIL_SIDE_PX)
    except PictureError:
        return ""
    return encode_jpeg_url(thumbnail, JPEG_QUALITY)
