"""Dates, ratings and places of a filter: parsed once, by the constructor."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchapp.errors import QueryError
from searchapp.server.client import _build_search_fields
from searchapp.server.request_models import PLACE_PATTERN, RATING, SearchRequest, to_search_options
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
def test_a_filter_of_texts_equals_one_of_values(kind: type[Filter]) -> None:
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


def test_a_filter_cannot_be_changed_but_copied() -> None:
    options = SearchOptions(rating="4")
    with pytest.raises(AttributeError):
        options.rating = RatingRange(1, 1)  # type: ignore[misc]
    changed = replace(options, rating="2-3", folder="/photos")
    assert (changed.rating, options.rating) == (RatingRange(2, 3), RatingRange(4, 4))


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("after", "yesterday", "a date looks like 2023, 2023-06 or 2023-06-17"),
        ("before", "2023-6", "a date looks like"),
        ("after", "2023-06-17T", "a date looks like"),
        ("before", "", "a date looks like"),
        ("rating", "6", "a rating is 4, 4\\+, 2-4, rejected or unrated; not '6'"),
        ("rating", "-1", "a rating is"),
        ("near", "48.85", "a place is LATITUDE,LONGITUDE,KM"),
        ("near", "0,0,nan", "nowhere on earth"),
    ],
)
def test_a_text_that_means_nothing_is_refused_by_the_constructor(
    field: str, text: str, message: str
) -> None:
    for kind in (Filter, SearchOptions, DuplicateOptions):
        with pytest.raises(QueryError, match=message) as refused:
            kind(**{field: text})
        assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2023", 20230000000000, 20239999999999),
        ("2023-06", 20230600000000, 20230699999999),
        ("2023-06-17", 20230617000000, 20230617999999),
        ("2023-06-17T10:20", 20230617102000, 20230617102099),
        ("2023-06-17T10:20:30:99", 20230617102030, 20230617102030),
    ],
)
def test_what_a_date_leaves_out_is_included(text: str, earliest: int, latest: int) -> None:
    date = DateBound.parse(text)
    assert (date.earliest, date.latest, str(date)) == (earliest, latest, text)


@pytest.mark.parametrize(
    ("text", "low", "high", "canonical"),
    [
        ("4", 4, 4, "4"), ("4+", 4, 5, "4+"), ("2-4", 2, 4, "2-4"), ("5-1", 5, 1, "5-1"),
        ("2-5", 2, 5, "2+"), ("5+", 5, 5, "5"), ("0", 0, 0, "unrated"), ("0+", 0, 5, "0+"),
        (" Rejected ", -1, -1, "rejected"), ("UNRATED", 0, 0, "unrated"),
    ],
)  # fmt: skip
def test_ratings(text: str, low: int, high: int, canonical: str) -> None:
    rating = RatingRange.parse(text)
    assert (rating.low, rating.high, str(rating)) == (low, high, canonical)
    assert RatingRange.parse(canonical) == rating
    assert re.fullmatch(RATING, canonical)


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), km=st.floats(0, 1e300))
def test_a_place_survives_its_text(latitude: float, longitude: float, km: float) -> None:
    """Without an exponent, which the HTTP API does not take."""
    place = Circle(latitude, longitude, km)
    assert Circle.parse(str(place)) == place
    assert re.fullmatch(PLACE_PATTERN, str(place))


def test_a_place_in_any_case_with_or_without_its_unit() -> None:
    assert str(Circle.parse(" 1e1,-2.50, 7KM")) == "10,-2.5,7km"
    assert Circle.parse("10,-2.5,7").radius_km == 7


def test_the_resident_process_is_sent_texts_and_reads_the_same_values() -> None:
    options = SearchOptions(**TEXTS, keyword=("sea",), count=3)  # type: ignore[arg-type]
    sent = json.loads(json.dumps(_build_search_fields([Term(Query("red"))], options)))
    assert {name: sent[name] for name in TEXTS} == TEXTS
    read = to_search_options(SearchRequest.model_validate(sent))
    assert read.base_filter == options.base_filter
