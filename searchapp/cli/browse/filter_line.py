"""Parse the filter line of `searchapp browse`: the options of a search, as on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.shared_options import ranking_options
from searchapp.errors import QueryError


@click.command(add_help_option=False)
@filter_options
@ranking_options
def _filter_line(**values: Any) -> None:
    """Hold the options that the filter line accepts; their environment variables have no effect."""


OPTION_NAMES = frozenset(str(option.name) for option in _filter_line.params)


def parse_filter_line(line: str) -> dict[str, Any]:
    """Return the fields of SearchOptions that a line such as `--after 2021 --rating 4+` states.

    Raises QueryError if the line is not valid.
    """
    try:
        context = _filter_line.make_context("filter", shlex.split(line))
    except click.UsageError as error:
        raise QueryError(error.format_message()) from error
    except ValueError as error:  # shlex: a quotation mark is missing.
        raise QueryError(f"{error}. Quote a value with spaces, such as 'Canon EOS'") from error
    return context.params


def format_filter_line(values: Mapping[str, Any]) -> str:
    """Return the line that parse_filter_line() parses to these values; leave out default values."""
    words: list[str] = []
    for option in _filter_line.params:
        value = values.get(str(option.name))
        if value is None or value is False or value == () or value == option.default:
            continue
        if value is True:
            words.append(option.opts[0])
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0], shlex.quote(str(each))]
    return " ".join(words)
