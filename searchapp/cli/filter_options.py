"""The options that say which pictures count, for every command that takes a filter."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from searchapp.cli import shell_completion
from searchapp.cli.shared_options import Function


def _date(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Check that a date is the beginning of one in ISO 8601: a year, a month, a day, or more."""
    if value is not None and not re.fullmatch(r"\d{4}(-\d\d(-\d\d(T[\d:]+)?)?)?", value):
        raise click.BadParameter("a date looks like 2023, 2023-06 or 2023-06-17")
    return value


def _place(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Check that a place can be one."""
    if value is not None:
        from searchapp.catalog.filters.columns import place_of

        _checked(place_of, value)
    return value


def _rating(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Check that a rating can be one."""
    if value is not None:
        from searchapp.catalog.filters.columns import rating_of

        _checked(rating_of, value)
    return value


def _checked(read: Callable[[str], object], value: str) -> None:
    from searchapp.errors import QueryError

    try:
        read(value)
    except QueryError as error:
        raise click.BadParameter(str(error)) from error


OPTIONS = (
    click.option(
        "--in", "folder", type=click.Path(path_type=str), metavar="FOLDER",
        help="Only below FOLDER.",
    ),
    click.option(
        "--after", metavar="DATE", callback=_date, help="Only of then or later: 2023, 2023-06 ..."
    ),
    click.option(
        "--before", metavar="DATE", callback=_date,
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
        "--rating", metavar="STARS", callback=_rating,
        help="Only of such a rating: 4, 4+, 2-4, rejected or unrated.",
    ),
    click.option(
        "--keyword", multiple=True, metavar="PATTERN",
        help="Only with this keyword, in any case: holiday, 'new*'. Repeat it to ask for several.",
    ),
    click.option(
        "--format", metavar="NAME", shell_complete=shell_completion.formats,
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
        "--near", metavar="LAT,LON,KM", callback=_place, help="Only taken there: 48.85,2.35,5km."
    ),
    click.option(
        "--where", metavar="SQL", help="Only where this holds in the view photos (see the README)."
    ),
)  # fmt: skip


def filter_options(function: Function) -> Function:
    """Add an option for each field of types.Filter, which they are named after."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
