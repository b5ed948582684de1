"""Choose the pictures of a map: all, or of each cluster the one nearest to its center."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
LoadPages: TypeAlias = Callable[[Ids], Iterable[tuple[Ids, Floats]]]

PRINCIPAL_AXES = 48  # principal axes that vectors are projected on
FIT_SAMPLE = 20_000  # vectors from which the axes are computed
CLUSTER_SAMPLE = 50_000  # vectors from which the clusters are computed
KMEANS_ROUNDS = 8
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class MapSelection:
    """The pictures of a map: ids [n], how many each represents [n], and coordinates [n, axes]."""

    ids: Ids
    represents: Ids
    coordinates: Floats


def choose_pictures(ids: Ids, pages: LoadPages, max_pictures: int, seed: int = 0) -> MapSelection:
    """Choose at most max_pictures of the embeddings ids, [n].

    pages: yields ids [m] and their unit vectors [m, dimensions], for given ids in order.
    """
    random = np.random.default_rng(seed)
    sample = np.sort(random.permutation(ids)[:FIT_SAMPLE])
    axes, mean = compute_principal_axes(np.concatenate([vectors for _, vectors in pages(sample)]))
    found = np.empty(len(ids), np.int64)
    low = np.empty((len(ids), axes.shape[1]), np.float32)
    count = 0
    for page, vectors in pages(ids):
        end = count + len(page)
        found[count:end], low[count:end] = page, (vectors - mean) @ axes
        count = end
    found, low = found[:count], low[:count]
    if len(found) <= max_pictures:
        return MapSelection(found, np.ones(len(found), np.int64), low)
    centers = _cluster_centers(low[random.permutation(len(low))[:CLUSTER_SAMPLE]], max_pictures)
    cluster, distance = _nearest_center(low, centers)
    order = np.lexsort((distance, cluster))
    _, first, counts = np.unique(cluster[order], return_index=True, return_counts=True)
    central = order[first]
    return MapSelection(found[central], counts.astype(np.int64), low[central])


def compute_principal_axes(vectors: Floats, count: int = PRINCIPAL_AXES) -> tuple[Floats, Floats]:
    """Return the principal axes of vectors [n, d], as columns [d, count or d], and their mean."""
    mean = vectors.mean(axis=0)
    centered = vectors - mean
    _, axes = np.linalg.eigh(centered.T @ centered)  # sorted by increasing variance
    return np.ascontiguousarray(axes[:, ::-1][:, :count], np.float32), mean


def _cluster_centers(points: Floats, count: int) -> Floats:
    """Return the centers of k-means clusters; points must be in random order."""
    centers = points[:count].copy()
    for _ in range(KMEANS_ROUNDS):
        cluster, _ = _nearest_center(points, centers)
        order = np.argsort(cluster, kind="stable")
        filled, first = np.unique(cluster[order], return_index=True)
        sizes = np.diff([*first, len(order)])
        centers[filled] = np.add.reduceat(points[order], first) / sizes[:, None]
    return centers


def _nearest_center(points: Floats, centers: Floats) -> tuple[Ids, Floats]:
    """Return for each point the number of the nearest center, and the squared distance to it."""
    cluster = np.empty(len(points), np.int64)
    distance = np.empty(len(points), np.float32)
    half = (centers**2).sum(axis=1) / 2
    for start in range(0, len(points), ROWS_AT_ONCE):
        part = points[start : start + ROWS_AT_ONCE]
        near = half - part @ centers.T
        cluster[start : start + ROWS_AT_ONCE] = nearest = near.argmin(axis=1)
        best = near[np.arange(len(part)), nearest]
        distance[start : start + ROWS_AT_ONCE] = (part**2).sum(axis=1) + 2 * best
    return cluster, distance
