"""Lay one small copy over another: find the part of the one that the other shows, and what is left.

What is looked for is a stretch and a shift of each axis, and a gain and an offset of the
brightness, by Gauss-Newton steps from coarse to fine (Lucas and Kanade, 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates.fingerprint import COPY_SIDE_PX, SmallImages

# Of each level: the side in pixels, the blur in such pixels, and how many steps are taken.
PYRAMID_LEVELS = ((COPY_SIDE_PX // 4, 0.8, 5), (COPY_SIDE_PX // 2, 0.8, 4), (COPY_SIDE_PX, 1.0, 3))
FINE_BLUR_PX, COARSE_BLUR_PX = 1.0, 2.5  # pixels: what is compared, and what is no detail
BLOCK_SIDE_PX = 6  # pixels
COMPRESSION_NOISE_LEVELS = 1.5  # grey levels that compression leaves
GAIN_RANGE, MAX_OFFSET_LEVELS, BRIGHTNESS_STEPS, OUTLIER_LEVELS = (0.5, 2.0), 80, 8, 2.0
NEARLY_WHITE_LEVEL = 200  # grey levels
MAX_OUTSIDE_SHARE = 0.3  # of the frame, that a window may lie outside

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alignments:
    """How the others lie in the ones, [n] each; frames are from 0 to 1."""

    windows: Floats  # [n, 4]: left, top, width, height of the other in the one
    correlation: Floats  # correlation of what both show
    detail_correlation: Floats  # correlation of its details alone
    max_shift_px: Floats  # the largest of all blocks: how many pixels it would have to move
    max_color_difference: Floats  # the largest difference of colour there is, in levels
    brightness_gain: Floats  # how much brighter the other is nearly everywhere: a share


Copies = tuple[
    SmallImages, SmallImages
]  # luma, [n, SIDE, SIDE], and colours, [n, 2, COLOURS, COLOURS]


def align_copies(
    copies: Copies, others_copies: Copies, start: Floats, *, can_shift: bool = True
) -> Alignments:
    """Find the others in the ones, from windows, [n, 4], on; or only how much brighter they are."""
    (ones, ones_colors), (others, others_colors) = copies, others_copies
    count = len(ones)
    windows, gain = start.astype(np.float32), np.ones(count, np.float32)
    offset = np.zeros(count, np.float32)
    for side, sigma, steps in PYRAMID_LEVELS if can_shift else ():
        one, other = (_blur_images(_shrink_images(x, side), sigma) for x in (ones, others))
        across, down = np.gradient(one, axis=2), np.gradient(one, axis=1)
        for _ in range(steps):
            windows, gain, offset = _refine_windows(one, other, across, down, windows, gain, offset)
    one, other = _blur_images(ones, FINE_BLUR_PX), _blur_images(others, FINE_BLUR_PX)
    if not can_shift:
        gain, offset = _fit_brightness(one, other)
    sampled = _sample_windows(one, windows)
    brightened = _brighten(sampled, gain, offset)
    # Of what is partly white, that part became no brighter.
    bright = (brightened > NEARLY_WHITE_LEVEL) & (brightened > sampled)
    clipped = np.where(bright, np.clip(other, sampled, brightened), brightened)
    detail = [x - _blur_images(x, COARSE_BLUR_PX) for x in (brightened, other)]
    tints = np.stack(
        [_sample_windows(_blur_images(ones_colors[:, n], FINE_BLUR_PX), windows) for n in (0, 1)],
        axis=1,
    )
    tinted = 128 + gain[:, None, None, None] * (tints - 128)
    blurred = np.stack([_blur_images(others_colors[:, n], FINE_BLUR_PX) for n in (0, 1)], axis=1)
    return Alignments(
        windows,
        _compute_correlation(brightened, other),
        _compute_correlation(*detail),
        _measure_max_shift(clipped, other),
        np.abs(tinted - blurred).max(axis=(1, 2, 3)),
        np.median((other + 2) / (sampled + 2), axis=(1, 2)) - 1,
    )


def _brighten(images: SmallImages, gain: Floats, offset: Floats) -> SmallImages:
    """Return images made brighter; what is beyond white or black is lost."""
    lit: SmallImages = np.clip(gain[:, None, None] * images + offset[:, None, None], 0, 255)
    return lit


def compute_rough_correlation(ones: SmallImages, others: SmallImages) -> Floats:
    """Return how alike pictures are, [n], when one sees hardly anything of them."""
    side, sigma, _ = PYRAMID_LEVELS[0]
    return _compute_correlation(
        *(_blur_images(_shrink_images(x, side), sigma) for x in (ones, others))
    )


def _measure_max_shift(one: SmallImages, other: SmallImages) -> Floats:
    """Return by how many pixels the block that differs most would have to move, at least.

    What differs, over how steep the brightness is there, is a way: what compression and
    resampling do is a small part of a pixel everywhere, what has moved or come is not.
    """
    steep = sum(np.gradient(x, axis=axis) ** 2 for x in (one, other) for axis in (1, 2)) / 2
    differ, steep = ((_average_blocks(x)) for x in ((one - other) ** 2, steep))
    shifts_px = np.sqrt(differ) / (COMPRESSION_NOISE_LEVELS + np.sqrt(steep))
    found: Floats = shifts_px.max(axis=(1, 2))
    return found


def _average_blocks(values: SmallImages) -> SmallImages:
    """Return the means of blocks, which overlap by half."""
    half = BLOCK_SIDE_PX // 2
    cells = values.reshape(
        len(values), COPY_SIDE_PX // half, half, COPY_SIDE_PX // half, half
    ).mean((2, 4))
    found: SmallImages = (
        cells[:, 1:, 1:] + cells[:, :-1, 1:] + cells[:, 1:, :-1] + cells[:, :-1, :-1]
    ) / 4
    return found


def _refine_windows(
    one: SmallImages, other: SmallImages, across: SmallImages, down: SmallImages, windows: Floats, gain: Floats,
    offset: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Move the windows one step nearer."""
    side = one.shape[1]
    sampled = _sample_windows(one, windows)
    x, y = (_sample_windows(g, windows) * (gain[:, None, None] * side) for g in (across, down))
    positions = ((np.arange(side) + 0.5) / side).astype(np.float32)
    brightened = _brighten(sampled, gain, offset)
    columns = [
        x,
        y,
        x * positions[None, None, :],
        y * positions[None, :, None],
        sampled,
        np.ones_like(sampled),
    ]
    jacobian = np.stack(columns, axis=1)
    jacobian *= ((brightened > 0) & (brightened < 255))[:, None]
    jacobian = jacobian.reshape(len(one), 6, -1)
    residual = (other - brightened).reshape(len(one), -1, 1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    normal += 1e-3 * np.eye(6, dtype=np.float32) * normal.diagonal(axis1=1, axis2=2)[:, None, :]
    normal += 1e-3 * np.eye(6, dtype=np.float32)
    change = np.linalg.solve(normal, jacobian @ residual)[:, :, 0].astype(np.float32)
    refined_windows = windows + np.clip(change[:, :4], -0.05, 0.05)
    refined_windows[:, :2] = np.clip(refined_windows[:, :2], -MAX_OUTSIDE_SHARE, MAX_OUTSIDE_SHARE)
    refined_windows[:, 2:] = np.clip(
        refined_windows[:, 2:], 1 - MAX_OUTSIDE_SHARE, 1 / (1 - MAX_OUTSIDE_SHARE)
    )
    return (
        refined_windows,
        np.clip(gain + change[:, 4], *GAIN_RANGE),
        np.clip(offset + change[:, 5], -MAX_OFFSET_LEVELS, MAX_OFFSET_LEVELS),
    )


def _fit_brightness(one: SmallImages, other: SmallImages) -> tuple[Floats, Floats]:
    """Return the gains and offsets, [n], that bring the ones nearest to the others."""
    gain, offset = np.ones(len(one), np.float32), np.zeros(len(one), np.float32)
    for _ in range(BRIGHTNESS_STEPS):
        brightened = _brighten(one, gain, offset)
        # What differs more, and so may be another thing, counts less.
        weights = ((brightened > 0) & (brightened < 255)) / (
            1 + np.abs(other - brightened) / OUTLIER_LEVELS
        )
        total = np.maximum(weights.sum((1, 2)), 1)
        x, y = ((weights * image).sum((1, 2)) / total for image in (one, other))
        centered = weights * (one - x[:, None, None])
        rise = (centered * other).sum((1, 2)) / np.maximum((centered * one).sum((1, 2)), 1)
        gain = np.clip(rise, *GAIN_RANGE).astype(np.float32)
        offset = np.clip(y - gain * x, -MAX_OFFSET_LEVELS, MAX_OFFSET_LEVELS).astype(np.float32)
    return gain, offset


def _sample_windows(images: SmallImages, windows: Floats) -> SmallImages:
    """Return what windows of images show, as large again, between pixels by straight lines."""
    side = images.shape[1]
    positions, cells = (np.arange(side) + 0.5) / side, np.arange(side, dtype=np.float32)

    def compute_weights(start: Floats, size: Floats) -> Floats:
        pixel_positions = side * (start[:, None] + size[:, None] * positions[None, :]) - 0.5
        pixel_positions = np.clip(pixel_positions, 0, side - 1).astype(np.float32)
        found: Floats = np.maximum(0, 1 - np.abs(pixel_positions[:, :, None] - cells))
        return found

    across, down = (
        compute_weights(windows[:, 0], windows[:, 2]),
        compute_weights(windows[:, 1], windows[:, 3]),
    )
    sampled: SmallImages = (down @ images @ across.transpose(0, 2, 1)).astype(
        np.float32, copy=False
    )
    return sampled


def _shrink_images(images: SmallImages, side: int) -> SmallImages:
    part = images.shape[1] // side
    if part == 1:
        return images
    shrunk: SmallImages = images.reshape(len(images), side, part, side, part).mean((2, 4))
    return shrunk


@cache
def _make_blur_kernel(side: int, sigma: float) -> Floats:
    positions = np.arange(side)
    kernel = np.exp(-0.5 * ((positions[:, None] - positions[None, :]) / sigma) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    result: Floats = kernel.astype(np.float32)
    return result


def _blur_images(images: SmallImages, sigma: float) -> SmallImages:
    kernel = _make_blur_kernel(images.shape[1], sigma)
    blurred: SmallImages = (kernel @ images @ kernel.T).astype(np.float32, copy=False)
    return blurred


def _compute_correlation(one: SmallImages, other: SmallImages) -> Floats:
    one = one - one.mean(axis=(1, 2), keepdims=True)
    other = other - other.mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt((one**2).sum((1, 2)) * (other**2).sum((1, 2)))
    found: Floats = (one * other).sum((1, 2)) / np.maximum(lengths, 1e-6)
    return found
