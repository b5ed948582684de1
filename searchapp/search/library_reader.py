"""What searches, the server and the map read from an open library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog import Catalog, LocatedImage, raise_library_errors, wrap_sqlite_errors
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.models import ModelSpec, select_collection
from searchapp.search.good_match import JudgeCache, QueryKind
from searchapp.search.ranking import Ranking, resolve_filter_folder
from searchapp.types import Collection, SearchOptions, SearchResult
from searchapp.vectors import unpack_vectors
from searchapp.vectors.indexes import Indexes


class LibraryReader:
    """Read collections, vectors, images and nearest matches from an open library.

    Internal: users call Library, which owns the catalog and the indexes. Not for use by several
    threads at once. All methods raise LibraryError if SQLite fails.
    """

    def __init__(self, folder: Path, catalog: Catalog, indexes: Indexes) -> None:
        """Read through the connections of a library."""
        self.folder = folder
        self.judges = JudgeCache(catalog)
        self._catalog, self._indexes = catalog, indexes
        self._ranking = Ranking(catalog, indexes, self.judges)

    @raise_library_errors
    def choose_collection(self, options: SearchOptions) -> tuple[Collection, ModelSpec]:
        """Return the collection to search, and the model that embeds the query."""
        return select_collection.select_for_search(self._catalog, options)

    @raise_library_errors
    def choose_model(self, name: str, revision: str, space: Mapping[str, Any]) -> ModelSpec:
        """Return the model of the collection whose vectors are from a space; LibraryError."""
        return select_collection.find_model_by_space(self._catalog, name, revision, space)

    @raise_library_errors
    def read_vector(self, collection: Collection, image_id: int) -> Vector:
        """Return an indexed image's vector, [dimensions]; QueryError if there is none."""
        stored = self._catalog.read_vector(collection, image_id)
        if stored is None:
            raise QueryError(f"no image {image_id} in the collection {collection.name}")
        vector: Vector = unpack_vectors([stored], collection.dimensions)[0]
        return vector

    def read_vectors(
        self, collection: Collection, ids: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """Yield embeddings in pages: ids [m], and vectors [m, dimensions], of length one."""
        with wrap_sqlite_errors(self.folder):
            for page, blobs in self._catalog.read_vectors(ids.tolist()):
                if page:
                    yield np.array(page, np.int64), unpack_vectors(blobs, collection.dimensions)

    @raise_library_errors
    def find_matching(self, options: SearchOptions) -> tuple[Collection, NDArray[np.int64]]:
        """Return a collection, and the ids of its embeddings that pass the filter, [n].

        Errors: QueryError, for the filter.
        """
        collection = select_collection.get_collection(self._catalog, options.collection)
        return collection, self._catalog.find_embedding_ids(
            collection, resolve_filter_folder(options.base_filter)
        )

    @raise_library_errors
    def find_nearest(
        self,
        collection: Collection,
        vector: Vector,
        options: SearchOptions,
        kind: QueryKind | None = None,
    ) -> SearchResult:
        """Return the images whose vectors are nearest to one, best first, ties by age.

        kind: what the query consists of, if matches can be judged by it.
        Errors: QueryError, for the filter, or if min_score "auto" cannot be judged.
        """
        return self._ranking.find_nearest(collection, vector, options, kind)

    @raise_library_errors
    def locate_images(self, ids: Sequence[int]) -> dict[int, LocatedImage]:
        """Return, by embedding id, the images that have files, and where these are."""
        return self._catalog.locate_images(list(ids))

    @raise_library_errors
    def locate_image(self, image_id: int) -> LocatedImage | None:
        """Return an image and where its files are; None if it has none."""
        return self._catalog.find_image(image_id)

    def close_exclusive_files(self) -> None:
        """Close files that only one process can open at a time; a search opens them again."""
        self._indexes.release_files()
