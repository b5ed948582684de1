"""The options that say which pictures count, for every command that takes a filter."""

from __future__ import annotations

from collections.abc import Callable

import click

from searchapp.cli import shell_completion
from searchapp.cli.shared_options import Function
from searchapp.errors import QueryError
from searchapp.types import Circle, DateBound, RatingRange
from searchapp.types.filter_values import Value

Callback = Callable[[click.Context, click.Parameter, str | None], Value | None]


def parse_with(kind: type[Value]) -> Callback[Value]:
    """Return the callback of an option whose text is parsed into a value of a filter."""

    def parse(context: click.Context, option: click.Parameter, text: str | None) -> Value | None:
        try:
            return None if text is None else kind.parse(text)
        except QueryError as error:
            raise click.BadParameter(str(error)) from error

    return parse


FILTER_OPTIONS = (
    click.option(
        "--in", "folder", type=click.Path(path_type=str), metavar="FOLDER",
        help="Only below FOLDER.",
    ),
    click.option(
        "--after", metavar="DATE", callback=parse_with(DateBound),
        help="Only of then or later: 2023, 2023-06 ...",
    ),
    click.option(
        "--before", metavar="DATE", callback=parse_with(DateBound),
        help="Only of then or earlier, that day included.",
    ),
    click.option(
        "--taken", is_flag=True, help="Only pictures that say when they were taken; no file dates."
    ),
    click.option(
        "--camera", metavar="PATTERN",
        help="Only by such a camera, in any case: 'iPhone*', 'canon*'.",
    ),
    click.option(
        "--lens", metavar="PATTERN",
        help="Only by such a lens, in any case: '*50mm*', 'summilux*'.",
    ),
    click.option(
        "--rating", metavar="STARS", callback=parse_with(RatingRange),
        help="Only of such a rating: 4, 4+, 2-4, rejected or unrated.",
    ),
    click.option(
        "--keyword", multiple=True, metavar="PATTERN",
        help="Only with this keyword, in any case: holiday, 'new*'. Repeat it to ask for several.",
    ),
    click.option(
        "--format", metavar="NAME", shell_complete=shell_completion.complete_formats,
        help="Only files of a format: jpeg, heic ...",
    ),
    click.option(
        "--min-size", type=click.FloatRange(min=0), metavar="MP",
        help="Only of MP megapixels or more.",
    ),
    click.option(
        "--max-size", type=click.FloatRange(min=0), metavar="MP",
        help="Only of MP megapixels or less.",
    ),
    click.option(
        "--near", metavar="LAT,LON,KM", callback=parse_with(Circle),
        help="Only taken there: 48.85,2.35,5km.",
    ),
    click.option(
        "--where", metavar="SQL",
        help="Only where this holds in the view photos: see `searchapp docs filters`.",
    ),
)  # fmt: skip


def filter_options(function: Function) -> Function:
    """Add an option for each field of types.Filter, which they are named after."""
    for option in reversed(FILTER_OPTIONS):
        function = option(function)
    return function
