"""Choose the pictures of a map: all there are, or of each cluster the one in its middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
Pages: TypeAlias = Callable[[Ids], Iterable[tuple[Ids, Floats]]]

AXES = 48  # that vectors are brought down to
TO_FIT = 20_000  # vectors that the axes are taken from
TO_CLUSTER = 50_000  # vectors that clusters are made of
ROUNDS = 8
ROWS = 4096  # at once


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pictures of a map: ids [n], how many each stands for [n], and coordinates [n, axes]."""

    ids: Ids
    stands_for: Ids
    points: Floats


def choose(ids: Ids, pages: Pages, most: int, seed: int = 0) -> Chosen:
    """Choose at most so many of the embeddings with some ids, [n].

    pages: yields ids and their vectors, [m, dimensions], of length one, for some ids in order.
    """
    random = np.random.default_rng(seed)
    fitting = np.sort(random.permutation(ids)[:TO_FIT])
    axes, middle = principal_axes(np.concatenate([vectors for _, vectors in pages(fitting)]))
    found = np.empty(len(ids), np.int64)
    low = np.empty((len(ids), axes.shape[1]), np.float32)
    count = 0
    for page, vectors in pages(ids):
        end = count + len(page)
        found[count:end], low[count:end] = page, (vectors - middle) @ axes
        count = end
    found, low = found[:count], low[:count]
    if len(found) <= most:
        return Chosen(found, np.ones(len(found), np.int64), low)
    centres = _centres(low[random.permutation(len(low))[:TO_CLUSTER]], most)
    cluster, distance = _assigned(low, centres)
    order = np.lexsort((distance, cluster))
    _, first, counts = np.unique(cluster[order], return_index=True, return_counts=True)
    middles = order[first]
    return Chosen(found[middles], counts.astype(np.int64), low[middles])


def principal_axes(vectors: Floats, count: int = AXES) -> tuple[Floats, Floats]:
    """Return the axes along which vectors, [n, d], differ most, [d, count or d], and their mean."""
    middle = vectors.mean(axis=0)
    centred = vectors - middle
    _, axes = np.linalg.eigh(centred.T @ centred)  # in the order of growing variance
    return np.ascontiguousarray(axes[:, ::-1][:, :count], np.float32), middle


def _centres(points: Floats, count: int) -> Floats:
    """Return the centres of so many clusters, by k-means; points come in no order."""
    centres = points[:count].copy()
    for _ in range(ROUNDS):
        cluster, _ = _assigned(points, centres)
        order = np.argsort(cluster, kind="stable")
        filled, first = np.unique(cluster[order], return_index=True)
        sizes = np.diff([*first, len(order)])
        centres[filled] = np.add.reduceat(points[order], first) / sizes[:, None]
    return centres


def _assigned(points: Floats, centres: Floats) -> tuple[Ids, Floats]:
    """Return for each point the nearest centre, and its squared distance but for a constant."""
    cluster = np.empty(len(points), np.int64)
    distance = np.empty(len(points), np.float32)
    half = (centres**2).sum(axis=1) / 2
    for start in range(0, len(points), ROWS):
        part = points[start : start + ROWS]
        near = half - part @ centres.T
        cluster[start : start + ROWS] = nearest = near.argmin(axis=1)
        best = near[np.arange(len(part)), nearest]
        distance[start : start + ROWS] = (part**2).sum(axis=1) + 2 * best
    return cluster, distance
