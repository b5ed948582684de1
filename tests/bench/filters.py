"""How long filters take in a catalogue of a million made images.

    python tests/bench/filters.py [IMAGES]

Prints, in milliseconds, getting the ids of each filter when the process is new, after another
process has written, when others of its kind were asked for before, and asked again; and the nearest
of those, in an exact index of 64 dimensions.
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
from searchapp.vectors import VectorIndex, pack

DIMENSIONS = 64
LENSES = (None, "EF 50mm f/1.8", "Summilux-M 1:1.4/50")
CAMERAS = (None, "Apple iPhone 13", "Canon EOS 5D", "NIKON Z 6", "Leica M10")


def make(folder: Path, count: int) -> Catalog:
    """Make a catalogue: half the images below /p/half, one of 1,000 below /p/few."""
    catalog = Catalog.open(folder / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", DIMENSIONS, "{}")
    run = catalog.writer.start_run(collection, [])
    vector = pack(np.ones(DIMENSIONS, np.float32) / 8)
    connection, numbers = catalog._db.conn, range(1, count + 1)

    def place(n: int) -> str:
        return "few" if n % 1000 == 0 else f"half/{n % 100}" if n % 2 else f"rest/{n % 100}"

    with catalog.atomic():
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
        connection.executemany(  # two each, of 5,000
            "insert into keywords values (?, ?)",
            ((n, f"word {k}") for n in numbers for k in (n % 10, 10 + n % 4990)),
        )
        connection.executemany(
            "insert into files values (?, ?, 1000, 0, ?)",
            ((f"/p/{place(n)}/{n}.jpg", n, run) for n in numbers),
        )
        connection.executemany(
            "insert into embeddings values (?, ?, ?, ?)",
            ((n, collection.id, n, vector) for n in numbers),
        )
    return catalog


def took(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    """Run it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        writer = make(Path(folder), count)
        (collection,) = writer.collections()
        index = VectorIndex(DIMENSIONS)
        index.add(
            np.arange(1, count + 1, dtype=np.int64),
            rng.normal(size=(count, DIMENSIONS)).astype(np.float32),
        )
        query = rng.normal(size=DIMENSIONS).astype(np.float32)
        whole = min(took(lambda: index.search(query, 20)) for _ in range(5))
        print(f"{count:,} images; unfiltered search {whole:.1f} ms")
        print(
            f"{'':34}{'matching':>9}{'new':>9}{'written':>9}{'other':>9}{'again':>9}{'search':>9}"
        )
        for name, wanted in (
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
            new = took(lambda: reader.matching(collection, wanted))  # noqa: B023
            writer.set_settings(collection, f'{{"{name[:9]}": {time.time()}}}')
            written = took(lambda: reader.matching(collection, wanted))  # noqa: B023
            again = took(lambda: reader.matching(collection, wanted))  # noqa: B023
            reader._filters._kept.clear()
            other = took(lambda: reader.matching(collection, wanted))  # noqa: B023
            ids = reader.matching(collection, wanted)
            search = min(took(lambda: index.search(query, 20, ids)) for _ in range(3))  # noqa: B023
            print(
                f"{name:34.34}{len(ids):9,}{new:9.1f}{written:9.1f}{other:9.1f}{again:9.2f}{search:9.1f}",
                flush=True,
            )
            reader.close()
        reader = Catalog.open(Path(folder) / "catalog.db")
        print(f"{'counts for the web page':34}{'':>9}{'new':>9}{'':>9}{'other':>9}{'again':>9}")
        for name, wanted in (
            ("all", Filter()), ("of --after 2010 --rating 4+", Filter(after="2010", rating="4+"))
        ):  # fmt: skip
            count_all = lambda: reader.facets(collection, wanted)  # noqa: B023, E731
            new = took(count_all)
            again = took(count_all)
            reader._filters._kept.clear()
            print(f"{name:43}{new:9.1f}{'':9}{took(count_all):9.1f}{again:9.2f}", flush=True)


if __name__ == "__main__":
    main()
