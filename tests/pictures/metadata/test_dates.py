"""Dates of cameras and programs: lax variants are read, and dates of one moment are merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchapp.pictures.metadata.dates import parse_date


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1985", "1985-01-01T00:00:00"), ("1985-07", "1985-07-01T00:00:00"),
        ("2023-06-17T21:05", "2023-06-17T21:05:00"),
        ("2023:06:17 21:05:00Z", "2023-06-17T21:05:00+00:00"),
        ("2023-06-17T21:05:00.123+0530", "2023-06-17T21:05:00.123+05:30"),
        ("2023-06-17T21:05:00+99:00", "2023-06-17T21:05:00"), ("2023-02-30", None),
        ("0000:00:00 00:00:00", None), ("    :  :     :  :  ", None), ("9999-01-01", None),
        ("yesterday", None), ("", None), (None, None), (20230617, None),
    ],
)  # fmt: skip
def test_dates_are_normalized_or_dropped(written: object, expected: str | None) -> None:
    parsed = parse_date(written)
    assert (parsed and str(parsed)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2008/02/07 12:05:03", "2008-02-07T12:05:03"),
        ("2008.02.07 12.05.03", "2008-02-07T12:05:03"),
        ("2008,02,07 12:05:03", "2008-02-07T12:05:03"),
        ("2008:02:07, 12:05:03,45", "2008-02-07T12:05:03.450"),
        ("2008:02:07:12:05:03", "2008-02-07T12:05:03"),
        ("2008 02 07 12:05:03", "2008-02-07T12:05:03"),
        ("2008:2:7 9:5:3", "2008-02-07T09:05:03"),
        ("2008:02: 7  9: 5: 3", "2008-02-07T09:05:03"),
        ("20080207T120503", "2008-02-07T12:05:03"),
        ("20080207 120503+0200", "2008-02-07T12:05:03+02:00"),
        ("2008:02:07 01:05:03 PM", "2008-02-07T13:05:03"),
        ("2008:02:07 12:05:03 a.m.", "2008-02-07T00:05:03"),
        ("2008:02:07 12:05:03 CEST", "2008-02-07T12:05:03"),
        ("2008:02:07 12:05:03 UTC", "2008-02-07T12:05:03+00:00"),
        ("2008:02:07 12:05:03-08", "2008-02-07T12:05:03-08:00"),
        ("2008:02:07 12:05:03 GMT+02:00", "2008-02-07T12:05:03+02:00"),
        ("2008:02:07 12:05:03 UTC-5", "2008-02-07T12:05:03-05:00"),
        # Times without colons.
        ("2008:02:07 12-05-03", "2008-02-07T12:05:03"),
        ("2008:02:07 12 05 03+02:00", "2008-02-07T12:05:03+02:00"),
        ("2008-02-07_12-05-03", "2008-02-07T12:05:03"),
        ("2008.02.07. 12:05:03", "2008-02-07T12:05:03"),
        ("2008:02:07 120503.25", "2008-02-07T12:05:03.250"),
        ("2008-02-07 1205", "2008-02-07T12:05:00"),
        ("20080207-120503", "2008-02-07T12:05:03"),
        ("20080207_120503-0500", "2008-02-07T12:05:03-05:00"),
        ("20080207120503", "2008-02-07T12:05:03"),
        ("2008-02-07-0500", "2008-02-07T00:00:00"),
        (b"2008:02:07 12:05:03\0rest", "2008-02-07T12:05:03"),
        # A second of 60 keeps the day; an hour of 24 is the end of the day; others lose the time.
        ("2016:12:31 23:59:60", "2016-12-31T23:59:59"),
        ("2016:12:31 24:00:00", "2017-01-01T00:00:00"),
        ("2016:12:31 99:99:99", "2016-12-31T00:00:00"),
        # Zeros and blanks are unknown parts.
        ("1993:00:00 00:00:00", "1993-01-01T00:00:00"),
        ("2005:07:00 00:00:00", "2005-07-01T00:00:00"),
        ("1993:  :     :  :  ", "1993-01-01T00:00:00"),
        ("2008:02:07   :  :  ", "2008-02-07T00:00:00"),
        ("2008:02:07 12:05:  ", "2008-02-07T12:05:00"),
    ],
)  # fmt: skip
def test_dates_of_lax_writers_are_read(written: object, expected: str) -> None:
    assert str(parse_date(written)) == expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+02:00", "+02:00"), ("-0330", "-03:30"), ("+2", "+02:00"), (" +08:00\0", "+08:00"),
        ("Z", "+00:00"), (b"+01:00", "+01:00"), ("   :  ", ""), ("+15:00", ""), ("+02:99", ""),
        ("", ""), (None, ""), (2, ""),
    ],
)  # fmt: skip
def test_utc_offsets_are_read_or_dropped(offset: object, expected: str) -> None:
    assert str(parse_date("2023:06:17 21:05:00", offset)) == f"2023-06-17T21:05:00{expected}"


def test_a_date_without_time_has_no_utc_offset() -> None:
    """An offset shifts a time; a day has none."""
    assert str(parse_date("2023:06:17", "+02:00")) == "2023-06-17T00:00:00"


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        ("450", ".450"), ("45 ", ".450"), ("7", ".700"), ("0451239", ".045123"), ("000", ""),
        ("", ""), ("  ", ""), ("-1", ""), ("\u0664\u0665", ""), (b"78\0", ".780"), (None, ""),
    ],
)  # fmt: skip
def test_fractions_of_seconds_are_kept(fraction: object, expected: str) -> None:
    date = parse_date("2024:11:06 10:00:00", None, fraction)
    assert str(date) == f"2024-11-06T10:00:00{expected}"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # The second says more about the same moment.
        ("2026-05-15T13:19:37.000", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:37+08:00"),
        ("2026-05-15T13:19+01:00", "2026-05-15T13:19:37.25", "2026-05-15T13:19:37.250+01:00"),
        ("2026-05-15", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:37+08:00"),
        ("2026", "2026-05-15", "2026-05-15T00:00:00"),
        ("2026-05-15T05:19:37Z", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:37+08:00"),
        ("2026-05-15T13:19:37", "2026-05-15T13:19:37Z", "2026-05-15T13:19:37+00:00"),
        # The second says less.
        ("2026-05-15T13:19:37.5+08:00", "2026-05-15T13:19", "2026-05-15T13:19:37.500+08:00"),
        # The two differ.
        ("2026-05-15T13:19:38", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:38"),
        ("2026-05-15T13:19:37+01:00", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:37+01:00"),
        ("2026-05-15T13:19:37Z", "2026-05-15T13:19:37+08:00", "2026-05-15T13:19:37+00:00"),
        ("2026-05", "2027-05-01", "2026-05-01T00:00:00"),
    ],
)  # fmt: skip
def test_dates_of_one_moment_are_merged(first: str, second: str, expected: str) -> None:
    date = parse_date(first)
    assert date is not None
    assert str(date.complete_from(parse_date(second))) == expected
    assert date.complete_from(None) == date


@given(st.text(max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_any_text_is_parsed_or_dropped(value: str, offset: str, fraction: str) -> None:
    """No text raises an error, and each result is read back unchanged."""
    for text in (value, f"2023:06:17 {value}"):
        date = parse_date(text, offset, fraction)
        if date is not None:
            assert str(parse_date(str(date))) == str(date)
