"""Place similar pictures near each other in the plane: t-SNE, then a grid without overlaps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from searchapp.pages.map.choose_pictures import Floats

PERPLEXITY = 25.0  # about the number of neighbors of a point
TSNE_STEPS, EXAGGERATED_STEPS = 350, 100
EXAGGERATION = 12.0
FEW_POINTS = 5  # up to this many, the principal axes are enough
CELLS_PER_PICTURE = 1.7  # above 1: empty cells separate groups


def compute_layout(points: Floats, steps: int = TSNE_STEPS) -> Floats:
    """Return positions in the plane, [n, 2], for points [n, axes], by t-SNE.

    The algorithm is from van der Maaten and Hinton, Visualizing Data using t-SNE (2008). It starts
    from the first two principal axes, which keeps distant groups in order. Memory: n x n floats.
    """
    count = len(points)
    places = np.zeros((count, 2), np.float32)
    width = min(2, points.shape[1])
    places[:, :width] = points[:, :width]
    if count <= FEW_POINTS:
        return places
    affinities = _affinities(points)
    places *= np.float32(1e-2) / max(float(places[:, 0].std()), 1e-12)
    speed, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(count / EXAGGERATION / 4, 50.0)
    for step in range(steps):
        early = step < EXAGGERATED_STEPS
        squares = (places**2).sum(axis=1)
        near = 1 / np.maximum(1 + squares[:, None] + squares - 2 * places @ places.T, 1)
        np.fill_diagonal(near, 0)
        pull = affinities * np.float32(EXAGGERATION if early else 1)
        pull -= near / near.sum()
        pull *= near
        slope = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
        same = np.sign(slope) == np.sign(speed)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01).astype(np.float32)
        speed = np.float32(0.5 if early else 0.8) * speed - np.float32(rate) * gains * slope
        places += speed
        places -= places.mean(axis=0)
    return places


def _affinities(points: Floats) -> Floats:
    """Return the joint probabilities of t-SNE, [n, n]: high for neighbors, 1 in total."""
    squares = (points**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    wanted = math.log(min(PERPLEXITY, (len(points) - 1) / 3))
    apart /= max(float(apart.mean()), 1e-12)
    low, high = np.full(len(points), -10.0), np.full(len(points), 20.0)  # logarithms
    for _ in range(30):
        middle = (low + high) / 2
        weights = np.exp(-apart * np.exp(middle)[:, None].astype(np.float32))
        np.fill_diagonal(weights, 0)
        total = np.maximum(weights.sum(axis=1), 1e-30)
        entropy = np.log(total) + np.exp(middle) * (apart * weights).sum(axis=1) / total
        wide = entropy > wanted
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    conditional = weights / total[:, None]
    joint: Floats = ((conditional + conditional.T) / (2 * len(points))).astype(np.float32)
    return joint


def snap_to_grid(places: Floats, shape: float = 1.4) -> NDArray[np.int32]:
    """Return a cell (column, row) of its own for each position: int32 [n, 2].

    shape: width by height of the grid. From the center outward, each takes the nearest free cell.
    """
    cells = math.ceil(CELLS_PER_PICTURE * len(places))
    columns = max(1, math.ceil(math.sqrt(cells * shape)))
    rows = max(1, math.ceil(cells / columns))
    low, high = places.min(axis=0), places.max(axis=0)
    extent = np.maximum(high - low, 1e-9)
    wanted = (places - low) / extent * (columns - 1, rows - 1)
    free = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    free = free.astype(np.float32)
    taken = np.empty((len(places), 2), np.int32)
    middle = wanted.mean(axis=0)
    for number in np.argsort(((wanted - middle) ** 2).sum(axis=1)):
        nearest = int(((free - wanted[number]) ** 2).sum(axis=1).argmin())
        taken[number] = free[nearest]
        free[nearest] = np.inf
    trimmed: NDArray[np.int32] = taken - taken.min(axis=0)
    return trimmed
