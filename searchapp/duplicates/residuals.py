"""Measure where two registered pictures differ more than compression and resampling explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchapp.duplicates import registration
from searchapp.duplicates.registration import Floats, Mask, Transform
from searchapp.duplicates.tones import fit_tones, mark_clipped

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Range = tuple[float, float]

BLUR_PX = 1.0
EDGE_PX = 2.5
BLOCK_SIDE_PX = 8  # blocks overlap by half
MIN_BLOCK_SHARE = 0.6  # a block with fewer shared pixels is left out
# The noise of a pair is measured, within these bounds: in gray levels, and as a share of the local
# gradient. Larger differences are not noise.
NOISE_LEVELS, GRADIENT_SHARE = (0.7, 3.0), (0.06, 0.2)
COLOR_NOISE_LEVELS, COLOR_GRADIENT_SHARE = (1.2, 4.0), (0.08, 0.3)  # JPEG stores half the size
# Compression smears an edge over its block: this share of its noise is found beside the edge.
SPREAD_SHARE = 0.5
NOISE_PERCENTILE = 80
NOISE_GROUPS = 12  # blocks are grouped by their gradient


@dataclass(frozen=True, slots=True)
class Residuals:
    """Differences of two pictures at one scale, in the frame of the second."""

    scores: Floats  # [rows, columns], of blocks: difference as a multiple of the noise
    color_scores: Floats  # [rows, columns], of blocks: the same for colors
    color_levels: Floats  # [rows, columns], of blocks: difference of the mean colors, in levels
    is_shared: Mask  # [h, w]: pixels that both pictures show
    edge_noise: float  # typical difference at steep edges, as a share of the gradient


def match_tones(
    first: Picture, second: Picture, transform: Transform, side: int
) -> tuple[Picture, Picture]:
    """Return both pictures, RGB or gray, with the tones of one: differences of light are removed.

    side: the longest side of the second picture at which tones are measured.
    """
    from PIL import ImageFilter

    one, other, is_shared = _align(first, second, transform, side)
    clipped = _align(mark_clipped(first), mark_clipped(second), transform, side)[:2]
    one, other, *marks = (
        image.filter(ImageFilter.GaussianBlur(BLUR_PX)) for image in (one, other, *clipped)
    )
    return fit_tones(one, other, is_shared, (marks[0], marks[1])).apply(first, second)


def measure_residuals(
    first: Picture, second: Picture, transform: Transform, side: int
) -> Residuals:
    """Compare two pictures, both RGB or both gray, at one scale.

    side: the longest side of the second picture.
    """
    from PIL import ImageFilter

    one, other, is_shared = _align(first, second, transform, side)
    one, other = (image.filter(ImageFilter.GaussianBlur(BLUR_PX)) for image in (one, other))
    luma_one: Floats = np.asarray(one.convert("L"), np.float32)
    luma_other: Floats = np.asarray(other.convert("L"), np.float32)
    steepness = ((_measure_steepness(one) + _measure_steepness(other)) / 2).astype(np.float32)
    gradients = np.sqrt(average_blocks(steepness))
    shares = average_blocks(is_shared.astype(np.float32))
    is_counted = shares >= MIN_BLOCK_SHARE

    def score(
        differences: list[Floats], noise_range: Range, share_range: Range
    ) -> tuple[Floats, float]:
        squares: Floats = sum(_smooth(x * is_shared) ** 2 for x in differences)  # type: ignore[assignment]
        levels = np.sqrt(average_blocks(squares) / np.maximum(shares, 0.1))
        noise, share = measure_noise(levels[is_counted], gradients[is_counted], noise_range)
        steepest = np.maximum(gradients, SPREAD_SHARE * _find_highest_near(gradients))
        scores = levels / np.sqrt(noise**2 + (np.clip(share, *share_range) * steepest) ** 2)
        return np.where(is_counted, scores, 0), share

    scores, edge_noise = score([luma_one - luma_other], NOISE_LEVELS, GRADIENT_SHARE)
    color_scores = color_levels = np.zeros_like(scores)
    if first.mode == "RGB":
        differences = [a - b for a, b in zip(_list_colors(one), _list_colors(other), strict=True)]
        color_scores, _ = score(differences, COLOR_NOISE_LEVELS, COLOR_GRADIENT_SHARE)
        means = [np.abs(average_blocks(x * is_shared)) for x in differences]
        color_levels = np.where(is_counted, np.maximum(*means) / np.maximum(shares, 0.1), 0)
    return Residuals(scores, color_scores, color_levels, is_shared, edge_noise)


def _smooth(values: Floats) -> Floats:
    """Return the mean of 3 x 3 pixels: noise and displaced edges cancel out, changes do not."""
    padded = np.pad(values, 1, mode="edge")
    across = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smoothed: Floats = (across[:-2] + across[1:-1] + across[2:]) / 9
    return smoothed


def _list_colors(picture: Picture) -> list[Floats]:
    """Return Cb and Cr of an RGB picture, [h, w] each."""
    return [np.asarray(part, np.float32) for part in picture.convert("YCbCr").split()[1:]]


def _align(
    first: Picture, second: Picture, transform: Transform, side: int
) -> tuple[Picture, Picture, Mask]:
    """Return both pictures at one scale in the frame of the second, and the pixels they share."""
    first_size, size = registration.choose_sizes(first.size, second.size, transform, side)
    small = registration.shrink_picture(first, first_size)
    grid = registration.make_grid(transform, size)
    return (
        registration.warp_picture(small, transform, size),
        registration.shrink_picture(second, size),
        registration.find_shared_pixels(grid, first_size, EDGE_PX),
    )


def average_blocks(values: Floats) -> Floats:
    """Return the mean of each block of pixels, [rows, columns]."""
    half = BLOCK_SIDE_PX // 2
    rows, columns = (length // half for length in values.shape)
    cells = values[: rows * half, : columns * half].reshape(rows, half, columns, half)
    cells = cells.mean((1, 3))
    blocks: Floats = (cells[1:, 1:] + cells[:-1, 1:] + cells[1:, :-1] + cells[:-1, :-1]) / 4
    return blocks


def _measure_steepness(picture: Picture) -> Floats:
    """Return the squared gradient of luma and colors: compression blurs edges of colors too."""
    steepness = np.zeros((picture.height, picture.width), np.float32)
    for part in picture.convert("YCbCr").split() if picture.mode == "RGB" else (picture,):
        for slope in np.gradient(np.asarray(part, np.float32)):
            steepness += slope**2
    return steepness


def measure_noise(levels: Floats, gradients: Floats, noise_range: Range) -> tuple[float, float]:
    """Return the noise of flat blocks, in levels, and what gradients add to it, as their share.

    Both are what most blocks of this pair have. levels, gradients: of each block, [n].
    """
    groups = [g for g in np.array_split(np.argsort(gradients), NOISE_GROUPS) if len(g)]
    if not groups:
        return noise_range[0], 0.0
    typical = np.array([np.percentile(levels[group], NOISE_PERCENTILE) for group in groups])
    steepness = np.array([gradients[group].mean() for group in groups])
    flat, steep = slice(0, max(1, len(groups) // 3)), slice(len(groups) // 2, None)
    noise = float(np.clip(np.median(typical[flat]), *noise_range))
    added = np.sqrt(np.maximum(0, typical[steep] ** 2 - noise**2))
    # The steepest blocks count most: in smooth ones, rounding outweighs what the gradient adds.
    shares = added / np.maximum(steepness[steep], 1.0)
    return noise, _find_weighted_median(shares, steepness[steep] ** 2)


def _find_weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    sums = weights[order].cumsum()
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])


def _find_highest_near(values: Floats) -> Floats:
    """Return the highest value among blocks that are at most one block away, [rows, columns]."""
    rows, columns = values.shape
    padded = np.pad(values, 2)
    across = np.maximum.reduce([padded[:, step : step + columns] for step in range(5)])
    highest: Floats = np.maximum.reduce([across[step : step + rows] for step in range(5)])
    return highest
