"""Tell pages of text apart by the text that was recognized in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from searchapp.duplicates.fingerprint import TURNS

MIN_PARTS = 80  # of a page; signs in a photo, and captions, have fewer
PART_CHARACTERS = 5  # long enough that two texts of one language share few parts
# Share of the parts of the shorter text that a copy has, too. A cropped copy lacks lines. A small
# copy is read with errors: with one error in 10 characters, 0.59 of its parts are right.
MIN_SHARED = 0.4


class PageText:
    """The recognized text of a picture. Errors of the recognition change some of its parts only."""

    def __init__(self, text: str) -> None:
        """Take the lines of a picture, with newlines between them."""
        self._text = text

    @cached_property
    def _parts(self) -> Counter[str]:
        """How often the text has each part of a line, without spaces and signs."""
        parts = Counter[str]()
        for line in self._text.casefold().splitlines():
            letters = "".join(filter(str.isalnum, line))
            last = max(0, len(letters) - PART_CHARACTERS)
            parts.update(letters[at : at + PART_CHARACTERS] for at in range(last + 1) if letters)
        return parts

    def is_other_page(self, other: PageText) -> bool:
        """Return whether both pictures have much text, and clearly different text."""
        least = min(self._parts.total(), other._parts.total())
        return least >= MIN_PARTS and (self._parts & other._parts).total() < MIN_SHARED * least


def are_other_pages(texts: Mapping[int, PageText], pair: tuple[int, int], turn: int) -> bool:
    """Return whether the texts of a pair differ clearly. texts: those that are known, by picture.

    turn: index in TURNS. Mirrored letters cannot be read, so the texts of mirrored pictures differ.
    """
    if sum(TURNS[turn]) % 2 or not all(picture in texts for picture in pair):
        return False
    return texts[pair[0]].is_other_page(texts[pair[1]])
