"""Arrange pictures in the plane, similar pictures near each other: t-SNE, then a grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from searchapp.pages.map.choose_pictures import Floats

PERPLEXITY = 25.0  # approximately the number of neighbors that attract a point
TSNE_STEPS, EXAGGERATED_STEPS = 350, 100
EXAGGERATION = 12.0
FEW_POINTS = 5  # up to this many points, the first two principal axes are the layout
CELLS_PER_PICTURE = 1.7  # above 1: empty cells separate groups


def compute_layout(points: Floats, steps: int = TSNE_STEPS) -> Floats:
    """Return positions in the plane, [n, 2], for points, [n, axes], by t-SNE.

    Source: van der Maaten and Hinton, Visualizing Data using t-SNE (2008). The calculation starts
    from the first two principal axes, which preserves the arrangement of distant groups. It needs
    memory for n * n floats.
    """
    count = len(points)
    positions = np.zeros((count, 2), np.float32)
    width = min(2, points.shape[1])
    positions[:, :width] = points[:, :width]
    if count <= FEW_POINTS:
        return positions
    affinities = _compute_affinities(points)
    positions *= np.float32(1e-2) / max(float(positions[:, 0].std()), 1e-12)
    speed, gains = np.zeros_like(positions), np.ones_like(positions)
    rate = max(count / EXAGGERATION / 4, 50.0)
    for step in range(steps):
        early = step < EXAGGERATED_STEPS
        squares = (positions**2).sum(axis=1)
        near = 1 / np.maximum(1 + squares[:, None] + squares - 2 * positions @ positions.T, 1)
        np.fill_diagonal(near, 0)
        pull = affinities * np.float32(EXAGGERATION if early else 1)
        pull -= near / near.sum()
        pull *= near
        slope = 4 * (pull.sum(axis=1)[:, None] * positions - pull @ positions)
        same = np.sign(slope) == np.sign(speed)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01).astype(np.float32)
        speed = np.float32(0.5 if early else 0.8) * speed - np.float32(rate) * gains * slope
        positions += speed
        positions -= positions.mean(axis=0)
    return positions


def _compute_affinities(points: Floats) -> Floats:
    """Return the joint probabilities of t-SNE, [n, n]: high for neighbors, 1 in total."""
    squares = (points**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    target_entropy = math.log(min(PERPLEXITY, (len(points) - 1) / 3))
    apart /= max(float(apart.mean()), 1e-12)
    # Bisection of the logarithm of each point's precision (1 / variance).
    low, high = np.full(len(points), -10.0), np.full(len(points), 20.0)
    for _ in range(30):
        middle = (low + high) / 2
        weights = np.exp(-apart * np.exp(middle)[:, None].astype(np.float32))
        np.fill_diagonal(weights, 0)
        total = np.maximum(weights.sum(axis=1), 1e-30)
        entropy = np.log(total) + np.exp(middle) * (apart * weights).sum(axis=1) / total
        is_too_wide = entropy > target_entropy
        low, high = np.where(is_too_wide, middle, low), np.where(is_too_wide, high, middle)
    conditional = weights / total[:, None]
    joint: Floats = ((conditional + conditional.T) / (2 * len(points))).astype(np.float32)
    return joint


def snap_to_grid(positions: Floats, aspect_ratio: float = 1.4) -> NDArray[np.int32]:
    """Return a different grid cell (column, row) for each position, int32 [n, 2].

    aspect_ratio: width of the grid divided by its height. From the center outward, each position
    takes the nearest free cell.
    """
    cells = math.ceil(CELLS_PER_PICTURE * len(positions))
    columns = max(1, math.ceil(math.sqrt(cells * aspect_ratio)))
    rows = max(1, math.ceil(cells / columns))
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = np.maximum(high - low, 1e-9)
    targets = (positions - low) / extent * (columns - 1, rows - 1)
    free = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    free = free.astype(np.float32)
    taken = np.empty((len(positions), 2), np.int32)
    middle = targets.mean(axis=0)
    for number in np.argsort(((targets - middle) ** 2).sum(axis=1)):
        nearest = int(((free - targets[number]) ** 2).sum(axis=1).argmin())
        taken[number] = free[nearest]
        free[nearest] = np.inf
    trimmed: NDArray[np.int32] = taken - taken.min(axis=0)
    return trimmed
