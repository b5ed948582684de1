"""Print the hits of `searchapp query` as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

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


def print_hits(hits: Sequence[Hit], *, with_dates: bool) -> None:
    """Print a line for each hit: the date if requested, scores, path, and why it matches."""
    for hit in hits:
        day_and_time = (hit.date or "undated")[:DATE_WIDTH].replace("T", " ")
        date = f"{day_and_time:<{DATE_WIDTH}}  " if with_dates else ""
        also = f"  (and {len(hit.also)} more)" if hit.also else ""
        time = "" if hit.seconds is None else f" @ {format_clock(hit.seconds)}"
        why = "".join(f"  [{_format_match(match)}]" for match in hit.match if match.snippet)
        rerank = "" if hit.rerank_score is None else f"  [rerank: {hit.rerank_score:.3f}]"
        print_line(f"{date}{hit.score:.3f}  {hit.path}{time}{also}{rerank}{why}")


def _format_match(match: Match) -> str:
    """Return why the words of a query belong to a hit. The path already shows the names."""
    return match.by if match.by == "name" else f"{match.by}: {match.snippet}"


def note_quality(answer: SearchResult, options: SearchOptions) -> None:
    """Print a note if there are no hits, no good matches, or other reasons to doubt the hits."""
    if answer.hits and answer.good is False:
        print_note("no hit is a good match, by its score; --min-score auto hides such hits")
    for warning in answer.warnings:
        print_note(warning)
    if not answer.hits and not answer.warnings:
        if options.min_score == AUTO_MIN_SCORE and answer.good is False:
            print_note("no good match")
        elif options.base_filter.has_conditions or options.min_score is not None or options.offset:
            print_note("no picture matches the query within its filters and limits")
        else:
            print_note("no match")
