"""Align pairs of small copies (image registration), and measure how they still differ.

The first picture of a pair is the outer one: the second shows a window of it, possibly brighter.
The window (scale and shift of each axis) and the brightness (gain and offset) are fitted by
Gauss-Newton steps, from coarse to fine (Lucas and Kanade, 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates.fingerprint import COPY_SIDE_PX, SmallImages

# For each level: side in pixels, blur (sigma) in pixels of that level, number of steps.
PYRAMID_LEVELS = ((COPY_SIDE_PX // 4, 0.8, 5), (COPY_SIDE_PX // 2, 0.8, 4), (COPY_SIDE_PX, 1.0, 3))
FINE_BLUR_PX = 1.0  # sigma before pictures are compared
BLOCK_SIDE_PX = 6
MAX_SHIFT_PX = 1.2  # remaining displacement of a block that shows the same
COMPRESSION_NOISE_LEVELS = 1.5  # gray levels; noise of JPEG compression in flat areas
GAIN_RANGE = (0.5, 2.0)
MAX_OFFSET_LEVELS = 80  # gray levels
BRIGHTNESS_STEPS = 8  # iterations of the robust brightness fit
OUTLIER_LEVELS = 2.0  # gray levels; larger differences count less in the brightness fit
NEARLY_WHITE_LEVEL = 200  # gray level
MAX_BAND_SHARE = 0.25  # of the height, that the band of a caption covers
MAX_OUTSIDE_SHARE = 0.3  # how far a window may leave the frame, as a share of the frame

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alignments:
    """Results of aligning n pairs of pictures; every array has one entry for each pair.

    Window coordinates are relative to the outer picture: from 0 to 1.
    """

    windows: Floats  # [n, 4]: left, top, width, height of the inner picture in the outer one
    matched_share: Floats  # share of the blocks that show the same


# Luma [n, COPY_SIDE_PX, COPY_SIDE_PX], and colors [n, 2, COLOR_SIDE_PX, COLOR_SIDE_PX].
Copies = tuple[SmallImages, SmallImages]


def align_copies(
    outer: Copies, inner: Copies, start_windows: Floats, *, can_shift: bool = True
) -> Alignments:
    """Find the window of each outer picture that the inner picture shows, and what matches there.

    start_windows: [n, 4], where the search begins. can_shift: if False, the windows stay unchanged,
    and only the brightness is fitted.
    """
    outer_luma, inner_luma = outer[0], inner[0]
    count = len(outer_luma)
    windows, gain = start_windows.astype(np.float32), np.ones(count, np.float32)
    offset = np.zeros(count, np.float32)
    for side, sigma, steps in PYRAMID_LEVELS if can_shift else ():
        pyramid = (_blur_images(_shrink_images(x, side), sigma) for x in (outer_luma, inner_luma))
        large, small = pyramid
        gradients = np.gradient(large, axis=2), np.gradient(large, axis=1)
        for _ in range(steps):
            windows, gain, offset = _refine_windows(large, small, gradients, windows, gain, offset)
    large, small = _blur_images(outer_luma, FINE_BLUR_PX), _blur_images(inner_luma, FINE_BLUR_PX)
    if not can_shift:
        gain, offset = _fit_brightness(large, small)
    sampled = _sample_windows(large, windows)
    brightened = _brighten(sampled, gain, offset)
    # Nearly white areas may be clipped in the inner picture, and then follow no gain.
    is_clipped = (brightened > NEARLY_WHITE_LEVEL) & (brightened > sampled)
    expected = np.where(is_clipped, np.clip(small, sampled, brightened), brightened)
    return Alignments(windows, _measure_matched_share(expected, small))


def _brighten(images: SmallImages, gain: Floats, offset: Floats) -> SmallImages:
    """Return images with gain and offset applied, clipped to black and white."""
    brightened: SmallImages = np.clip(gain[:, None, None] * images + offset[:, None, None], 0, 255)
    return brightened


def compute_rough_correlation(ones: SmallImages, others: SmallImages) -> Floats:
    """Return the correlation of each pair at the lowest resolution, [n]: a fast first check.

    A caption on a band may cover the upper or the lower part, so the highest correlation counts: of
    whole pictures, without their upper part, and without their lower part.
    """
    side, sigma, _ = PYRAMID_LEVELS[0]
    one, other = (_blur_images(_shrink_images(x, side), sigma) for x in (ones, others))
    covered = round(MAX_BAND_SHARE * side)
    parts = (slice(None), slice(covered, None), slice(None, -covered))
    correlations = [_compute_correlation(one[:, part], other[:, part]) for part in parts]
    highest: Floats = np.maximum.reduce(correlations)
    return highest


def _measure_matched_share(one: SmallImages, other: SmallImages) -> Floats:
    """Return the share of the blocks of each pair that show the same, [n].

    A difference divided by the gradient is a displacement. Compression and resampling displace
    blocks by a fraction of a pixel; moved or new objects displace them by more.
    """
    gradients = sum(np.gradient(x, axis=axis) ** 2 for x in (one, other) for axis in (1, 2)) / 2
    difference, gradients = (_average_blocks(x) for x in ((one - other) ** 2, gradients))
    shifts_px = np.sqrt(difference) / (COMPRESSION_NOISE_LEVELS + np.sqrt(gradients))
    matched_share: Floats = (shifts_px <= MAX_SHIFT_PX).mean(axis=(1, 2))
    return matched_share


def _average_blocks(values: SmallImages) -> SmallImages:
    """Return the mean of each block of pixels; neighboring blocks overlap by half."""
    half = BLOCK_SIDE_PX // 2
    cells = values.reshape(
        len(values), COPY_SIDE_PX // half, half, COPY_SIDE_PX // half, half
    ).mean((2, 4))
    means: SmallImages = (
        cells[:, 1:, 1:] + cells[:, :-1, 1:] + cells[:, 1:, :-1] + cells[:, :-1, :-1]
    ) / 4
    return means


def _refine_windows(
    outer: SmallImages,
    inner: SmallImages,
    gradients: tuple[SmallImages, SmallImages],
    windows: Floats,
    gain: Floats,
    offset: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return windows, gains and offsets after one damped Gauss-Newton step.

    gradients: of the outer pictures, along x and along y.
    """
    side = outer.shape[1]
    sampled = _sample_windows(outer, windows)
    x, y = (_sample_windows(g, windows) * (gain[:, None, None] * side) for g in gradients)
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
    jacobian = jacobian.reshape(len(outer), 6, -1)
    residual = (inner - brightened).reshape(len(outer), -1, 1)
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


def _fit_brightness(source: SmallImages, target: SmallImages) -> tuple[Floats, Floats]:
    """Return the gains and offsets, [n], that map source to target (robust regression)."""
    gain, offset = np.ones(len(source), np.float32), np.zeros(len(source), np.float32)
    for _ in range(BRIGHTNESS_STEPS):
        brightened = _brighten(source, gain, offset)
        # Large differences are probably other objects, not brightness: they count less.
        weights = ((brightened > 0) & (brightened < 255)) / (
            1 + np.abs(target - brightened) / OUTLIER_LEVELS
        )
        total = np.maximum(weights.sum((1, 2)), 1)
        x, y = ((weights * image).sum((1, 2)) / total for image in (source, target))
        centered = weights * (source - x[:, None, None])
        slope = (centered * target).sum((1, 2)) / np.maximum((centered * source).sum((1, 2)), 1)
        gain = np.clip(slope, *GAIN_RANGE).astype(np.float32)
        offset = np.clip(y - gain * x, -MAX_OFFSET_LEVELS, MAX_OFFSET_LEVELS).astype(np.float32)
    return gain, offset


def _sample_windows(images: SmallImages, windows: Floats) -> SmallImages:
    """Return windows of images, resampled to the size of the images (linear interpolation)."""
    side = images.shape[1]
    positions, cells = (np.arange(side) + 0.5) / side, np.arange(side, dtype=np.float32)

    def compute_weights(start: Floats, size: Floats) -> Floats:
        pixel_positions = side * (start[:, None] + size[:, None] * positions[None, :]) - 0.5
        pixel_positions = np.clip(pixel_positions, 0, side - 1).astype(np.float32)
        weights: Floats = np.maximum(0, 1 - np.abs(pixel_positions[:, :, None] - cells))
        return weights

    weights_x = compute_weights(windows[:, 0], windows[:, 2])
    weights_y = compute_weights(windows[:, 1], windows[:, 3])
    sampled = weights_y @ images @ weights_x.transpose(0, 2, 1)
    return sampled.astype(np.float32, copy=False)


def _shrink_images(images: SmallImages, side: int) -> SmallImages:
    factor = images.shape[1] // side
    if factor == 1:
        return images
    shrunk: SmallImages = images.reshape(len(images), side, factor, side, factor).mean((2, 4))
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
    correlation: Floats = (one * other).sum((1, 2)) / np.maximum(lengths, 1e-6)
    return correlation
