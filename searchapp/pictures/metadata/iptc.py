"""Parse IPTC IIM blocks: title, keywords, caption and date. Source: IPTC-NAA IIM 4.2."""

from __future__ import annotations

from collections.abc import Iterator

from searchapp.pictures.metadata import dates, sanitize
from searchapp.pictures.metadata.dates import PartialDate
from searchapp.pictures.metadata.sanitize import NO_METADATA, EmbeddedMetadata

MAX_DATA_SETS = 1000  # data sets to read from one block
CODED_CHARACTER_SET = (1, 90)
# Escape sequences of ISO 2022 that declare an encoding. Source: the ISO-IR register.
ENCODING_BY_ESCAPE = {b"%G": "utf-8", b"%/G": "utf-8", b"%/H": "utf-8", b"%/I": "utf-8"} | {
    intermediate + final: encoding
    for final, encoding in (
        (b"A", "cp1252"), (b"B", "iso8859-2"), (b"C", "iso8859-3"), (b"D", "iso8859-4"),
        (b"L", "iso8859-5"), (b"G", "iso8859-6"), (b"F", "iso8859-7"), (b"H", "iso8859-8"),
        (b"M", "iso8859-9"), (b"V", "iso8859-10"), (b"Y", "iso8859-13"), (b"_", "iso8859-14"),
        (b"b", "iso8859-15"), (b"f", "iso8859-16"),
    )
    for intermediate in (b"-", b".", b"/")
}  # fmt: skip


def parse_iptc(block: bytes) -> EmbeddedMetadata:
    """Return the metadata in an IPTC block; parsing ends at the first invalid data set."""
    if not block:
        return NO_METADATA
    values: dict[tuple[int, int], list[bytes]] = {}
    for number, (kind, value) in enumerate(_iter_data_sets(block)):
        if number >= MAX_DATA_SETS:
            break
        values.setdefault(kind, []).append(value)

    encoding = _read_encoding(values.get(CODED_CHARACTER_SET, [b""])[-1])

    def get_texts(number: int) -> list[str]:
        return [_decode_text(value, encoding) for value in values.get((2, number), [])]

    def get_first_text(number: int) -> str:
        return next(iter(get_texts(number)), "")

    return EmbeddedMetadata(
        taken_at=_parse_date(get_first_text(55), get_first_text(60)),
        created_at=_parse_date(get_first_text(62), get_first_text(63)),
        keywords=sanitize.clean_keywords(get_texts(25)),
        title=sanitize.clean_text(get_first_text(5), sanitize.MAX_TITLE_CHARS),
        description=sanitize.clean_text(get_first_text(120), sanitize.MAX_DESCRIPTION_CHARS),
    )


def _parse_date(day: str, time: str) -> PartialDate | None:
    return dates.parse_date(f"{day.strip()} {time.strip()}")


def _iter_data_sets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    offset = 0
    while offset + 5 <= len(block) and block[offset] == 0x1C:
        kind = block[offset + 1], block[offset + 2]
        size = int.from_bytes(block[offset + 3 : offset + 5], "big")
        offset += 5
        if size & 0x8000:  # An extended data set: the size of the size field comes first.
            length = size & 0x7FFF
            if length > 4:
                return
            size = int.from_bytes(block[offset : offset + length], "big")
            offset += length
        yield kind, block[offset : offset + size]
        offset += size


def _read_encoding(declaration: bytes) -> str | None:
    """Return the encoding that the data set CodedCharacterSet declares; None if it is unknown."""
    escapes = declaration.strip(b" \0").split(b"\x1b")
    return next(filter(None, map(ENCODING_BY_ESCAPE.get, escapes)), None)


def _decode_text(value: bytes, encoding: str | None) -> str:
    """Return the text of an IPTC value, also if its encoding is not declared or is wrong."""
    if encoding is not None and encoding not in ("utf-8", "cp1252"):
        return value.decode(encoding, "replace")
    return sanitize.decode_undeclared_text(value)
