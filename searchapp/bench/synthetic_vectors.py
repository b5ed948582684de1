"""Made vectors, shaped as those of pictures are, where there is no collection to measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Shape = Literal["clustered", "hard"]
VECTORS_PER_PAGE = 50_000  # vectors


@dataclass(frozen=True, slots=True)
class _ShapeParameters:
    """What a kind of data consists of, relative to the spread of the clusters' centres, 1."""

    clusters: int
    rank: int  # directions that carry the structure
    width: float  # of a cluster
    noise: float  # in all directions alike


SHAPE_PARAMETERS: dict[Shape, _ShapeParameters] = {
    "clustered": _ShapeParameters(clusters=4000, rank=48, width=0.6, noise=0.2),
    "hard": _ShapeParameters(clusters=200, rank=128, width=1.5, noise=0.5),
}


class VectorSource:
    """A source of vectors of length one; the same seed gives the same vectors."""

    def __init__(self, shape: Shape, dimensions: int, seed: int = 0) -> None:
        """Draw the clusters: few are large, many small, as Zipf has it."""
        form = self._parameters = SHAPE_PARAMETERS[shape]
        self._rng = np.random.default_rng(seed)
        rank = min(form.rank, dimensions)
        strengths = 1 / np.sqrt(1 + np.arange(rank) / 8)
        axes = np.linalg.qr(self._draw_normal(dimensions, rank))[0].T
        self._axes: Vectors = (axes * strengths[:, None] / np.linalg.norm(strengths)).astype("f4")
        self._centers = self._draw_normal(form.clusters, rank)
        weights = 1 / (10 + np.arange(form.clusters))
        self._weights = weights / weights.sum()

    def draw_vectors(self, count: int) -> Vectors:
        """Return the next vectors, [count, dimensions]."""
        form = self._parameters
        cluster = self._rng.choice(len(self._centers), count, p=self._weights)
        latent = self._centers[cluster] + form.width * self._draw_normal(count, len(self._axes))
        vectors: Vectors = latent @ self._axes
        dimensions = vectors.shape[1]
        vectors += form.noise / np.sqrt(dimensions) * self._draw_normal(count, dimensions)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def draw_pages(self, count: int) -> Iterator[Vectors]:
        """Yield the next vectors in pages."""
        for start in range(0, count, VECTORS_PER_PAGE):
            yield self.draw_vectors(min(VECTORS_PER_PAGE, count - start))

    def _draw_normal(self, *shape: int) -> Any:
        return self._rng.standard_normal(shape, dtype=np.float32)
