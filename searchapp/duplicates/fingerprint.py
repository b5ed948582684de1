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

SIDE = 48  # pixels of the small copy, squashed to a square
COLOURS = 16  # pixels a side of its colours
BYTES = SIDE * SIDE + 2 * COLOURS * COLOURS
ENOUGH = 4 * SIDE  # pixels that a JPEG is decoded to at least
WAVES = 8  # a side: the coefficients whose signs are kept

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Small = NDArray[np.float32]

# The eight turns, as steps of an array [..., rows, columns]: (swap both, reverse rows, columns).
KIND = 1  # this way of making them
TURNS = tuple((swap, rows, columns) for swap in (0, 1) for rows in (0, 1) for columns in (0, 1))
NAMES = (
    "", "mirrored", "mirrored", "turned by 180°",
    "mirrored and turned", "turned by 90°", "turned by 270°", "mirrored and turned",
)  # fmt: skip


def fingerprint(image: Picture) -> bytes:
    """Return the small copy of an upright RGB picture: luma, then the colours, BYTES bytes."""
    from PIL import Image

    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("YCbCr")
    luma, *colours = small.split()
    parts = [luma, *(c.resize((COLOURS, COLOURS), Image.Resampling.BOX) for c in colours)]
    return b"".join(part.tobytes() for part in parts)


def pixel_hash(image: Picture) -> str:
    """Return the SHA-256 of a picture's size and pixels, in hexadecimal."""
    digest = hashlib.sha256(f"{image.width}x{image.height} {image.mode} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def unpack(blobs: list[bytes]) -> tuple[Small, Small]:
    """Return the luma, [n, SIDE, SIDE], and the colours, [n, 2, COLOURS, COLOURS], of copies."""
    whole = np.frombuffer(b"".join(blobs), np.uint8).reshape(-1, BYTES).astype(np.float32)
    luma, colours = np.split(whole, [SIDE * SIDE], axis=1)
    return luma.reshape(-1, SIDE, SIDE), colours.reshape(-1, 2, COLOURS, COLOURS)


def turn(arrays: Small, number: int) -> Small:
    """Turn arrays, [..., side, side], the way of TURNS."""
    swap, rows, columns = TURNS[number]
    arrays = np.swapaxes(arrays, -1, -2) if swap else arrays
    return arrays[..., :: -1 if rows else 1, :: -1 if columns else 1]


@cache
def _waves() -> Small:
    """Return the cosines, [WAVES, SIDE]."""
    at = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    return np.cos(np.arange(WAVES)[:, None] * at[None, :]).astype(np.float32)


def coefficients(luma: Small) -> Small:
    """Return the coarsest waves of small copies, [n, WAVES, WAVES]."""
    waves = _waves()
    found: Small = (waves @ luma @ waves.T).astype(np.float32)
    return found


def hashes(coefficients: Small) -> Hashes:
    """Return the hashes, [n], of coefficients: bit 8 row + column is set where one is above 0."""
    bits = (coefficients > 0).reshape(-1, WAVES * WAVES)
    bits[:, 0] = False  # the brightness
    return np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64)


def differing(one: Hashes, other: Hashes) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ."""
    parts = (one ^ other)[:, None].view(np.uint16)
    counts: NDArray[np.uint8] = _ones()[parts].sum(axis=1, dtype=np.uint8)
    return counts


def turned(hashes: Hashes, number: int) -> Hashes:
    """Return the hashes of the pictures turned the way of TURNS."""
    if number == 0:
        return hashes
    swap, rows, columns = TURNS[number]
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1, bitorder="little")
    signs = bits.reshape(-1, WAVES, WAVES).astype(bool)
    signs = np.swapaxes(signs, 1, 2) if swap else signs.copy()
    # A wave of an odd number is negated when its axis is reversed.
    if rows:
        signs[:, 1::2, :] ^= True
    if columns:
        signs[:, :, 1::2] ^= True
    signs[:, 0, 0] = False
    flat = signs.reshape(-1, WAVES * WAVES)
    packed = np.packbits(flat, axis=1, bitorder="little").view("<u8")
    result: Hashes = packed[:, 0].astype(np.uint64)
    return result


@cache
def _ones() -> NDArray[np.uint8]:
    """Return how many bits are set in each number of 16 bits."""
    numbers = np.arange(1 << 16, dtype=np.uint16)[:, None].view(np.uint8)
    ones: NDArray[np.uint8] = np.unpackbits(numbers, axis=1).sum(axis=1, dtype=np.uint8)
    return ones
