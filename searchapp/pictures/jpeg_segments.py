"""Read the segments of a JPEG, and find the end of its scans (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

import numpy as np

EOI, SOS, DRI = 0xD9, 0xDA, 0xDD
RESTARTS = range(0xD0, 0xD8)
END_MARKER = bytes((0xFF, EOI))
# Markers of segments that can follow a scan: DHT, SOS, DQT, DNL, DRI, APPn, COM.
SEGMENTS_BEHIND_SCAN = {0xC4, SOS, 0xDB, 0xDC, DRI, *range(0xE0, 0xF0), 0xFE}
# In entropy-coded data, FF 00 is a byte of data, FF FF fills, and FF D0 to FF D7 are restarts.
RESTART_PATTERN = re.compile(rb"\xff[\xd0-\xd7]")
MARKER_PATTERN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
CHUNK_BYTES = 1 << 18  # of entropy-coded data, to look through at once


def read_segment(
    data: bytes, position: int, *, is_behind_scan: bool = False
) -> tuple[int, bytes, int] | None:
    """Return a segment at a position: marker, content, and end; None if there is none."""
    while data[position : position + 2] == b"\xff\xff":  # fill bytes
        position += 1
    head = data[position : position + 4]
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if is_behind_scan and head[1] not in SEGMENTS_BEHIND_SCAN:
        return None
    length = int.from_bytes(head[2:], "big")
    end = position + 2 + length
    if length < 2 or end > len(data):
        return None
    return head[1], data[position + 4 : end], end


def find_scan_end(data: bytes, position: int) -> int:
    """Return the offset of the marker that ends the entropy-coded data at a position.

    Return the size of the data if no marker ends it.
    """
    found = MARKER_PATTERN.search(data, position)
    return found.start() if found else len(data)


def find_marker_or_restart(data: bytes, position: int) -> int:
    """Return the offset of the first marker in or behind entropy-coded data, as find_scan_end.

    It takes a quarter of the time of find_scan_end, and other threads can run Python meanwhile.
    """
    values, last = np.frombuffer(data, np.uint8), len(data) - 1
    while position < last:
        end = min(last, position + CHUNK_BYTES)
        is_marker = values[position:end] == 0xFF
        # The next byte is neither 00 nor FF. Minus 1, these are the highest two values: FF and FE.
        is_marker &= values[position + 1 : end + 1] - np.uint8(1) < 0xFE
        if is_marker[found := int(is_marker.argmax())]:
            return position + found
        position = end
    return len(data)


def count_restarts(data: bytes, start: int, end: int) -> int:
    """Return the number of restart markers in entropy-coded data."""
    return len(RESTART_PATTERN.findall(data, start, end))
