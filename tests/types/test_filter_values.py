"""Dates, ratings and places of a filter: the constructor parses texts into typed values."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchapp.errors import QueryError
from searchapp.server.request_fields import PLACE_PATTERN, RATING_PATTERN
from searchapp.server.request_models import SearchRequest, to_search_options
from searchapp.server.search_fields import build_search_fields
from searchapp.types import (
    Circle,
    DateBound,
    DuplicateOptions,
    Filter,
    Query,
    RatingRange,
    SearchOptions,
    Term,
)

TEXTS = {"after": "2021", "before": "2023-06", "near": "48.85,2.35,5km", "rating": "4+"}


@pytest.mark.parametrize("kind", [Filter, SearchOptions, DuplicateOptions])
def test_filter_from_texts_equals_filter_from_values(kind: type[Filter]) -> None:
    options = kind(**TEXTS)  # type: ignore[arg-type]
    assert (options.after, options.before) == (DateBound("2021"), DateBound("2023-06"))
    assert (options.near, options.rating) == (Circle(48.85, 2.35, 5.0), RatingRange(4, 5))
    typed = kind(
        after=DateBound("2021"), before=DateBound("2023-06"), near=Circle(48.85, 2.35, 5.0),
        rating=RatingRange(4, 5),
    )  # fmt: skip
    assert options == typed and hash(options) == hash(typed)
    assert pickle.loads(pickle.dumps(options)) == options
    assert {name: str(getattr(options, name)) for name in TEXTS} == TEXTS
    assert options.base_filter == Filter(**TEXTS)  # type: ignore[arg-type]
    assert options.has_conditions and not kind().has_conditions
    assert asdict(kind())["near"] is None


def test_filter_is_immutable_and_can_be_copied_with_changes() -> None:
    options = SearchOptions(rating="4")
    with pytest.raises(AttributeError):
        options.rating = RatingRange(1, 1)  # type: ignore[misc]
    changed = replace(options, rating="2-3", folder="/photos")
    assert (changed.rating, options.rating) == (RatingRange(2, 3), RatingRange(4, 4))


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        (
            "after",
            "yesterday",
            "^'yesterday' is not a date. Write 2023, 2023-06 or 2023-06-17.$",
        ),
        ("before", "2023-6", "is not a date"),
        ("after", "2023-06-17T", "is not a date"),
        ("before", "", "is not a date"),
        ("after", "2023-13", "^'2023-13' is not a date"),
        ("after", "2023-00", "is not a date"),
        ("before", "2023-02-29", "is not a date"),
        ("before", "2023-06-31T10:20", "is not a date"),
        ("rating", "4-2", "^'4-2' has no ratings in it. Write 2-4.$"),
        ("rating", "6", "^'6' is not a rating. Write 4, 4\\+, 2-4, rejected or unrated.$"),
        ("rating", "-1", "is not a rating"),
        ("near", "48.85", "^'48.85' is not a place. Write LATITUDE,LONGITUDE,KM"),
        ("near", "0,0,nan", "is not on the earth: .* Write LATITUDE,LONGITUDE,KM"),
    ],
)
def test_constructor_rejects_an_invalid_text(field: str, text: str, message: str) -> None:
    for kind in (Filter, SearchOptions, DuplicateOptions):
        with pytest.raises(QueryError, match=message) as raised:
            kind(**{field: text})
        assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2023", 20230000000000, 20239999999999),
        ("2023-06", 20230600000000, 20230699999999),
        ("2023-06-17", 20230617000000, 20230617999999),
        ("2024-02-29", 20240229000000, 20240229999999),
        ("2023-06-17T10:20", 20230617102000, 20230617102099),
        ("2023-06-17T10:20:30:99", 20230617102030, 20230617102030),
    ],
)
def test_partial_date_covers_its_whole_period(text: str, earliest: int, latest: int) -> None:
    date = DateBound.parse(text)
    assert (date.earliest, date.latest, str(date)) == (earliest, latest, text)


@pytest.mark.parametrize(
    ("text", "low", "high", "canonical"),
    [
        ("4", 4, 4, "4"), ("4+", 4, 5, "4+"), ("2-4", 2, 4, "2-4"),
        ("2-5", 2, 5, "2+"), ("5+", 5, 5, "5"), ("0", 0, 0, "unrated"), ("0+", 0, 5, "0+"),
        (" Rejected ", -1, -1, "rejected"), ("UNRATED", 0, 0, "unrated"),
    ],
)  # fmt: skip
def test_parse_and_format_a_rating_range(text: str, low: int, high: int, canonical: str) -> None:
    rating = RatingRange.parse(text)
    assert (rating.low, rating.high, str(rating)) == (low, high, canonical)
    assert RatingRange.parse(canonical) == rating
    assert re.fullmatch(RATING_PATTERN, canonical)


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), km=st.floats(0, 1e300))
def test_place_survives_formatting_and_parsing(
    latitude: float, longitude: float, km: float
) -> None:
    """The text has no exponent, because the HTTP API rejects one."""
    place = Circle(latitude, longitude, km)
    assert Circle.parse(str(place)) == place
    assert re.fullmatch(PLACE_PATTERN, str(place))


def test_place_unit_is_optional_and_ignores_case() -> None:
    assert str(Circle.parse(" 1e1,-2.50, 7KM")) == "10,-2.5,7km"
    assert Circle.parse("10,-2.5,7").radius_km == 7


def test_filter_survives_the_request_to_the_resident_process() -> None:
    options = SearchOptions(**TEXTS, keyword=("sea",), count=3)  # type: ignore[arg-type]
    request = json.loads(json.dumps(build_search_fields([Term(Query("red"))], options)))
    assert {name: request[name] for name in TEXTS} == TEXTS
    received = to_search_options(SearchRequest.model_validate(request))
    assert received.base_filter == options.base_filter
