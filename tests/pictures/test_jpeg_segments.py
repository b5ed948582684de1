"""Markers are found in entropy-coded data, also at the borders of the parts that are searched."""

from __future__ import annotations

import re

import numpy as np
import pytest

from searchapp.pictures import jpeg_segments
from searchapp.pictures.jpeg_segments import END_MARKER, find_marker_or_restart


def make_scan(size: int, seed: int) -> bytes:
    """Return random entropy-coded data: FF 00 and FF FF are no markers."""
    values = np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()
    return re.sub(rb"\xff.", b"\xff\x00", values, flags=re.DOTALL).replace(b"\x11", b"\xff\xff\x00")


@pytest.mark.parametrize("chunk_bytes", [1, 7, 64, 1 << 17])
def test_the_first_marker_is_found(monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> None:
    monkeypatch.setattr(jpeg_segments, "CHUNK_BYTES", chunk_bytes)
    for seed in range(8):
        scan = make_scan(500 + seed, seed)
        start = seed * 3
        for marker in (b"\xff\xd9", b"\xff\xd0", b"\xff\xc4", b"\xff\xfe", b"\xff\x01"):
            data = scan + marker + scan + END_MARKER
            assert find_marker_or_restart(data, start) == len(scan), (seed, marker)
        assert find_marker_or_restart(scan + b"\0", start) == len(scan) + 1
        assert find_marker_or_restart(scan + b"\xff", start) == len(scan) + 1
    assert find_marker_or_restart(b"", 0) == 0
    assert find_marker_or_restart(b"\xff\xd9", 5) == 2
