"""Provide collections for `bench search`: from a library, or of synthetic vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from searchapp.bench.index_bench import BenchStage, IndexBench, add_vectors, call_with_catalog
from searchapp.bench.synthetic_vectors import Shape, VectorSource
from searchapp.catalog import Catalog
from searchapp.files.library_folder import catalog_file, resolve_library_folder
from searchapp.models import select_collection
from searchapp.vectors import Ids, Vectors, unpack_vectors


def make_synthetic_bench(
    folder: Path, shape: Shape, count: int, dimensions: int, queries: int
) -> Iterator[BenchStage | IndexBench]:
    """Write a catalog of synthetic vectors; yield progress events, then the IndexBench."""
    source = VectorSource(shape, dimensions)
    query_vectors, warmup_vectors = source.draw_vectors(queries), source.draw_vectors(queries)
    folder.mkdir(parents=True, exist_ok=True)
    catalog = Catalog.open(catalog_file(folder), create=True)
    try:
        collection = catalog.add_collection(shape, "synthetic", "1", dimensions, "{}")
        done_count = 0
        for page in source.draw_pages(count):
            add_vectors(catalog, collection, page)
            done_count += len(page)
            yield BenchStage(f"writing vectors: {done_count:,} of {count:,}")
    finally:
        catalog.close()
    yield IndexBench(catalog_file(folder), collection, query_vectors, warmup_vectors, folder)


def make_library_bench(
    library: Path | None, name: str | None, folder: Path, queries: int
) -> IndexBench:
    """Make an IndexBench of a library's collection; its queries are randomly chosen vectors.

    Errors: LibraryError if the library or the collection does not exist.
    """
    file = catalog_file(resolve_library_folder(library))

    def build_bench(catalog: Catalog) -> IndexBench:
        collection = select_collection.get_collection(catalog, name)
        embedded = catalog.get_embeddings(collection)
        ids = embedded.read_ids(embedded.read_extent().last_id)
        drawn = np.random.default_rng(0).permutation(ids)[: 2 * queries]
        query_ids, warmup_ids = np.sort(drawn[: len(drawn) // 2]), drawn[len(drawn) // 2 :]

        def load_vectors(vector_ids: Ids) -> Vectors:
            pages = catalog.read_vectors(vector_ids.tolist())
            blobs = [blob for _, page in pages for blob in page]
            return unpack_vectors(blobs, collection.dimensions)

        return IndexBench(
            file, collection, load_vectors(query_ids), load_vectors(warmup_ids), folder, query_ids
        )

    return call_with_catalog(file, build_bench)
