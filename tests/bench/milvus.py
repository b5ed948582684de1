"""Measure a collection in a file of Milvus Lite beside FAISS: python tests/bench/milvus.py [COUNT].

Made vectors of 768 dimensions, one query at a time; recall is against a look at every vector.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from searchapp.bench.synthetic_vectors import Made
from searchapp.catalog import Catalog
from searchapp.types import Collection, Filter, PictureInfo
from searchapp.vectors import Searched, Selection, pack
from searchapp.vectors.address import parse
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.searchable import Among

DIMENSIONS = 768
QUERIES = 50


def fill(catalog: Catalog, collection: Collection, made: Made, count: int) -> None:
    first = 0
    for page in made.pages(count):
        with catalog.atomic():
            for number, vector in enumerate(page, first):
                year, camera = 2000 + number % 20, ("Apple iPhone 13", "NIKON Z 6")[number % 2]
                info = PictureInfo(
                    format="JPEG", width=4000, height=3000, taken_at=f"{year}-06-01T12:00:00",
                    camera=camera,
                )  # fmt: skip
                (image,) = catalog.writer.save_images({f"{number:064x}": info}).values()
                catalog.writer.save_embeddings(collection, {image: pack(vector)})
        first += len(page)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def ask(
    index: Searched, queries: np.ndarray, among: Callable[[], Among]
) -> tuple[list[set[int]], str]:
    found, seconds = [], []
    for query in queries:
        begun = time.perf_counter()
        found.append({id for id, _ in index.search(query, 10, among())})
        seconds.append(time.perf_counter() - begun)
    return (
        found,
        f"{1000 * np.median(seconds):.0f} ms, 95 % below {1000 * np.percentile(seconds, 95):.0f}",
    )


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        catalog = Catalog.open(folder / "catalog.db", create=True)
        collection = catalog.add_collection("made", "made", "1", DIMENSIONS, "{}")
        made = Made("hard", DIMENSIONS)
        queries = made.take(QUERIES)
        fill(catalog, collection, made, count)
        faiss = Indexes(folder, catalog).current(collection)
        filters = {
            "all": None,
            "a year (5 %)": Filter(after="2007", before="2007"),
            "ten years and a camera (25 %)": Filter(after="2005", before="2014", camera="iphone*"),
        }
        pushed = {
            name: Selection(
                partial(catalog.matching, collection, wanted), partial(catalog.conditions, wanted)
            )
            for name, wanted in filters.items()
            if wanted is not None
        }
        true = {}
        for name in filters:
            true[name], said = ask(faiss, queries, lambda name=name: pushed.get(name))
            print(f"FAISS exact, {name}: {said}", flush=True)
        for options in ("", "?index=HNSW", "?index=IVF_SQ8&nlist=512"):
            indexes = Indexes(folder, catalog)
            url = f"milvus:{folder / 'vectors.db'}{options}"
            indexes.want(collection, parse(url))
            seconds = timed(lambda indexes=indexes: list(indexes.save(collection)))
            print(f"\n{url}: {count / seconds:,.0f} vectors/s sent and written ({seconds:.0f} s)")
            again = timed(lambda indexes=indexes: list(indexes.save(collection)))
            print(f"nothing new: {1000 * again:.0f} ms")
            opened = timed(
                lambda indexes=indexes: indexes.current(collection).search(queries[0], 10)
            )
            print(f"first query: {1000 * opened:.0f} ms")
            index = indexes.current(collection)
            for name in filters:
                ways: dict[str, Callable[[], Among]] = {"": lambda: None}
                if name in pushed:
                    ways = {
                        ", as an expression": lambda name=name: pushed[name],
                        ", as ids": lambda name=name: pushed[name].ids,
                    }
                for how, among in ways.items():
                    found, said = ask(index, queries, among)
                    right = sum(len(a & b) for a, b in zip(found, true[name], strict=True))
                    recall = right / sum(map(len, true[name]))
                    print(f"{name}{how}: recall {recall:.3f}, {said}", flush=True)
            indexes.close()
        catalog.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
