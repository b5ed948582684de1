"""Choose the pictures of a map: all, or the central picture of each k-means cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
LoadPages: TypeAlias = Callable[[Ids], Iterable[tuple[Ids, Floats]]]

PRINCIPAL_AXES = 48  # vectors are projected on these before clustering
FIT_SAMPLE = 20_000  # vectors from which the axes are computed
CLUSTER_SAMPLE = 50_000  # vectors from which the clusters are computed
KMEANS_ROUNDS = 8
ROWS_PER_STEP = 4096


@dataclass(frozen=True, slots=True)
class MapSelection:
    """The chosen pictures of a map, with their ids [n] and coordinates [n, axes]."""

    ids: Ids
    represents: Ids  # how many pictures each chosen picture represents
    coordinates: Floats


def choose_pictures(
    ids: Ids, load_pages: LoadPages, max_pictures: int, seed: int = 0
) -> MapSelection:
    """Choose at most max_pictures of the embeddings with these ids, [n], for a map.

    load_pages: takes ids; yields pages of ids, [m], and unit vectors, [m, dimensions].
    """
    random = np.random.default_rng(seed)
    sample = np.sort(random.permutation(ids)[:FIT_SAMPLE])
    axes, mean = compute_principal_axes(
        np.concatenate([vectors for _, vectors in load_pages(sample)])
    )
    read_ids = np.empty(len(ids), np.int64)
    coordinates = np.empty((len(ids), axes.shape[1]), np.float32)
    count = 0
    for page, vectors in load_pages(ids):
        end = count + len(page)
        read_ids[count:end], coordinates[count:end] = page, (vectors - mean) @ axes
        count = end
    read_ids, coordinates = read_ids[:count], coordinates[:count]  # some may be deleted meanwhile
    if count <= max_pictures:
        return MapSelection(read_ids, np.ones(count, np.int64), coordinates)
    sample = random.permutation(count)[:CLUSTER_SAMPLE]
    centers = _compute_centers(coordinates[sample], max_pictures)
    cluster, distance = _find_nearest_centers(coordinates, centers)
    order = np.lexsort((distance, cluster))
    _, first, counts = np.unique(cluster[order], return_index=True, return_counts=True)
    central = order[first]
    return MapSelection(read_ids[central], counts.astype(np.int64), coordinates[central])


def compute_principal_axes(vectors: Floats, count: int = PRINCIPAL_AXES) -> tuple[Floats, Floats]:
    """Return the principal axes of vectors [n, d], as columns [d, count or d], and their mean."""
    mean = vectors.mean(axis=0)
    centered = vectors - mean
    _, axes = np.linalg.eigh(centered.T @ centered)  # sorted by increasing variance
    return np.ascontiguousarray(axes[:, ::-1][:, :count], np.float32), mean


def _compute_centers(points: Floats, count: int) -> Floats:
    """Return the centers of k-means clusters; points must be in random order."""
    centers = points[:count].copy()
    for _ in range(KMEANS_ROUNDS):
        cluster, _ = _find_nearest_centers(points, centers)
        order = np.argsort(cluster, kind="stable")
        filled, first = np.unique(cluster[order], return_index=True)
        sizes = np.diff([*first, len(order)])
        centers[filled] = np.add.reduceat(points[order], first) / sizes[:, None]
    return centers


def _find_nearest_centers(points: Floats, centers: Floats) -> tuple[Ids, Floats]:
    """Return the number of each point's nearest center, and the squared distance, [n] each."""
    cluster = np.empty(len(points), np.int64)
    distance = np.empty(len(points), np.float32)
    half_norms = (centers**2).sum(axis=1) / 2
    for start in range(0, len(points), ROWS_PER_STEP):
        part = points[start : start + ROWS_PER_STEP]
        # |p - c|² = |p|² + 2 (|c|² / 2 - p·c)
        relative = half_norms - part @ centers.T
        cluster[start : start + ROWS_PER_STEP] = nearest = relative.argmin(axis=1)
        smallest = relative[np.arange(len(part)), nearest]
        distance[start : start + ROWS_PER_STEP] = (part**2).sum(axis=1) + 2 * smallest
    return cluster, distance
