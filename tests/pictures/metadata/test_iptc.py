"""IPTC: texts in declared and undeclared encodings, and dates with unknown parts."""

from __future__ import annotations

import struct

import pytest

from searchapp.pictures.metadata.iptc import parse_iptc


def make_data_set(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


@pytest.mark.parametrize(
    ("escape", "encoding", "text"),
    [
        (b"", "utf-8", "\u00e9lan"), (b"", "cp1252", "It\u2019s \u201cfine\u201d \u20ac5"),
        (b"", "latin-1", "Z\u00fcrich"), (b"\x1b%G", "utf-8", "\u65e5\u672c"),
        (b"\x1b%G", "cp1252", "Z\u00fcrich"), (b"\x1b%/I", "utf-8", "\u00e9lan"),
        (b"\x1b.A", "latin-1", "Z\u00fcrich"), (b"\x1b-A", "latin-1", "Z\u00fcrich"),
        (b"\x1b-B", "iso8859-2", "\u0141\u00f3d\u017a"),
        (b"\x1b-L", "iso8859-5", "\u041c\u0438\u0440"),
        (b"\x1b(B\x1b-F", "iso8859-7", "\u0391\u03b8\u03ae\u03bd\u03b1"),
        (b"\x1b?", "cp1252", "Z\u00fcrich"),
    ],
)  # fmt: skip
def test_texts_are_read_in_their_encoding(escape: bytes, encoding: str, text: str) -> None:
    """Without a declaration, a text is UTF-8 if it is valid, else Windows-1252."""
    block = make_data_set(1, 90, escape) if escape else b""
    block += make_data_set(2, 25, text.encode(encoding)) + make_data_set(2, 120, b"plain")
    parsed = parse_iptc(block)
    assert (parsed.keywords, parsed.description) == ((text,), "plain")


def test_bytes_that_windows_leaves_undefined_do_no_harm() -> None:
    parsed = parse_iptc(make_data_set(2, 25, b"a\x81\x92b"))
    assert parsed.keywords == ("a\u2019b",)


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [
        (b"20230617", b"210500+0200", "2023-06-17T21:05:00+02:00"),
        (b"20230617", b"210500", "2023-06-17T21:05:00"), (b"20230617", b"", "2023-06-17T00:00:00"),
        (b"20230600", b"", "2023-06-01T00:00:00"), (b"19930000", b"000000", "1993-01-01T00:00:00"),
        (b"2023-06-17", b"21:05:00", "2023-06-17T21:05:00"),
        (b"20230617", b"999999", "2023-06-17T00:00:00"), (b"00000000", b"000000+0000", None),
    ],
)  # fmt: skip
def test_dates_may_have_unknown_parts(day: bytes, time: bytes, expected: str | None) -> None:
    parsed = parse_iptc(make_data_set(2, 55, day) + make_data_set(2, 60, time))
    assert (parsed.taken_at and str(parsed.taken_at)) == expected
    scanned = parse_iptc(make_data_set(2, 62, day) + make_data_set(2, 63, time))
    assert scanned.taken_at is None
    assert (scanned.created_at and str(scanned.created_at)) == expected
