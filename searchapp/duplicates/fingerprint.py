"""A picture's fingerprint: a small upright copy of it, and a hash of its coarsest waves.

The hash is the signs of the lowest 8 x 8 coefficients of a cosine transform, as in pHash. Of the
eight ways to turn and mirror a picture each only swaps and negates coefficients, so that one stored
hash gives all eight, bit for bit.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

COPY_SIDE_PX = 48  # pixels of the small copy, squashed to a square
COLOR_SIDE_PX = 16  # pixels a side of its colours
COPY_BYTES = COPY_SIDE_PX * COPY_SIDE_PX + 2 * COLOR_SIDE_PX * COLOR_SIDE_PX
MIN_DECODE_SIDE_PX = 4 * COPY_SIDE_PX  # pixels that a JPEG is decoded to at least
HASH_SIDE = 8  # a side: the coefficients whose signs are kept

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
SmallImages = NDArray[np.float32]

# The eight turns, as steps of an array [..., rows, columns]: (swap both, reverse rows, columns).
FINGERPRINT_VERSION = 1  # this way of making them
TURNS = tuple((swap, rows, columns) for swap in (0, 1) for rows in (0, 1) for columns in (0, 1))
TURN_NAMES = (
    "", "mirrored", "mirrored", "turned by 180°",
    "mirrored and turned", "turned by 90°", "turned by 270°", "mirrored and turned",
)  # fmt: skip


def compute_fingerprint(image: Picture) -> bytes:
    """Return the small copy of an upright RGB picture: luma, then the colours, BYTES bytes."""
    from PIL import Image

    small = image.resize((COPY_SIDE_PX, COPY_SIDE_PX), Image.Resampling.BILINEAR).convert("YCbCr")
    luma, *colours = small.split()
    parts = [
        luma,
        *(c.resize((COLOR_SIDE_PX, COLOR_SIDE_PX), Image.Resampling.BOX) for c in colours),
    ]
    return b"".join(part.tobytes() for part in parts)


def compute_pixel_hash(image: Picture) -> str:
    """Return the SHA-256 of a picture's size and pixels, in hexadecimal."""
    digest = hashlib.sha256(f"{image.width}x{image.height} {image.mode} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def unpack_copies(blobs: list[bytes]) -> tuple[SmallImages, SmallImages]:
    """Return the luma, [n, SIDE, SIDE], and the colours, [n, 2, COLOURS, COLOURS], of copies."""
    copies = np.frombuffer(b"".join(blobs), np.uint8).reshape(-1, COPY_BYTES).astype(np.float32)
    luma, colours = np.split(copies, [COPY_SIDE_PX * COPY_SIDE_PX], axis=1)
    return luma.reshape(-1, COPY_SIDE_PX, COPY_SIDE_PX), colours.reshape(
        -1, 2, COLOR_SIDE_PX, COLOR_SIDE_PX
    )


def turn_arrays(arrays: SmallImages, number: int) -> SmallImages:
    """Turn arrays, [..., side, side], the way of TURNS."""
    swap, rows, columns = TURNS[number]
    arrays = np.swapaxes(arrays, -1, -2) if swap else arrays
    return arrays[..., :: -1 if rows else 1, :: -1 if columns else 1]


@cache
def _compute_cosines() -> SmallImages:
    """Return the cosines, [WAVES, SIDE]."""
    positions = (np.arange(COPY_SIDE_PX) + 0.5) * np.pi / COPY_SIDE_PX
    return np.cos(np.arange(HASH_SIDE)[:, None] * positions[None, :]).astype(np.float32)


def compute_coefficients(luma: SmallImages) -> SmallImages:
    """Return the coarsest waves of small copies, [n, WAVES, WAVES]."""
    waves = _compute_cosines()
    found: SmallImages = (waves @ luma @ waves.T).astype(np.float32)
    return found


def compute_hashes(coefficients: SmallImages) -> Hashes:
    """Return the hashes, [n], of coefficients: bit 8 row + column is set where one is above 0."""
    bits = (coefficients > 0).reshape(-1, HASH_SIDE * HASH_SIDE)
    bits[:, 0] = False  # the brightness
    return np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64)


def count_differing_bits(one: Hashes, other: Hashes) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ."""
    parts = (one ^ other)[:, None].view(np.uint16)
    counts: NDArray[np.uint8] = _count_set_bits()[parts].sum(axis=1, dtype=np.uint8)
    return counts


def turn_hashes(hashes: Hashes, number: int) -> Hashes:
    """Return the hashes of the pictures turned the way of TURNS."""
    if number == 0:
        return hashes
    swap, rows, columns = TURNS[number]
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1, bitorder="little")
    signs = bits.reshape(-1, HASH_SIDE, HASH_SIDE).astype(bool)
    signs = np.swapaxes(signs, 1, 2) if swap else signs.copy()
    # A wave of an odd number is negated when its axis is reversed.
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
    """Return how many bits are set in each number of 16 bits."""
    numbers = np.arange(1 << 16, dtype=np.uint16)[:, None].view(np.uint8)
    ones: NDArray[np.uint8] = np.unpackbits(numbers, axis=1).sum(axis=1, dtype=np.uint8)
    return ones
