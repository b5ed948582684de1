"""Region: a rectangle of a picture, in pixels or percent."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from searchapp.errors import QueryError
from searchapp.types import Query, Region

NUMBERS = st.floats(0.01, 50, allow_nan=False).map(lambda number: round(number, 3))


def test_region_is_parsed_in_both_units() -> None:
    assert Region.parse("100,50,640,480") == Region(100, 50, 640, 480)
    assert Region.parse("10%, 5%, 50%, 40.5%") == Region(10, 5, 50, 40.5, is_percent=True)
    assert str(Region.parse("10%,5%,50%,40.50%")) == "10%,5%,50%,40.5%"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a region. Write X,Y,W,H, such as"),
        ("1,2,3", "is not a region"),
        ("1,2,3,4,5", "is not a region"),
        ("10%,5%,50%,40", "is not a region"),  # two units
        ("1,2,nan,4", "is not a region"),
        ("1,2,inf,4", "is not a region"),
        ("1,2,0,4", "the region 1,2,0,4 has no area"),
        ("1,2,3,-4", "has no area"),
        ("-1,2,3,4", "the region -1,2,3,4 is outside of the picture, which begins at 0,0."),
        ("60%,0%,50%,10%", "is outside of the picture, which begins at 0,0 and ends at 100%,100%."),
    ],
)
def test_invalid_region_is_explained(text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        Region.parse(text)
    assert message in str(caught.value)


def test_box_is_in_decoded_pixels() -> None:
    """Pixels are those of the original, which can be decoded at another size."""
    assert Region.parse("100,50,640,480").compute_box((1000, 1000), (1000, 1000)) == (
        100, 50, 740, 530,
    )  # fmt: skip
    assert Region.parse("100,50,600,400").compute_box((1000, 1000), (500, 500)) == (
        50,
        25,
        350,
        225,
    )
    assert Region.parse("50%,0%,50%,100%").compute_box((3, 3), (81, 60)) == (40, 0, 81, 60)
    assert Region.parse("99.99%,99.99%,0.01%,0.01%").compute_box((9, 9), (9, 9)) == (8, 8, 9, 9)


@pytest.mark.parametrize("text", ["900,0,300,200", "0,500,10,101", "2000,0,1,1"])
def test_region_outside_of_its_picture(text: str) -> None:
    with pytest.raises(QueryError, match=r"outside of the picture, which has 1000 x 600 pixels"):
        Region.parse(text).compute_box((1000, 600), (100, 60))


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.integers(1, 300), st.integers(1, 300))
def test_text_is_parsed_back_and_box_is_in_the_picture(
    x: float, y: float, width: float, height: float, is_percent: bool, columns: int, rows: int
) -> None:
    region = Region(x, y, width, height, is_percent)
    assert Region.parse(str(region)) == region
    assume(is_percent or (x + width <= columns and y + height <= rows))
    left, upper, right, lower = region.compute_box((columns, rows), (columns, rows))
    assert 0 <= left < right <= columns
    assert 0 <= upper < lower <= rows


def test_region_needs_a_picture() -> None:
    with pytest.raises(QueryError, match="a region needs a picture"):
        Query("red", region=Region(0, 0, 1, 1))
