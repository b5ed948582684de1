"""Define the options that filter pictures, such as --after and --camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from searchapp.cli import shell_completion
from searchapp.cli.shared_options import Function
from searchapp.errors import QueryError
from searchapp.types import Area, Circle, DateBound, RatingRange
from searchapp.types.filter_values import FilterValue

Callback = Callable[[click.Context, click.Parameter, Any], FilterValue | tuple[Any, ...] | None]


def parse_with(kind: type[FilterValue]) -> Callback:
    """Return a click callback that parses an option's text into a filter value of a class.

    The callback parses each text of an option that may be repeated.
    """

    def parse(
        context: click.Context, option: click.Parameter, text: Any
    ) -> FilterValue | tuple[Any, ...] | None:
        try:
            if isinstance(text, tuple):
                return tuple(map(kind.parse, text))
            return None if text is None else kind.parse(text)
        except QueryError as error:
            raise click.BadParameter(str(error)) from error

    return parse


FILTER_OPTIONS = (
    click.option(  # A filter compares paths, so the folder need not be readable now.
        "--in", "folder", type=click.Path(path_type=str, readable=False), multiple=True,
        metavar="FOLDER",
        help="Only pictures below FOLDER. Repeat it for one of several.",
    ),
    click.option(
        "--after", metavar="DATE", callback=parse_with(DateBound),
        help="Only pictures from DATE or later, such as 2023, 2023-06 or 2023-06-17.",
    ),
    click.option(
        "--before", metavar="DATE", callback=parse_with(DateBound),
        help="Only pictures from DATE or earlier, including that day, month or year.",
    ),
    click.option(
        "--taken", is_flag=True,
        help="Only pictures with a date in their metadata; the date of the file does not count.",
    ),
    click.option(
        "--camera", multiple=True, metavar="PATTERN",
        help="Only pictures whose camera matches PATTERN, ignoring case, such as 'iPhone*'. "
        "Repeat it for one of several.",
    ),
    click.option(
        "--lens", multiple=True, metavar="PATTERN",
        help="Only pictures whose lens matches PATTERN, ignoring case, such as '*50mm*'. "
        "Repeat it for one of several.",
    ),
    click.option(
        "--rating", multiple=True, metavar="STARS", callback=parse_with(RatingRange),
        help="Only pictures with this rating: 4, 4+, 2-4, rejected or unrated. Repeat it for one "
        "of several.",
    ),
    click.option(
        "--keyword", multiple=True, metavar="PATTERN",
        help="Only pictures with a keyword that matches PATTERN, ignoring case, such as 'new*'. "
        "Repeat it to require several.",
    ),
    click.option(
        "--any-keyword", is_flag=True,
        help="One of the keywords is sufficient if --keyword is repeated.",
    ),
    click.option(
        "--format", multiple=True, metavar="NAME",
        shell_complete=shell_completion.complete_formats,
        help="Only files of this format, such as jpeg or heic. Repeat it for one of several.",
    ),
    click.option(
        "--min-size", type=click.FloatRange(min=0), metavar="MP",
        help="Only pictures of at least MP megapixels.",
    ),
    click.option(
        "--max-size", type=click.FloatRange(min=0), metavar="MP",
        help="Only pictures of at most MP megapixels.",
    ),
    click.option(
        "--near", metavar="LAT,LON,KM", callback=parse_with(Circle),
        help="Only pictures taken within KM kilometers of a place, such as 48.85,2.35,5km.",
    ),
    click.option(
        "--area", metavar="S,W,N,E", callback=parse_with(Area),
        help="Only pictures taken between two latitudes and two longitudes, in the order south, "
        "west, north, east, such as 47.2,-5.2,51.1,8.3.",
    ),
    click.option(
        "--place", multiple=True, metavar="NAME",
        help="Only pictures taken in this city, region or country, such as Lisbon, or 'Paris, "
        "Texas'. Repeat it to accept several.",
    ),
    click.option(
        "--where", metavar="SQL",
        help="Only pictures for which SQL is true in the view `photos` (see `searchapp docs "
        "filters`).",
    ),
)  # fmt: skip


def filter_options(function: Function) -> Function:
    """Add one option to a command for each field of types.Filter."""
    for option in reversed(FILTER_OPTIONS):
        function = option(function)
    return function
