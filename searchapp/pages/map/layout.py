"""Lay points out in the plane, what is alike together: t-SNE, then a grid without overlaps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from searchapp.pages.map.choose_pictures import Floats

PERPLEXITY = 25.0  # about how many neighbours a point looks at
STEPS, EXAGGERATED = 350, 100
EXAGGERATION = 12.0
FEW = 5  # points that need no layout
ROOM = 1.7  # cells for each picture


def laid_out(points: Floats, steps: int = STEPS) -> Floats:
    """Return a place in the plane for each point, [n, 2], by t-SNE from the first two axes on.

    Van der Maaten and Hinton, Visualizing Data using t-SNE (2008), as it stands there; the start
    from the principal axes keeps the map as a whole in order. It takes n x n numbers of memory.
    """
    count = len(points)
    places = np.zeros((count, 2), np.float32)
    width = min(2, points.shape[1])
    places[:, :width] = points[:, :width]
    if count <= FEW:
        return places
    shares = _shares(points)
    places *= np.float32(1e-2) / max(float(places[:, 0].std()), 1e-12)
    speed, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(count / EXAGGERATION / 4, 50.0)
    for step in range(steps):
        early = step < EXAGGERATED
        squares = (places**2).sum(axis=1)
        near = 1 / np.maximum(1 + squares[:, None] + squares - 2 * places @ places.T, 1)
        np.fill_diagonal(near, 0)
        pull = shares * np.float32(EXAGGERATION if early else 1)
        pull -= near / near.sum()
        pull *= near
        slope = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
        same = np.sign(slope) == np.sign(speed)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01).astype(np.float32)
        speed = np.float32(0.5 if early else 0.8) * speed - np.float32(rate) * gains * slope
        places += speed
        places -= places.mean(axis=0)
    return places


def _shares(points: Floats) -> Floats:
    """Return how much of each other's neighbours points are, [n, n], 1 in all."""
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
    shares = weights / total[:, None]
    joint: Floats = ((shares + shares.T) / (2 * len(points))).astype(np.float32)
    return joint


def on_grid(places: Floats, shape: float = 1.4) -> NDArray[np.int32]:
    """Return a cell for each place, [n, 2] (column, row), no two in the same, near where it was.

    shape: of the whole, width by height. From the middle outwards, each takes the nearest free.
    """
    cells = math.ceil(ROOM * len(places))
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
