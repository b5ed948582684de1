"""Print the hits of `searchapp query` as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from searchapp.cli.log_output import print_line, print_note
from searchapp.types import (
    AUTO_MIN_SCORE,
    Hit,
    Match,
    SearchOptions,
    SearchResult,
    format_clock,
)

DATE_WIDTH = len("2023-06-17 12:00")


def print_hits(hits: Sequence[Hit], *, with_dates: bool, with_scores: bool = True) -> None:
    """Print a line for each hit: date and score as requested, path, and why it matches."""
    for hit in hits:
        day_and_time = (hit.date or "undated")[:DATE_WIDTH].replace("T", " ")
        date = f"{day_and_time:<{DATE_WIDTH}}  " if with_dates else ""
        score = f"{hit.score:.3f}  " if with_scores else ""
        also = f"  (and {len(hit.also)} more)" if hit.also else ""
        time = "" if hit.seconds is None else f" @ {format_clock(hit.seconds)}"
        why = "".join(f"  [{_format_match(match)}]" for match in hit.match if match.snippet)
        rerank = "" if hit.rerank_score is None else f"  [rerank: {hit.rerank_score:.3f}]"
        print_line(f"{date}{score}{hit.path}{time}{also}{rerank}{why}")


def _format_match(match: Match) -> str:
    """Return why the words of a query belong to a hit. The path already shows the names."""
    return match.by if match.by == "name" else f"{match.by}: {match.snippet}"


def note_quality(answer: SearchResult, options: SearchOptions, line_number: int = 0) -> None:
    """Print a note if there are no hits, no good matches, or other reasons to doubt the hits.

    line_number: of the question, in a file of questions.
    """
    start = f"line {line_number}: " if line_number else ""
    for note in _list_notes(answer, options):
        print_note(f"{start}{note}")


def _list_notes(answer: SearchResult, options: SearchOptions) -> Iterator[str]:
    if answer.hits and answer.good is False:
        yield "no hit is a good match, by its score; --min-score auto hides such hits"
    yield from answer.warnings
    if not answer.hits and not answer.warnings:
        if options.min_score == AUTO_MIN_SCORE and answer.good is False:
            yield "no good match"
        elif options.base_filter.has_conditions or options.min_score is not None or options.offset:
            yield "no picture matches the query within its filters and limits"
        else:
            yield "no match"


def list_hit_values(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return hits as objects of `query --json`."""
    values = [hit.to_dict() for hit in hits]
    for each in values:
        del each["image_id"]  # An image id is valid in one library only.
    return values
