"""Measure each step of making a map from synthetic vectors, without the thumbnails.

python tests/bench/map_layout.py [VECTORS] [DIMENSIONS] [PICTURES]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from searchapp.pages.map.choose_pictures import Floats, Ids, choose_pictures
from searchapp.pages.map.layout import compute_layout, snap_to_grid

VECTORS_PER_PAGE = 10_000


def main(count: int = 100_000, dimensions: int = 768, max_pictures: int = 2000) -> None:
    """Choose pictures, lay them out, and print seconds and memory."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(500, dimensions)).astype(np.float32)

    def load_pages(ids: Ids) -> Iterator[tuple[Ids, Floats]]:
        for start in range(0, len(ids), VECTORS_PER_PAGE):
            part = ids[start : start + VECTORS_PER_PAGE]
            vectors = centers[part % 500] + 0.7 * np.random.default_rng(start).normal(
                size=(len(part), dimensions)
            ).astype(np.float32)
            yield part, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    started_at = time.perf_counter()
    for _ in load_pages(np.arange(count)):
        pass
    generation_s = time.perf_counter() - started_at
    started_at = time.perf_counter()
    chosen = choose_pictures(np.arange(count), load_pages, max_pictures)
    choosing_s = time.perf_counter() - started_at
    started_at = time.perf_counter()
    positions = compute_layout(chosen.coordinates)
    layout_s = time.perf_counter() - started_at
    started_at = time.perf_counter()
    snap_to_grid(positions)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} vectors of {dimensions} dimensions: {len(chosen.ids):,} chosen in "
        f"{choosing_s:.1f} s (including {generation_s:.1f} s to generate the vectors), laid out in "
        f"{layout_s:.1f} s, snapped to a grid in {time.perf_counter() - started_at:.2f} s; "
        f"peak memory {memory:,.0f} MB"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
