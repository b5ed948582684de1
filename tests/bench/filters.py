"""Measure filters in a catalog of a million synthetic images.

    python tests/bench/filters.py [IMAGES]

Prints the milliseconds to find the ids that match each filter. The columns are:
new      in a new process
written  after another process has written to the catalog
other    when the cache holds columns, but not the result of this filter
again    when the cache holds the result
search   a filtered search in an exact index of 64 dimensions
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.catalog import Catalog
from searchapp.types import Filter
from searchapp.vectors import VectorIndex, pack_vector

DIMENSIONS = 64
LENSES = (None, "EF 50mm f/1.8", "Summilux-M 1:1.4/50")
CAMERAS = (None, "Apple iPhone 13", "Canon EOS 5D", "NIKON Z 6", "Leica M10")


def make_catalog(folder: Path, count: int) -> Catalog:
    """Write a catalog: half of the images below /p/half, one in 1,000 below /p/few."""
    catalog = Catalog.open(folder / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", DIMENSIONS, "{}")
    run = catalog.writer.start_run(collection, [])
    vector = pack_vector(np.ones(DIMENSIONS, np.float32) / 8)
    connection, numbers = catalog._db.conn, range(1, count + 1)

    def relative_folder(n: int) -> str:
        return "few" if n % 1000 == 0 else f"half/{n % 100}" if n % 2 else f"rest/{n % 100}"

    with catalog.write_transaction():
        connection.executemany(
            "insert into images (id, sha256, format, width, height, date, date_from, camera, lens,"
            " rating, reader) values (?, ?, 'JPEG', ?, 3000, ?, 'exif', ?, ?, ?, 1)",
            (
                (
                    n, f"{n:064x}", 1000 + n % 4000, f"{2000 + n % 20}-{1 + n % 12:02}-17T12:00:00",
                    CAMERAS[n % 5], LENSES[n % 3], (None, 1, 2, 3, 4, 5)[n % 6],
                )
                for n in numbers
            ),
        )  # fmt: skip
        connection.executemany(  # two of 5,000 keywords for each image
            "insert into keywords values (?, ?)",
            ((n, f"word {k}") for n in numbers for k in (n % 10, 10 + n % 4990)),
        )
        connection.executemany(
            "insert into files (path, image_id, size, mtime_ns, run_id) values (?, ?, 1000, 0, ?)",
            ((f"/p/{relative_folder(n)}/{n}.jpg", n, run) for n in numbers),
        )
        connection.executemany(
            "insert into embeddings values (?, ?, ?, ?)",
            ((n, collection.id, n, vector) for n in numbers),
        )
    return catalog


def measure_ms(work: Callable[[], Any]) -> float:
    started_at = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started_at)


def main() -> None:
    """Write the catalog, and print the times of each filter."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        writer = make_catalog(Path(folder), count)
        (collection,) = writer.list_collections()
        index = VectorIndex(DIMENSIONS)
        index.add(
            np.arange(1, count + 1, dtype=np.int64),
            rng.normal(size=(count, DIMENSIONS)).astype(np.float32),
        )
        query = rng.normal(size=DIMENSIONS).astype(np.float32)
        unfiltered_ms = min(measure_ms(lambda: index.search(query, 20)) for _ in range(5))
        print(f"{count:,} images; unfiltered search {unfiltered_ms:.1f} ms")
        print(
            f"{'':34}{'matching':>9}{'new':>9}{'written':>9}{'other':>9}{'again':>9}{'search':>9}"
        )
        for name, image_filter in (
            ("--after 2010 (50 %)", Filter(after="2010")),
            ("--camera 'iphone*' (20 %)", Filter(camera="iphone*")),
            ("--lens '*50mm*' (33 %)", Filter(lens="*50mm*")),
            ("--rating 4+ (33 %)", Filter(rating="4+")),
            ("--keyword 'word 7' (10 %)", Filter(keyword=("word 7",))),
            ("--keyword 'WORD 77*' (2 %)", Filter(keyword=("WORD 77*",))),
            ("--in /p/half (50 %)", Filter(folder=Path("/p/half"))),
            ("--in /p/few (0.1 %)", Filter(folder=Path("/p/few"))),
            ("--where width >= 3000 (50 %)", Filter(where="width >= 3000")),
            ("--where path like '/p/few/%' (0.1 %)", Filter(where="path like '/p/few/%'")),
            ("--where image_id % 1000 = 0 (0.1 %)", Filter(where="image_id % 1000 = 0")),
        ):
            reader = Catalog.open(Path(folder) / "catalog.db")
            find_ids = lambda: reader.filters.find_embedding_ids(collection.id, image_filter)  # noqa: B023, E731
            new_ms = measure_ms(find_ids)
            writer.set_settings(collection, f'{{"{name[:9]}": {time.time()}}}')
            written_ms = measure_ms(find_ids)
            again_ms = measure_ms(find_ids)
            reader.filters._cache.clear()
            other_ms = measure_ms(find_ids)
            ids = find_ids()
            search_ms = min(measure_ms(lambda: index.search(query, 20, ids)) for _ in range(3))  # noqa: B023
            print(
                f"{name:34.34}{len(ids):9,}{new_ms:9.1f}{written_ms:9.1f}{other_ms:9.1f}"
                f"{again_ms:9.2f}{search_ms:9.1f}",
                flush=True,
            )
            reader.close()
        reader = Catalog.open(Path(folder) / "catalog.db")
        print(f"{'facet counts':34}{'':>9}{'new':>9}{'':>9}{'other':>9}{'again':>9}")
        for name, image_filter in (
            ("all images", Filter()),
            ("--after 2010 --rating 4+", Filter(after="2010", rating="4+")),
        ):
            count_all = lambda: reader.filters.count_facets(collection.id, image_filter)  # noqa: B023, E731
            new_ms = measure_ms(count_all)
            again_ms = measure_ms(count_all)
            reader.filters._cache.clear()
            print(
                f"{name:43}{new_ms:9.1f}{'':9}{measure_ms(count_all):9.1f}{again_ms:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
