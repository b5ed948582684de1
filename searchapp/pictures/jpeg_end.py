"""Tell complete JPEGs that lack only their end marker from truly truncated ones."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchapp.errors import PictureError
from searchapp.pictures import limits
from searchapp.pictures.jpeg_segments import (
    DRI,
    END_MARKER,
    RESTARTS,
    SOS,
    find_scan_end,
    read_segment,
)

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# libjpeg shows blocks that are missing before the end marker in the middle of the scale.
MISSING_LEVELS = (127, 128)
CORNER_PX = 2  # at the smallest scale, 1/8, two blocks of 8 pixels
PROGRESSIVE_FRAMES = (0xC2, 0xC6, 0xCA, 0xCE)
PROBE_BYTES = 512
COEFFICIENTS = 64  # of a block


@dataclass(frozen=True, slots=True)
class _Scans:
    """What the markers of a JPEG say about its scans."""

    end: int  # offset after the last byte that belongs to the picture
    count: int
    is_progressive: bool
    has_restarts: bool
    has_all_coefficients: bool


def complete_jpeg(data: bytes, max_megapixels: float) -> bytes | None:
    """Return a JPEG with its end marker and nothing behind it; None if it cannot be decoded.

    Raises PictureError, with what is missing, if the picture is truncated.

    A decoder ignores what follows the last block of a complete picture. So the picture is decoded
    twice, with different bytes added at its end: if a pixel differs, blocks are missing.
    """
    from PIL import ImageChops

    scans = _parse_scans(data)
    if scans is None:
        return None
    content = data[: scans.end].rstrip(b"\xff")  # half of a marker
    completed = content + END_MARKER
    shown = _decode(completed, max_megapixels)
    probe = content + _make_probe(scans.has_restarts) + END_MARKER
    probed = _decode(probe, max_megapixels)
    if shown is None or probed is None:
        return None
    different_box = ImageChops.difference(shown, probed).getbbox()
    if scans.is_progressive and (different_box or not scans.has_all_coefficients):
        raise PictureError(
            f"cannot be decoded: image file is truncated in or after scan {scans.count} of a "
            "progressive JPEG"
        )
    if different_box:
        percent = 100 * (shown.height - different_box[1]) / shown.height
        amount = f"{percent:.0f} %" if percent >= 1 else "less than 1 %"
        raise PictureError(
            f"cannot be decoded: image file is truncated: the lower {amount} of the picture is "
            "missing"
        )
    return completed if scans.has_all_coefficients else None


def check_last_blocks(image: Picture, data: bytes, max_megapixels: float) -> None:
    """Raise PictureError if a decoded JPEG lacks its last blocks, although it has an end marker.

    Tools that repair cut files append the marker. Decoders only warn, so the picture is decoded
    once more if its last corner is gray. Progressive JPEGs lose detail instead, and pass.
    """
    width, height = image.size
    corner = image.crop((max(0, width - CORNER_PX), max(0, height - CORNER_PX), width, height))
    extrema = np.ravel(corner.getextrema())  # lowest and highest value of each channel
    if not all(value in MISSING_LEVELS for value in extrema):
        return
    scans = _parse_scans(data)
    if scans is not None and not scans.is_progressive:
        complete_jpeg(data, max_megapixels)


def _decode(data: bytes, max_megapixels: float) -> Picture | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            limits.check_limits(image, data, max_megapixels)
            return image.copy()
    except PictureError:
        raise
    except Exception:  # Decoders raise many kinds of errors for broken files.
        return None


def _make_probe(has_restarts: bool) -> bytes:
    """Return bytes that change all blocks that are decoded from them.

    A decoder that waits for a restart marker skips all other bytes, so each one is there.
    """
    noise = np.random.default_rng(0).integers(0, 255, 9 * PROBE_BYTES, np.uint8).tobytes()
    parts = [noise[n : n + PROBE_BYTES] for n in range(0, len(noise), PROBE_BYTES)]
    if not has_restarts:
        return b"".join(parts)
    restarts = (bytes((0xFF, marker)) for marker in RESTARTS)
    return parts[0] + b"".join(m + part for m, part in zip(restarts, parts[1:], strict=True))


def _parse_scans(data: bytes) -> _Scans | None:
    """Find the end of the last scan of a JPEG; None if the file has no scan."""
    position, count, end = 2, 0, 0
    is_progressive = has_restarts = False
    components = 0
    # The coefficients that are complete, by component: their lowest bit was sent.
    complete: dict[int, NDArray[np.bool_]] = {}
    while (segment := read_segment(data, position, is_behind_scan=count > 0)) is not None:
        marker, content, position = segment
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(content) > 5:
            is_progressive, components = marker in PROGRESSIVE_FRAMES, content[5]
        elif marker == DRI:
            has_restarts = any(content)
        elif marker == SOS:
            count += 1
            _note_scan(content, complete)
            position = end = find_scan_end(data, position)
            if not is_progressive and len(complete) >= components:
                break  # Everything behind it is no part of the picture.
    if not count:
        return None
    has_all = len(complete) >= components and all(each.all() for each in complete.values())
    return _Scans(end, count, is_progressive, has_restarts, has_all)


def _note_scan(header: bytes, complete: dict[int, Any]) -> None:
    """Mark the coefficients whose lowest bit a scan sends (ITU-T T.81, B.2.3)."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count:
        return
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    for component in header[1 : 1 + 2 * count : 2]:
        known = complete.setdefault(component, np.zeros(COEFFICIENTS, bool))
        if not approximation & 15:
            known[first : last + 1] = True
