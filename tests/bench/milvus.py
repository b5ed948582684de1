"""Compare Milvus Lite with FAISS: upload rate, recall and latency, with and without filters.

    python tests/bench/milvus.py [COUNT]

Uses COUNT synthetic vectors of 768 dimensions, and one query at a time. Recall is relative to
exact search.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from searchapp.bench.synthetic_vectors import VectorSource
from searchapp.catalog import Catalog
from searchapp.types import Collection, Filter, PictureInfo
from searchapp.vectors import SearchIndex, Selection, pack_vector
from searchapp.vectors.address import parse_address
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.searchable import SearchScope

DIMENSIONS = 768
QUERIES = 50


def fill_catalog(
    catalog: Catalog, collection: Collection, source: VectorSource, count: int
) -> None:
    first = 0
    for page in source.draw_pages(count):
        with catalog.write_transaction():
            for number, vector in enumerate(page, first):
                year, camera = 2000 + number % 20, ("Apple iPhone 13", "NIKON Z 6")[number % 2]
                info = PictureInfo(
                    format="JPEG", width=4000, height=3000, taken_at=f"{year}-06-01T12:00:00",
                    camera=camera,
                )  # fmt: skip
                (image,) = catalog.writer.save_images({f"{number:064x}": info}).values()
                catalog.writer.save_embeddings(collection, {image: pack_vector(vector)})
        first += len(page)


def measure_s(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def run_queries(
    index: SearchIndex, queries: np.ndarray, get_selection: Callable[[], SearchScope]
) -> tuple[list[set[int]], str]:
    """Return the ids that each query found, and the latencies in words."""
    found, seconds = [], []
    for query in queries:
        started_at = time.perf_counter()
        found.append({id for id, _ in index.search(query, 10, get_selection())})
        seconds.append(time.perf_counter() - started_at)
    p50_ms, p95_ms = 1000 * np.percentile(seconds, (50, 95))
    return found, f"median {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms"


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        catalog = Catalog.open(folder / "catalog.db", create=True)
        collection = catalog.add_collection("synthetic", "synthetic", "1", DIMENSIONS, "{}")
        source = VectorSource("hard", DIMENSIONS)
        queries = source.draw_vectors(QUERIES)
        fill_catalog(catalog, collection, source, count)
        faiss = Indexes(folder, catalog).open_index(collection)
        filters = {
            "no filter": None,
            "one year (5 %)": Filter(after="2007", before="2007"),
            "ten years, one camera (25 %)": Filter(after="2005", before="2014", camera="iphone*"),
        }
        selections = {
            name: Selection(
                partial(catalog.filters.find_embedding_ids, collection.id, filter),
                partial(catalog.filter_to_conditions, filter),
            )
            for name, filter in filters.items()
            if filter is not None
        }
        exact_ids = {}
        for name in filters:
            exact_ids[name], timing = run_queries(
                faiss, queries, lambda name=name: selections.get(name)
            )
            print(f"FAISS exact, {name}: {timing}", flush=True)
        for options in ("", "?index=HNSW", "?index=IVF_SQ8&nlist=512"):
            indexes = Indexes(folder, catalog)
            url = f"milvus:{folder / 'vectors.db'}{options}"
            indexes.set_requested_address(collection, parse_address(url))
            seconds = measure_s(lambda indexes=indexes: list(indexes.save_index(collection)))
            print(f"\n{url}: {count / seconds:,.0f} vectors/s uploaded ({seconds:.0f} s)")
            repeat_s = measure_s(lambda indexes=indexes: list(indexes.save_index(collection)))
            print(f"update without new vectors: {1000 * repeat_s:.0f} ms")
            first_query_s = measure_s(
                lambda indexes=indexes: indexes.open_index(collection).search(queries[0], 10)
            )
            print(f"first query: {1000 * first_query_s:.0f} ms")
            index = indexes.open_index(collection)
            for name in filters:
                selection_forms: dict[str, Callable[[], SearchScope]] = {"": lambda: None}
                if name in selections:
                    selection_forms = {
                        ", as an expression": lambda name=name: selections[name],
                        ", as ids": lambda name=name: selections[name].ids,
                    }
                for form, get_selection in selection_forms.items():
                    found, timing = run_queries(index, queries, get_selection)
                    hit_count = sum(len(a & b) for a, b in zip(found, exact_ids[name], strict=True))
                    recall = hit_count / sum(map(len, exact_ids[name]))
                    print(f"{name}{form}: recall {recall:.3f}, {timing}", flush=True)
            indexes.close()
        catalog.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
