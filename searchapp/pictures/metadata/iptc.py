"""IPTC's older form (IIM): what picture desks write. Source: IPTC-NAA IIM 4.2."""

from __future__ import annotations

from collections.abc import Iterator

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import Said

MOST = 1000  # data sets that are looked at


def read(block: bytes) -> Said:
    """Return what a block of data sets says; what is cut off or broken ends it."""
    values: dict[tuple[int, int], list[bytes]] = {}
    for number, (kind, value) in enumerate(_sets(block)):
        if number >= MOST:
            break
        values.setdefault(kind, []).append(value)

    def texts(number: int) -> list[str]:
        return [_decoded(value) for value in values.get((2, number), [])]

    def first(number: int) -> str:
        return next(iter(texts(number)), "")

    day, time = first(55), first(60)
    date = f"{day[:4]}-{day[4:6]}-{day[6:8]}".replace("-00", "")
    clock = f" {time[:2]}:{time[2:4]}:{time[4:6]}{time[6:11]}" if len(time) >= 6 else ""
    return Said(
        taken_at=sanitize.moment(date + clock) or sanitize.moment(date),
        keywords=sanitize.keywords(texts(25)),
        title=sanitize.text(first(5), sanitize.TITLE),
        description=sanitize.text(first(120), sanitize.DESCRIPTION),
    )


def _sets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        kind = block[at + 1], block[at + 2]
        size = int.from_bytes(block[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:  # the size of the size
            length = size & 0x7FFF
            if length > 4:
                return
            size = int.from_bytes(block[at : at + length], "big")
            at += length
        yield kind, block[at : at + size]
        at += size


def _decoded(value: bytes) -> str:
    """Return a text; few say that theirs is UTF-8, and many write it."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
