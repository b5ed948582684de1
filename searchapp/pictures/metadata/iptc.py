"""Parse IPTC IIM blocks: title, keywords, caption and date. Source: IPTC-NAA IIM 4.2."""

from __future__ import annotations

from collections.abc import Iterator

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

MAX_DATA_SETS = 1000  # data sets to read from one block


def parse_iptc(block: bytes) -> EmbeddedMetadata:
    """Return the metadata in an IPTC block; parsing ends at the first invalid data set."""
    values: dict[tuple[int, int], list[bytes]] = {}
    for number, (kind, value) in enumerate(_iter_data_sets(block)):
        if number >= MAX_DATA_SETS:
            break
        values.setdefault(kind, []).append(value)

    def get_texts(number: int) -> list[str]:
        return [_decode_text(value) for value in values.get((2, number), [])]

    def get_first_text(number: int) -> str:
        return next(iter(get_texts(number)), "")

    day, time = get_first_text(55), get_first_text(60)
    date = f"{day[:4]}-{day[4:6]}-{day[6:8]}".replace("-00", "")
    clock = f" {time[:2]}:{time[2:4]}:{time[4:6]}{time[6:11]}" if len(time) >= 6 else ""
    return EmbeddedMetadata(
        taken_at=sanitize.normalize_date(date + clock) or sanitize.normalize_date(date),
        keywords=sanitize.clean_keywords(get_texts(25)),
        title=sanitize.clean_text(get_first_text(5), sanitize.MAX_TITLE_CHARS),
        description=sanitize.clean_text(get_first_text(120), sanitize.MAX_DESCRIPTION_CHARS),
    )


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


def _decode_text(value: bytes) -> str:
    """Return the text of an IPTC value.

    Many programs write UTF-8, but few of them declare it.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
