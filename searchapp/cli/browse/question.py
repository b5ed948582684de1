"""What the browser asks the library: a text, likes and a filter line; and the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from searchapp.cli.browse.filter_line import parse_filter_line
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.types import Example, Hit, SearchOptions


@dataclass(frozen=True, slots=True)
class Question:
    """The texts of the two fields, the likes, and the options that the filter line replaces."""

    text: str = ""
    filter_line: str = ""
    options: SearchOptions = SearchOptions(count=200)  # without a filter
    examples: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The ids of the images to show, their order in words, and their hits if it was a search."""

    image_ids: Sequence[int]
    order: str
    warnings: Sequence[str] = ()
    hits: Sequence[Hit] = ()


async def find_answer(
    source: PictureSource, question: Question, notify: Callable[[str], None]
) -> Answer:
    """Search by the text and the likes; without both, list the newest images.

    notify: called with a line of text before each slow step. Raises the errors of
    PictureSource.search().
    """
    options = replace(question.options, **parse_filter_line(question.filter_line))
    notify("searching ...")
    if not question.text and not question.examples:
        ids, warnings = await source.list_newest(options)
        return Answer(ids, "newest first", warnings)
    result = await source.search(question.text, question.examples, options, notify)
    warnings = result.warnings
    if not result.hits and not warnings:
        warnings = ("no match",)
    elif result.hits and result.good is False:
        warnings = (*warnings, "no hit is a good match, by its score")
    order = "newest first" if options.sort == "date" else "best first"
    return Answer([hit.image_id for hit in result.hits], order, warnings, result.hits)
