"""Train a FAISS index. Two k-means steps find the list centroids faster than one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.packed_lists import has_packed_lists
from searchapp.vectors.faiss_files.rotation import set_block_rotation
from searchapp.vectors.packing import Vectors

KMEANS_ITERATIONS = 8
MAX_ONE_STEP_LISTS = 64  # up to this many centroids, one k-means step is fast enough


class TooFewVectorsError(Exception):
    """Report that the sample has too few vectors to train an index."""


def compute_sample_size(index: Any, policy: choose_index.IndexPolicy) -> int:
    """Return the number of sample vectors to train an index with."""
    ivf = choose_index.find_ivf(index)
    lists = ivf.nlist if ivf is not None else 0
    return min(max(policy.sample_vectors_per_list * lists, 20_000), policy.max_sample_vectors)


def train_index(index: Any, sample: Vectors, tick: Callable[[], None] = lambda: None) -> None:
    """Train a FAISS index with sample vectors, [n, dimensions].

    Calls tick every few seconds; an exception from tick ends the training.
    Raises TooFewVectorsError if n is too small.
    """
    import faiss

    try:
        ivf = choose_index.find_ivf(index)
        if ivf is not None:
            for transform in choose_index.list_transforms(index):
                transform.train(sample)
                if has_packed_lists(ivf) and isinstance(transform, faiss.RandomRotationMatrix):
                    set_block_rotation(transform)
                sample = transform.apply(sample)
            if len(sample) < ivf.nlist:
                raise TooFewVectorsError(
                    f"{len(sample):,} vectors are too few to train {ivf.nlist:,} lists"
                )
            quantizer = faiss.downcast_index(ivf.quantizer)
            if isinstance(quantizer, faiss.IndexFlat | faiss.IndexHNSWFlat):
                quantizer.add(_find_centroids(sample, ivf.nlist, tick))
            ivf.train(sample)
            index.is_trained = True
        elif not index.is_trained:
            index.train(sample)
    except RuntimeError as error:
        raise TooFewVectorsError(str(error)) from error


def _find_centroids(sample: Vectors, count: int, tick: Callable[[], None]) -> Vectors:
    """Return count centroids of a sample, [count, dimensions], by k-means in two steps.

    The first step clusters the sample; the second step clusters each cluster.

    Each step makes about sqrt(count) clusters, so its time grows with sqrt(count), not count.
    """
    if count <= MAX_ONE_STEP_LISTS:
        return _run_kmeans(sample, count)[0]
    groups = _run_kmeans(sample, round(count**0.5))[1]
    sizes = np.bincount(groups)
    shares = np.minimum(sizes, count * sizes // len(sample))
    while shares.sum() < count:
        shares[np.argmax(sizes / (shares + 1) * (shares < sizes))] += 1
    centroids = []
    for group, share in enumerate(shares.tolist()):
        tick()
        if share:
            centroids.append(_run_kmeans(sample[groups == group], share)[0])
    return np.vstack(centroids)


def _run_kmeans(sample: Vectors, count: int) -> tuple[Vectors, Any]:
    """Return centroids, [count, dimensions], and the index of each vector's nearest centroid."""
    import faiss

    kmeans = faiss.Kmeans(
        sample.shape[1], count, niter=KMEANS_ITERATIONS, seed=1,
        min_points_per_centroid=1, max_points_per_centroid=len(sample),
    )  # fmt: skip
    kmeans.train(np.ascontiguousarray(sample))
    nearest = kmeans.index.search(np.ascontiguousarray(sample), 1)[1][:, 0]
    centroids: Any = kmeans.centroids
    return centroids, nearest
