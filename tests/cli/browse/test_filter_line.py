"""The filter line: the same options as on the command line, in both directions."""

from __future__ import annotations

import pytest

from searchapp.cli.browse.filter_line import OPTION_NAMES, format_filter_line, parse_filter_line
from searchapp.cli.query import command as query_command
from searchapp.errors import QueryError
from searchapp.types import SearchOptions

LINES = [
    "",
    "--after 2021 --before 2023-06",
    "--camera 'iPhone*' --camera 'Canon EOS'",
    "--rating 4+ --rating unrated --keyword 'new*' --any-keyword",
    "--near 48.85,2.35,5km --place 'Paris, Texas' --min-size 2.5",
    "--by text --min-score auto --sort date",
    "--min-score 0.3 --taken --where 'width > 100'",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_survives_a_round_trip(line: str) -> None:
    values = parse_filter_line(line)
    formatted = format_filter_line(values)
    assert parse_filter_line(formatted) == values
    assert sorted(formatted.split()) == sorted(line.split())
    SearchOptions(**values)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--after yesterday", "is not a date"),
        ("--no-such 1", "--no-such"),
        ("--camera 'Canon", "Quote a value"),
        ("2021", "2021"),
        ("--min-score x", "a score is a number"),
    ],
)
def test_a_bad_line_says_why(line: str, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        parse_filter_line(line)


def test_environment_variables_do_not_filter_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """They set options of the command, which the line shows."""
    monkeypatch.setenv("SEARCHAPP_CAMERA", "Canon")
    assert parse_filter_line("")["camera"] == ()


def test_the_line_has_all_filters_of_a_query() -> None:
    """OPTION_NAMES are options of `query`, and fields of SearchOptions."""
    assert {option.name for option in query_command.params} >= OPTION_NAMES
    assert set(parse_filter_line("")) == OPTION_NAMES
