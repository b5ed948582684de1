"""Explain which names and texts of an image contain words of a query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from searchapp.catalog import LocatedImage, TextQuery
from searchapp.types import Box, Match, TextLine

SNIPPET_CHARACTERS = 100  # of a long text, around the first word that matches
MAX_LINES = 20  # recognized lines of one hit


def put_matching_names_first(query: TextQuery, image: LocatedImage) -> LocatedImage:
    """Return an image with the files first whose names contain words of a query."""
    files = sorted(image.files, key=lambda file: not query.occurs_in(file.path.rpartition("/")[2]))
    return replace(image, files=tuple(files))


def explain_match(
    query: TextQuery, image: LocatedImage, lines: Sequence[TextLine]
) -> tuple[Match, ...]:
    """Return the names, captions, places and lines that contain words of a query.

    lines: the text that was recognized in the image.
    """
    name = next((name for path in image.paths for name in _find_names(query, path)), None)
    infos = [image.get_file_info(path) for path in image.paths]
    texts = (text for info in infos for text in (info.title, *info.keywords, info.description))
    captions = dict.fromkeys(text for text in texts if text)
    found = [_cut_around_match(query, text) for text in captions if query.occurs_in(text)]
    read = [line for line in lines if query.occurs_in(line.text)][:MAX_LINES]
    matches = []
    if name is not None:
        matches.append(Match("name", name))
    if found:
        matches.append(Match("caption", " · ".join(found)))
    places = dict.fromkeys(", ".join(info.place_names) for info in infos)
    in_place = [place for place in places if query.occurs_in(place)]
    if in_place:
        matches.append(Match("place", " · ".join(in_place)))
    if read:
        snippet = _cut_around_match(query, " ".join(line.text for line in read))
        boxes = (box for line in read for box in _find_word_boxes(query, line))
        matches.append(Match("text", snippet, tuple(boxes)))
    return tuple(matches)


def _find_word_boxes(query: TextQuery, line: TextLine) -> Iterator[Box]:
    """Yield the boxes of the words that match, or of the line for a match that spans words.

    Readers tell the box of a line. The place of a word in it is estimated from its letters.
    """
    if not line.box:
        return
    parts: list[tuple[int, int]] = []
    for word in re.finditer(r"\S+", line.text):
        if query.occurs_in(word[0]):
            is_next = parts and not line.text[parts[-1][1] : word.start()].strip()
            start = parts.pop()[0] if is_next else word.start()
            parts.append((start, word.end()))
    for start, end in parts or [(0, len(line.text))]:
        yield _cut_box(line.box, start / len(line.text), end / len(line.text))


def _cut_box(box: Box, start: float, end: float) -> Box:
    """Return the part of a box between two shares of its length."""
    if len(box) != 4:
        return box
    first_top, last_top, last_bottom, first_bottom = box

    def interpolate(
        first: tuple[float, float], last: tuple[float, float], share: float
    ) -> tuple[float, float]:
        x, y = (round(a + (b - a) * share, 4) for a, b in zip(first, last, strict=True))
        return x, y

    return (
        interpolate(first_top, last_top, start), interpolate(first_top, last_top, end),
        interpolate(first_bottom, last_bottom, end), interpolate(first_bottom, last_bottom, start),
    )  # fmt: skip


def _find_names(query: TextQuery, path: str) -> Iterator[str]:
    """Yield the file name, then the names of folders from the innermost on, that match."""
    return (name for name in reversed(path.split("/")) if query.occurs_in(name))


def _cut_around_match(query: TextQuery, text: str) -> str:
    """Return a text; of a long one, only the part around the first word that matches."""
    text = " ".join(text.split())
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    words = re.finditer(r"\S+", text)
    first = next((word.start() for word in words if query.occurs_in(word[0])), 0)
    start = max(0, min(first - SNIPPET_CHARACTERS // 3, len(text) - SNIPPET_CHARACTERS))
    end = start + SNIPPET_CHARACTERS
    return f"{'…' * (start > 0)}{text[start:end].strip()}{'…' * (end < len(text))}"
