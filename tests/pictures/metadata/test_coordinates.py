"""Coordinates: every form of EXIF and XMP gives a place, and an unknown direction gives none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchapp.pictures.metadata.coordinates import (
    parse_exif_degrees,
    parse_xmp_degrees,
    validate_position,
)


@pytest.mark.parametrize(
    ("text", "direction", "expected"),
    [
        ("60,30.0N", None, 60.5), ("60,30,15S", None, -60.5041667), ("60,30.0n", None, 60.5),
        ("60.5", "N", 60.5), ("60.5", "south", -60.5), ("-60.5", None, -60.5), ("+60.5", "", 60.5),
        ("60.5", None, 60.5), ("-60.5", "S", -60.5), ("60,30.0S", "S", -60.5),
        ("60 deg 30' 0.00\" S", None, -60.5), ("60\u00b030\u203215\u2033 South", None, -60.5041667),
        ("60\u00ba 30' 0\" S", None, -60.5),
        ("S 60.5", None, -60.5), ("121/2", "S", -60.5), ("60/1 30/1 0/1", "N", 60.5),
        ("-0,30.0", None, -0.5), ("\u221260.5", None, -60.5), ("6.05e+1", None, 60.5),
        # Unknown or contradictory directions, and no numbers.
        ("60.5", "X", None), ("60,30.0E", None, None), ("60.5 N S", None, None), ("0/0", "N", None),
        ("", "N", None), (None, None, None), ("nowhere", None, None), ("1,2,3,4N", None, None),
        ("60,-30N", None, None),
    ],
)  # fmt: skip
def test_xmp_latitudes_are_read(
    text: str | None, direction: str | None, expected: float | None
) -> None:
    degrees = parse_xmp_degrees(text, direction, is_latitude=True)
    assert degrees == (None if expected is None else pytest.approx(expected, abs=1e-7))


@pytest.mark.parametrize(
    ("parts", "direction", "expected"),
    [
        ((33.0, 51.0, 36.0), "W", -33.86), ((33.0, 51.0, 36.0), "west", -33.86),
        ((33.0, 51.0, 36.0), "w", -33.86), ((33.0, 51.0, 36.0), "East", 33.86),
        (33.86, "W", -33.86), ((33.86,), "E", 33.86), ((33.0, 51.6), "E", 33.86),
        ((-33.0, 51.0, 36.0), "W", -33.86), ("33 51 36", "W", -33.86),
        ((33.0, 51.0, 36.0), "N", None), ((33.0, 51.0, 36.0), "", None),
        ((33.0, 51.0, 36.0), "Q", None), ((math.nan,) * 3, "E", None),
        ((33.0, math.nan), "E", None), ((math.inf, 0.0, 0.0), "E", None), ((), "E", None),
    ],
)  # fmt: skip
def test_exif_longitudes_are_read(parts: object, direction: str, expected: float | None) -> None:
    degrees = parse_exif_degrees(parts, direction, is_latitude=False)
    assert degrees == (None if expected is None else pytest.approx(expected, abs=1e-7))


@given(st.text("0123456789+-.,/ eENSWdegnorth'\"", max_size=30), st.text("NSEWx", max_size=3))
def test_any_text_is_a_finite_number_or_none(text: str, direction: str) -> None:
    degrees = parse_xmp_degrees(text, direction, is_latitude=True)
    assert degrees is None or math.isfinite(degrees)


def test_impossible_positions_are_dropped() -> None:
    assert validate_position(91.0, 0.0) == (None, None)
    assert validate_position(0.0, -180.5) == (None, None)
    assert validate_position(None, 1.0) == (None, None)
    assert validate_position(-33.86000001, 151.2) == (-33.86, 151.2)
