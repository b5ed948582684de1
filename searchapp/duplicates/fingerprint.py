"""Compute the fingerprint of a picture: a small copy of 48 x 48 pixels, and a perceptual hash.

A picture with a border has both twice: of all that it shows, and of its content.

The hash is the signs of the lowest 8 x 8 coefficients of a cosine transform (DCT), as in pHash.
Rotating by 90° or mirroring only swaps and negates coefficients. So one stored hash gives the
hashes of all 8 orientations, bit for bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates.borders import Box, find_content

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

COPY_SIDE_PX = 48  # of the small copy's luma; the picture is squashed to a square
COLOR_SIDE_PX = 16  # of the small copy's color channels
COPY_BYTES = COPY_SIDE_PX * COPY_SIDE_PX + 2 * COLOR_SIDE_PX * COLOR_SIDE_PX
MIN_DECODE_SIDE_PX = 4 * COPY_SIDE_PX  # JPEG can be decoded at a reduced size, at least this one
HASH_SIDE = 8  # the hash has 8 x 8 bits

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
SmallImages = NDArray[np.float32]

FINGERPRINT_VERSION = 3  # stored with each fingerprint; others are computed again
# Stored after the small copy: number of frames; then, of a picture with a border, the box of its
# content and a small copy of the content.
TRAILER = struct.Struct("<I")
CONTENT_BOX = struct.Struct("<4f")

# The 8 orientations of a picture, as operations on an array [..., rows, columns]:
# (swap rows and columns, reverse the rows, reverse the columns), 0 or 1 each.
TURNS = tuple((swap, rows, columns) for swap in (0, 1) for rows in (0, 1) for columns in (0, 1))
# The turn that undoes each of them: rotations by 90° and by 270° undo each other.
INVERSE_TURNS = (0, 1, 2, 3, 4, 6, 5, 7)
TURN_NAMES = (
    "", "mirrored", "mirrored", "rotated by 180°",
    "mirrored and rotated", "rotated by 90°", "rotated by 270°", "mirrored and rotated",
)  # fmt: skip


def compute_fingerprint(image: Picture, frame_count: int) -> bytes:
    """Return the fingerprint of an upright RGB picture, without its hash."""
    # A border is looked for in a small picture, which is faster; the inspection finds its edge.
    content = find_content(image.reduce(max(1, min(image.size) // MIN_DECODE_SIDE_PX)))
    parts = [make_small_copy(image), TRAILER.pack(frame_count)]
    if content is not None:
        parts += [CONTENT_BOX.pack(*content), make_small_copy(content.crop(image))]
    return b"".join(parts)


def make_small_copy(image: Picture) -> bytes:
    """Return the small copy of an RGB picture, COPY_BYTES bytes: luma, Cb, then Cr."""
    from PIL import Image

    small = image.resize((COPY_SIDE_PX, COPY_SIDE_PX), Image.Resampling.BILINEAR).convert("YCbCr")
    luma, *colors = small.split()
    parts = [
        luma,
        *(c.resize((COLOR_SIDE_PX, COLOR_SIDE_PX), Image.Resampling.BOX) for c in colors),
    ]
    return b"".join(part.tobytes() for part in parts)


def count_frames(fingerprints: Sequence[bytes]) -> NDArray[np.int64]:
    """Return the number of frames of each picture, [n]."""
    counts = (TRAILER.unpack_from(blob, COPY_BYTES)[0] for blob in fingerprints)
    return np.fromiter(counts, np.int64, len(fingerprints))


def unpack_content(fingerprint: bytes) -> tuple[Box, bytes] | None:
    """Return the content box and its small copy; None if the picture has no border."""
    start = COPY_BYTES + TRAILER.size
    if len(fingerprint) == start:
        return None
    box = Box(*CONTENT_BOX.unpack_from(fingerprint, start))
    return box, fingerprint[start + CONTENT_BOX.size :]


def unpack_copies(blobs: Sequence[bytes]) -> tuple[SmallImages, SmallImages]:
    """Return the luma and the color channels (Cb, Cr) of small copies, or of fingerprints.

    Shapes: [n, COPY_SIDE_PX, COPY_SIDE_PX] and [n, 2, COLOR_SIDE_PX, COLOR_SIDE_PX].
    """
    copies = np.frombuffer(b"".join(blob[:COPY_BYTES] for blob in blobs), np.uint8)
    values = copies.reshape(-1, COPY_BYTES).astype(np.float32)
    luma, colors = np.split(values, [COPY_SIDE_PX * COPY_SIDE_PX], axis=1)
    return luma.reshape(-1, COPY_SIDE_PX, COPY_SIDE_PX), colors.reshape(
        -1, 2, COLOR_SIDE_PX, COLOR_SIDE_PX
    )


def turn_arrays(arrays: SmallImages, turn: int) -> SmallImages:
    """Return arrays, [..., side, side], rotated and mirrored by TURNS[turn]."""
    swap, rows, columns = TURNS[turn]
    arrays = np.swapaxes(arrays, -1, -2) if swap else arrays
    return arrays[..., :: -1 if rows else 1, :: -1 if columns else 1]


@cache
def _compute_cosines() -> SmallImages:
    """Return the cosine factors of the DCT, [HASH_SIDE, COPY_SIDE_PX]."""
    positions = (np.arange(COPY_SIDE_PX) + 0.5) * np.pi / COPY_SIDE_PX
    return np.cos(np.arange(HASH_SIDE)[:, None] * positions[None, :]).astype(np.float32)


def compute_coefficients(luma: SmallImages) -> SmallImages:
    """Return the DCT coefficients with the lowest frequencies, [n, HASH_SIDE, HASH_SIDE]."""
    cosines = _compute_cosines()
    coefficients: SmallImages = (cosines @ luma @ cosines.T).astype(np.float32)
    return coefficients


def compute_hashes(coefficients: SmallImages) -> Hashes:
    """Return n hashes: bit 8 * row + column is 1 if coefficients[:, row, column] is above 0."""
    bits = (coefficients > 0).reshape(-1, HASH_SIDE * HASH_SIDE)
    bits[:, 0] = False  # the mean brightness says nothing about the picture
    return np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64)


def count_differing_bits(one: Hashes, other: Hashes) -> NDArray[np.uint8]:
    """Return the Hamming distances between hashes, [n]."""
    parts = (one ^ other)[:, None].view(np.uint16)
    counts: NDArray[np.uint8] = _count_set_bits()[parts].sum(axis=1, dtype=np.uint8)
    return counts


def turn_hashes(hashes: Hashes, turn: int) -> Hashes:
    """Return the hashes that the pictures have when rotated and mirrored by TURNS[turn]."""
    if turn == 0:
        return hashes
    swap, rows, columns = TURNS[turn]
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1, bitorder="little")
    signs = bits.reshape(-1, HASH_SIDE, HASH_SIDE).astype(bool)
    signs = np.swapaxes(signs, 1, 2) if swap else signs.copy()
    # Reversing an axis negates the odd coefficients along it.
    if rows:
        signs[:, 1::2, :] ^= True
    if columns:
        signs[:, :, 1::2] ^= True
    signs[:, 0, 0] = False
    flat = signs.reshape(-1, HASH_SIDE * HASH_SIDE)
    packed = np.packbits(flat, axis=1, bitorder="little").view("<u8")
    result: Hashes = packed[:, 0].astype(np.uint64)
    return result


@cache
def _count_set_bits() -> NDArray[np.uint8]:
    """Return the number of set bits for each 16-bit number, [65536]."""
    numbers = np.arange(1 << 16, dtype=np.uint16)[:, None].view(np.uint8)
    ones: NDArray[np.uint8] = np.unpackbits(numbers, axis=1).sum(axis=1, dtype=np.uint8)
    return ones
