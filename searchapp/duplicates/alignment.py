"""Lay one small copy over another: find the part of the one that the other shows, and what is left.

What is looked for is a stretch and a shift of each axis, and a gain and an offset of the
brightness, by Gauss-Newton steps from coarse to fine (Lucas and Kanade, 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates.fingerprint import SIDE, Small

# Of each level: the side in pixels, the blur in such pixels, and how many steps are taken.
LEVELS = ((SIDE // 4, 0.8, 5), (SIDE // 2, 0.8, 4), (SIDE, 1.0, 3))
FINE, COARSE = 1.0, 2.5  # pixels: what is compared, and what is no detail
BLOCK = 6  # pixels
NOISE = 1.5  # grey levels that compression leaves
GAINS, OFFSET, LIGHT_STEPS, ODD = (0.5, 2.0), 80, 8, 2.0
NEARLY_WHITE = 200  # grey levels
FARTHEST = 0.3  # of the frame, that a window may lie outside

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fits:
    """How the others lie in the ones, [n] each; frames are from 0 to 1."""

    windows: Floats  # [n, 4]: left, top, width, height of the other in the one
    likeness: Floats  # correlation of what both show
    details: Floats  # correlation of its details alone
    apart: Floats  # the largest of all blocks: how many pixels it would have to move
    colours: Floats  # the largest difference of colour there is, in levels
    lit: Floats  # how much brighter the other is nearly everywhere: a share


Copies = tuple[Small, Small]  # luma, [n, SIDE, SIDE], and colours, [n, 2, COLOURS, COLOURS]


def fit(copies: Copies, others_copies: Copies, start: Floats, *, moving: bool = True) -> Fits:
    """Find the others in the ones, from windows, [n, 4], on; or only how much brighter they are."""
    (ones, colours), (others, others_colours) = copies, others_copies
    count = len(ones)
    place, gain = start.astype(np.float32), np.ones(count, np.float32)
    offset = np.zeros(count, np.float32)
    for side, sigma, steps in LEVELS if moving else ():
        one, other = (_blurred(_shrunk(x, side), sigma) for x in (ones, others))
        across, down = np.gradient(one, axis=2), np.gradient(one, axis=1)
        for _ in range(steps):
            place, gain, offset = _step(one, other, across, down, place, gain, offset)
    one, other = _blurred(ones, FINE), _blurred(others, FINE)
    if not moving:
        gain, offset = _light(one, other)
    shown = _sampled(one, place)
    seen = _lit(shown, gain, offset)
    # Of what is partly white, that part became no brighter.
    bright = (seen > NEARLY_WHITE) & (seen > shown)
    partly = np.where(bright, np.clip(other, shown, seen), seen)
    detail = [x - _blurred(x, COARSE) for x in (seen, other)]
    tints = np.stack([_sampled(_blurred(colours[:, n], FINE), place) for n in (0, 1)], axis=1)
    tinted = 128 + gain[:, None, None, None] * (tints - 128)
    blurred = np.stack([_blurred(others_colours[:, n], FINE) for n in (0, 1)], axis=1)
    return Fits(
        place,
        _correlation(seen, other),
        _correlation(*detail),
        _apart(partly, other),
        np.abs(tinted - blurred).max(axis=(1, 2, 3)),
        np.median((other + 2) / (shown + 2), axis=(1, 2)) - 1,
    )


def _lit(images: Small, gain: Floats, offset: Floats) -> Small:
    """Return images made brighter; what is beyond white or black is lost."""
    lit: Small = np.clip(gain[:, None, None] * images + offset[:, None, None], 0, 255)
    return lit


def rough_likeness(ones: Small, others: Small) -> Floats:
    """Return how alike pictures are, [n], when one sees hardly anything of them."""
    side, sigma, _ = LEVELS[0]
    return _correlation(*(_blurred(_shrunk(x, side), sigma) for x in (ones, others)))


def _apart(one: Small, other: Small) -> Floats:
    """Return by how many pixels the block that differs most would have to move, at least.

    What differs, over how steep the brightness is there, is a way: what compression and
    resampling do is a small part of a pixel everywhere, what has moved or come is not.
    """
    steep = sum(np.gradient(x, axis=axis) ** 2 for x in (one, other) for axis in (1, 2)) / 2
    differ, steep = ((_blocks(x)) for x in ((one - other) ** 2, steep))
    ways = np.sqrt(differ) / (NOISE + np.sqrt(steep))
    found: Floats = ways.max(axis=(1, 2))
    return found


def _blocks(values: Small) -> Small:
    """Return the means of blocks, which overlap by half."""
    half = BLOCK // 2
    cells = values.reshape(len(values), SIDE // half, half, SIDE // half, half).mean((2, 4))
    found: Small = (
        cells[:, 1:, 1:] + cells[:, :-1, 1:] + cells[:, 1:, :-1] + cells[:, :-1, :-1]
    ) / 4
    return found


def _step(
    one: Small, other: Small, across: Small, down: Small, place: Floats, gain: Floats,
    offset: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Move the windows one step nearer."""
    side = one.shape[1]
    seen = _sampled(one, place)
    x, y = (_sampled(g, place) * (gain[:, None, None] * side) for g in (across, down))
    at = ((np.arange(side) + 0.5) / side).astype(np.float32)
    lit = _lit(seen, gain, offset)
    columns = [x, y, x * at[None, None, :], y * at[None, :, None], seen, np.ones_like(seen)]
    jacobian = np.stack(columns, axis=1)
    jacobian *= ((lit > 0) & (lit < 255))[:, None]
    jacobian = jacobian.reshape(len(one), 6, -1)
    left = (other - lit).reshape(len(one), -1, 1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    normal += 1e-3 * np.eye(6, dtype=np.float32) * normal.diagonal(axis1=1, axis2=2)[:, None, :]
    normal += 1e-3 * np.eye(6, dtype=np.float32)
    change = np.linalg.solve(normal, jacobian @ left)[:, :, 0].astype(np.float32)
    moved = place + np.clip(change[:, :4], -0.05, 0.05)
    moved[:, :2] = np.clip(moved[:, :2], -FARTHEST, FARTHEST)
    moved[:, 2:] = np.clip(moved[:, 2:], 1 - FARTHEST, 1 / (1 - FARTHEST))
    return (
        moved,
        np.clip(gain + change[:, 4], *GAINS),
        np.clip(offset + change[:, 5], -OFFSET, OFFSET),
    )


def _light(one: Small, other: Small) -> tuple[Floats, Floats]:
    """Return the gains and offsets, [n], that bring the ones nearest to the others."""
    gain, offset = np.ones(len(one), np.float32), np.zeros(len(one), np.float32)
    for _ in range(LIGHT_STEPS):
        lit = _lit(one, gain, offset)
        # What differs more, and so may be another thing, counts less.
        counts = ((lit > 0) & (lit < 255)) / (1 + np.abs(other - lit) / ODD)
        total = np.maximum(counts.sum((1, 2)), 1)
        x, y = ((counts * image).sum((1, 2)) / total for image in (one, other))
        apart = counts * (one - x[:, None, None])
        rise = (apart * other).sum((1, 2)) / np.maximum((apart * one).sum((1, 2)), 1)
        gain = np.clip(rise, *GAINS).astype(np.float32)
        offset = np.clip(y - gain * x, -OFFSET, OFFSET).astype(np.float32)
    return gain, offset


def _sampled(images: Small, place: Floats) -> Small:
    """Return what windows of images show, as large again, between pixels by straight lines."""
    side = images.shape[1]
    at, cells = (np.arange(side) + 0.5) / side, np.arange(side, dtype=np.float32)

    def weights(start: Floats, size: Floats) -> Floats:
        where = side * (start[:, None] + size[:, None] * at[None, :]) - 0.5
        where = np.clip(where, 0, side - 1).astype(np.float32)
        found: Floats = np.maximum(0, 1 - np.abs(where[:, :, None] - cells))
        return found

    across, down = weights(place[:, 0], place[:, 2]), weights(place[:, 1], place[:, 3])
    sampled: Small = (down @ images @ across.transpose(0, 2, 1)).astype(np.float32, copy=False)
    return sampled


def _shrunk(images: Small, side: int) -> Small:
    part = images.shape[1] // side
    if part == 1:
        return images
    shrunk: Small = images.reshape(len(images), side, part, side, part).mean((2, 4))
    return shrunk


@cache
def _kernel(side: int, sigma: float) -> Floats:
    at = np.arange(side)
    kernel = np.exp(-0.5 * ((at[:, None] - at[None, :]) / sigma) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    result: Floats = kernel.astype(np.float32)
    return result


def _blurred(images: Small, sigma: float) -> Small:
    kernel = _kernel(images.shape[1], sigma)
    blurred: Small = (kernel @ images @ kernel.T).astype(np.float32, copy=False)
    return blurred


def _correlation(one: Small, other: Small) -> Floats:
    one = one - one.mean(axis=(1, 2), keepdims=True)
    other = other - other.mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt((one**2).sum((1, 2)) * (other**2).sum((1, 2)))
    found: Floats = (one * other).sum((1, 2)) / np.maximum(lengths, 1e-6)
    return found
