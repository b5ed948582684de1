"""Register two pictures in detail: find the perspective transform that maps one onto the other.

A transform is a 3 x 3 matrix (homography). It maps positions in the second picture to positions in
the first; both are shares of width and height, from 0 to 1. It is fitted by robust Gauss-Newton
steps, from coarse to fine (Lucas and Kanade, 1981; Baker and Matthews, 2004).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Floats = NDArray[np.float32]
Transform = NDArray[np.float64]
Mask = NDArray[np.bool_]

Levels = tuple[tuple[int, int], ...]  # longest side in pixels, largest number of steps

# The matrix elements that change, row by row: none, those of a window, those of a perspective.
STAGES: tuple[tuple[Levels, list[int]], ...] = (
    (((256, 2),), []),
    (((64, 6), (128, 4), (256, 3)), [0, 2, 4, 5]),
    (((64, 5), (128, 4), (256, 3)), [*range(8)]),
)
FINE_STEPS = 3
# Measured: at most 0.02 px for pairs with another digit, at least 0.12 px for copies that need it.
MIN_FINE_MOVE_PX = 0.05
GRID_SIZE = 16, 16  # positions at which a move is measured
MAX_ERROR_RATIO = 0.95  # of a stage to the one before
MAX_ERROR_LEVELS = 20.0
BLUR_PX = 1.0
MAX_STEP = 0.05  # change of a matrix element in one step
CONVERGED_PX = 0.02
GAIN_RANGE, MAX_OFFSET_LEVELS = (0.4, 2.5), 90.0
MIN_NOISE_LEVELS = 1.5  # gray levels; differences above a few times the noise count less
EDGE_PX = 1.5  # pixels at the edges are mixed with what lies outside the picture


class Grid(NamedTuple):
    """The pixels of the second picture at some size, and where they lie in the first."""

    x: Floats  # [h, w], position in the second picture
    y: Floats
    u: Floats  # position in the first picture
    v: Floats
    depth: Floats  # denominator of the perspective


def window_to_transform(window: tuple[float, float, float, float], is_inverse: bool) -> Transform:
    """Return the transform for a window (left, top, width, height) of the first picture.

    is_inverse: the window lies in the second picture instead.
    """
    left, top, width, height = window
    transform = np.array([[width, 0, left], [0, height, top], [0, 0, 1.0]])
    return invert(transform) if is_inverse else transform


def invert(transform: Transform) -> Transform:
    """Return the transform from the first picture to the second."""
    inverse = np.linalg.inv(transform)
    scaled: Transform = (inverse / inverse[2, 2]).astype(np.float64)
    return scaled


def make_grid(transform: Transform, size: tuple[int, int]) -> Grid:
    """Return the positions of the second picture's pixels, at this size, in both pictures."""
    width, height = size
    across, down = (
        ((np.arange(length) + 0.5) / length).astype(np.float32) for length in (width, height)
    )
    x, y = np.meshgrid(across, down)
    rows = transform.astype(np.float32)
    u, v, depth = (row[0] * x + row[1] * y + row[2] for row in rows)
    return Grid(x, y, u / depth, v / depth, depth)


def choose_sizes(
    first: tuple[int, int], second: tuple[int, int], transform: Transform, side: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sizes, for the first and the second picture, at which both have the same scale.

    Neither is enlarged. side: the longest side of the second picture.
    """
    scales = [abs(float(transform[axis, axis])) for axis in (0, 1)]
    scale = min(1.0, side / max(second))
    for axis in (0, 1):
        scale = min(scale, first[axis] * scales[axis] / second[axis])
    width, height = (max(8, round(length * scale)) for length in second)
    first_width, first_height = (
        min(max(8, round(length / scales[axis])), first[axis])
        for axis, length in enumerate((width, height))
    )
    return (first_width, first_height), (width, height)


def find_shared_pixels(grid: Grid, first_size: tuple[int, int], edge_px: float) -> Mask:
    """Return which pixels of the second picture the first shows too, without their edges."""
    edge_u, edge_v = edge_px / first_size[0], edge_px / first_size[1]
    is_shared = (grid.u > edge_u) & (grid.u < 1 - edge_u)
    is_shared &= (grid.v > edge_v) & (grid.v < 1 - edge_v)
    edge = math.ceil(edge_px)
    is_shared[:edge] = is_shared[-edge:] = False
    is_shared[:, :edge] = is_shared[:, -edge:] = False
    return is_shared


def warp_picture(picture: Picture, transform: Transform, size: tuple[int, int]) -> Picture:
    """Return the first picture as the second shows it, with the size of the second."""
    from PIL import Image

    pixels = np.diag([picture.width, picture.height, 1.0]) @ transform
    pixels = pixels @ np.diag([1 / size[0], 1 / size[1], 1.0])
    factors = tuple((pixels / pixels[2, 2]).ravel()[:8].tolist())
    smooth = Image.Resampling.BILINEAR if picture.mode == "F" else Image.Resampling.BICUBIC
    return picture.transform(size, Image.Transform.PERSPECTIVE, factors, smooth)


def shrink_picture(picture: Picture, size: tuple[int, int], blur_px: float = 0.0) -> Picture:
    """Return a picture in a size that is not larger, optionally blurred."""
    from PIL import Image, ImageFilter

    small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return small.filter(ImageFilter.GaussianBlur(blur_px)) if blur_px else small


def register_pictures(first: Picture, second: Picture, start: Transform) -> Transform:
    """Return the refined transform of two gray pictures (mode L), from a transform to start with.

    The simplest change that fits is used: in smooth pictures, light that has changed unevenly
    looks like a slight shift or perspective.
    """
    best, best_error = start, math.inf
    transform = start
    for levels, elements in STAGES:
        transform, error = _refine(first, second, transform, levels, elements)
        if error < MAX_ERROR_RATIO * best_error:
            best, best_error = transform, error
    return best


def register_finely(
    first: Picture, second: Picture, start: Transform, side: int
) -> Transform | None:
    """Return the transform of two gray pictures that are registered nearly, refined at a side.

    None: the pixels stay where they are. Resampling them again would only add the noise of
    rounding, which hides small differences of smooth pictures.
    """
    transform, _ = _refine(first, second, start, ((side, FINE_STEPS),), [*range(8)])
    size = choose_sizes(first.size, second.size, start, side)[1]
    before, after = (make_grid(matrix, GRID_SIZE) for matrix in (start, transform))
    moves = np.hypot((after.u - before.u) * size[0], (after.v - before.v) * size[1])
    return transform if moves.mean() >= MIN_FINE_MOVE_PX else None


def _refine(
    first: Picture,
    second: Picture,
    transform: Transform,
    levels: Levels,
    elements: list[int],
) -> tuple[Transform, float]:
    """Return a transform after Gauss-Newton steps, and the mean difference that it leaves.

    elements: the matrix elements to change, row by row.
    """
    gain, offset, error = 1.0, 0.0, 0.0
    for side, steps in levels:
        first_size, size = choose_sizes(first.size, second.size, transform, side)
        outer = shrink_picture(first, first_size, BLUR_PX).convert("F")
        target = np.asarray(shrink_picture(second, size, BLUR_PX), np.float32)
        for number in range(steps + 1):
            step, error = _compute_step(outer, target, transform, gain, offset, elements)
            if number == steps:
                break  # The last call has measured the error.
            refined = transform.ravel().copy()
            refined[elements] += step[:-2]
            transform = refined.reshape(3, 3)
            gain = float(np.clip(gain + step[-2], *GAIN_RANGE))
            offset = float(np.clip(offset + step[-1], -MAX_OFFSET_LEVELS, MAX_OFFSET_LEVELS))
            if elements and np.abs(step[:-2]).max() * max(size) < CONVERGED_PX:
                break
        if max(size) < side:
            break  # The pictures are not larger.
    return transform, error


def _compute_step(
    outer: Picture,
    target: Floats,
    transform: Transform,
    gain: float,
    offset: float,
    elements: list[int],
) -> tuple[NDArray[np.float64], float]:
    """Return the changes of matrix elements, gain and offset, and the mean difference before them.

    The difference is in levels; larger ones count as MAX_ERROR_LEVELS.
    """
    height, width = target.shape
    grid = make_grid(transform, (width, height))
    is_shared = find_shared_pixels(grid, outer.size, EDGE_PX)
    if is_shared.sum() < 100:
        return np.zeros(len(elements) + 2), MAX_ERROR_LEVELS
    warped = np.asarray(warp_picture(outer, transform, (width, height)), np.float32)
    gradient_y, gradient_x = np.gradient(warped)
    gradient_u = (gradient_x * width / transform[0, 0])[is_shared]
    gradient_v = (gradient_y * height / transform[1, 1])[is_shared]
    x, y, u, v, depth = (part[is_shared] for part in grid)
    gradient_u, gradient_v = gradient_u * gain / depth, gradient_v * gain / depth
    pull = -(gradient_u * u + gradient_v * v)
    values = warped[is_shared]
    derivatives = (
        *((gradient_u, x), (gradient_u, y), (gradient_u, 1)),
        *((gradient_v, x), (gradient_v, y), (gradient_v, 1)),
        *((pull, x), (pull, y)),
    )
    columns = [slope * place for slope, place in (derivatives[number] for number in elements)]
    jacobian = np.stack([*columns, values, np.ones_like(values)], axis=1)
    expected = gain * values + offset
    residual = target[is_shared] - expected
    noise = max(MIN_NOISE_LEVELS, 1.4826 * float(np.median(np.abs(residual))))
    # Cauchy weights: what changed between the pictures must not pull the transform. Clipped pixels
    # say nothing about it.
    is_exact = (expected > 0) & (expected < 255)
    weights = is_exact / (1 + (residual / (2 * noise)) ** 2)
    weighted = jacobian * weights[:, None]
    normal = (weighted.T @ jacobian).astype(np.float64)
    normal += np.diag(1e-4 * np.diag(normal) + 1e-6)
    step = np.linalg.solve(normal, (weighted.T @ residual).astype(np.float64))
    step[:-2] = np.clip(step[:-2], -MAX_STEP, MAX_STEP)
    return step, float(np.minimum(np.abs(residual), MAX_ERROR_LEVELS).mean())
