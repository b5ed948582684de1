"""Generate synthetic unit vectors that are clustered like the embeddings of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Shape = Literal["clustered", "hard"]
VECTORS_PER_PAGE = 50_000


@dataclass(frozen=True, slots=True)
class _ShapeParameters:
    """Parameters of synthetic clusters of vectors.

    The standard deviations are relative to the spread of the cluster centers.
    """

    clusters: int
    rank: int  # dimension of the subspace with the clusters
    width: float  # standard deviation within a cluster
    noise: float  # standard deviation of noise in all dimensions


SHAPE_PARAMETERS: dict[Shape, _ShapeParameters] = {
    "clustered": _ShapeParameters(clusters=4000, rank=48, width=0.6, noise=0.2),
    "hard": _ShapeParameters(clusters=200, rank=128, width=1.5, noise=0.5),
}


class VectorSource:
    """Draws unit vectors; the same seed gives the same vectors."""

    def __init__(self, shape: Shape, dimensions: int, seed: int = 0) -> None:
        """Draw the clusters. Their sizes follow Zipf's law: few are large, many are small."""
        parameters = self._parameters = SHAPE_PARAMETERS[shape]
        self._rng = np.random.default_rng(seed)
        rank = min(parameters.rank, dimensions)
        strengths = 1 / np.sqrt(1 + np.arange(rank) / 8)
        axes = np.linalg.qr(self._draw_normal(dimensions, rank))[0].T
        self._axes: Vectors = (axes * strengths[:, None] / np.linalg.norm(strengths)).astype("f4")
        self._centers = self._draw_normal(parameters.clusters, rank)
        weights = 1 / (10 + np.arange(parameters.clusters))
        self._weights = weights / weights.sum()

    def draw_vectors(self, count: int) -> Vectors:
        """Return the next `count` vectors, [count, dimensions]."""
        width, noise = self._parameters.width, self._parameters.noise
        clusters = self._rng.choice(len(self._centers), count, p=self._weights)
        latent = self._centers[clusters] + width * self._draw_normal(count, len(self._axes))
        vectors: Vectors = latent @ self._axes
        dimensions = vectors.shape[1]
        vectors += noise / np.sqrt(dimensions) * self._draw_normal(count, dimensions)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def draw_pages(self, count: int) -> Iterator[Vectors]:
        """Yield the next count vectors in pages, [at most VECTORS_PER_PAGE, dimensions]."""
        for start in range(0, count, VECTORS_PER_PAGE):
            yield self.draw_vectors(min(VECTORS_PER_PAGE, count - start))

    def _draw_normal(self, *shape: int) -> Any:
        return self._rng.standard_normal(shape, dtype=np.float32)
