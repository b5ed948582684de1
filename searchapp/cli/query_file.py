"""Answer the questions of a file: `searchapp query --queries FILE`."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import tee
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.print_hits import list_hit_values, note_quality, print_hits
from searchapp.cli.query_terms import format_title
from searchapp.errors import QueryError, SearchAppError
from searchapp.server.answer_query import answer_queries
from searchapp.server.question_lines import QuestionLine, read_question_lines
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import SearchOptions, SearchQuestion, SearchResult, format_count

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.models import ModelSpec

# Parts of one question, and outputs that have no place for several.
REFUSED_PARAMETERS = (
    "text", "images", "texts", "minus_texts", "minus_images", "region", "likes", "unlikes",
    "saved", "json_object", "paths", "null", "html", "copy_to", "link_to", "preview", "open_best",
)  # fmt: skip


def refuse_options(context: click.Context) -> None:
    """Raise QueryError if the command has options that do not fit to --queries."""
    names = [
        parameter.opts[0] if isinstance(parameter, click.Option) else "TEXT"
        for parameter in context.command.params
        if parameter.name in REFUSED_PARAMETERS and context.params[parameter.name]
    ]
    if names:
        raise QueryError(
            "--queries takes the questions from a file, and prints all answers; leave out "
            + ", ".join(names)
        )


def answer_file(
    stream: BinaryIO,
    options: SearchOptions,
    config: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    answering: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Print the answer of each question, in the order of the file.

    options: of all questions. answering: further arguments of answer_queries.
    Raises SearchAppError at the end if a question has an error.
    """
    lines, asked_lines = tee(read_question_lines(stream, options))
    questions = (line.question for line in asked_lines)
    count = failed_count = 0
    for line, outcome in zip(
        lines, answer_queries(questions, options, config, start, **answering), strict=True
    ):
        if as_json:
            click.echo(json.dumps(_make_object(line, outcome), default=str))
        if isinstance(outcome, SearchAppError):
            failed_count += 1
            print_note(f"line {line.number}: {outcome}")
        elif not as_json and isinstance(line.question, SearchQuestion):
            _print_answer(line.question, outcome, is_first=not count)
            note_quality(outcome, line.question.options, line.number)
        count += 1
    if not count:
        print_note("the file has no questions; write one on each line")
    if failed_count:
        raise SearchAppError(
            f"{failed_count} of {format_count(count, 'question')} failed; the messages name the "
            "lines. Correct them, and run the command again."
        )


def _make_object(line: QuestionLine, outcome: SearchResult | SearchAppError) -> dict[str, Any]:
    """Return a question and its answer as a JSON object; its keys are always the same."""
    error = None
    if isinstance(outcome, SearchAppError):
        outcome, error = SearchResult((), None), str(outcome)
    return {
        "line": line.number,
        "question": line.source,
        "good_match": outcome.good,
        "hits": list_hit_values(outcome.hits),
        "warnings": list(outcome.warnings),
        "error": error,
    }


def _print_answer(question: SearchQuestion, answer: SearchResult, *, is_first: bool) -> None:
    """Print the question as a heading in the style of `head`, and its hits."""
    if not is_first:
        print_line()
    print_line(f"==> {format_title(question.query, question.examples)} <==")
    print_hits(answer.hits, with_dates=question.options.sort == "date")
