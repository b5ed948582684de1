"""Read from an open library: the read access of searches, the server and the map."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog import (
    Catalog,
    LocatedImage,
    StoredExample,
    TextQuery,
    raise_library_errors,
    wrap_sqlite_errors,
)
from searchapp.engines import Vector
from searchapp.errors import PictureError, QueryError, SearchAppError
from searchapp.files import storage
from searchapp.models import ModelSpec, select_collection
from searchapp.search.good_match import JudgeCache, QueryKind
from searchapp.search.hit_list import sort_hits
from searchapp.search.nearest_together import NearestQuestion, find_nearest_together
from searchapp.search.ranking import Ranking, list_warnings, resolve_filter_folder
from searchapp.types import (
    Area,
    Collection,
    Facets,
    Filter,
    Hit,
    PictureName,
    PlaceCluster,
    SearchOptions,
    SearchResult,
    TextLine,
    Timeline,
)
from searchapp.types.info import EMPTY_FACETS, EMPTY_TIMELINE
from searchapp.vectors import unpack_vectors
from searchapp.vectors.indexes import Indexes

HIT_PAGE = 1000  # images whose files are looked up at once


class LibraryReader:
    """Read collections, vectors, images and nearest matches from an open library.

    Internal: users call Library, which owns the catalog and the indexes. Not thread-safe.
    All methods raise LibraryError if SQLite fails.
    """

    def __init__(self, folder: Path, catalog: Catalog, indexes: Indexes) -> None:
        """Use the catalog and the indexes of an open library; the caller closes them."""
        self.folder = folder
        self.judges = JudgeCache(catalog)
        self._catalog, self._indexes = catalog, indexes
        self._ranking = Ranking(catalog, indexes, self.judges)

    @raise_library_errors
    def choose_collection(self, options: SearchOptions) -> tuple[Collection, ModelSpec]:
        """Return the collection to search, and the model that embeds the query.

        Raises LibraryError if there is no such collection, ModelError if its model is not usable.
        """
        return select_collection.select_for_search(self._catalog, options)

    @raise_library_errors
    def choose_nonempty_collection(self, options: SearchOptions) -> tuple[Collection, ModelSpec]:
        """Choose a collection as choose_collection does; raise LibraryError if it is empty."""
        return select_collection.select_nonempty(self._catalog, options)

    @raise_library_errors
    def choose_model(self, name: str, revision: str, space: Mapping[str, Any]) -> ModelSpec:
        """Return the model of a collection that has this model name, revision and vector space.

        space: as in ModelSpec.vector_space. Raises LibraryError if there is no such collection.
        """
        return select_collection.find_model_by_space(self._catalog, name, revision, space)

    @raise_library_errors
    def read_vector(self, collection: Collection, image_id: int) -> Vector:
        """Return the vector of an image, [dimensions]; raise QueryError if the image has none."""
        stored = self._catalog.read_vector(collection, image_id)
        if stored is None:
            raise QueryError(
                f"no image {image_id} in the collection {collection.name}; search again for its id"
            )
        vector: Vector = unpack_vectors([stored], collection.dimensions)[0]
        return vector

    @raise_library_errors
    def find_example(self, collection: Collection, image: PictureName) -> StoredExample | None:
        """Return an image of a collection by its id, or by the path of a file that it knows.

        The file can be gone, or on a drive that is not mounted. Raises PictureError if the path is
        not valid.
        """
        examples = self._catalog.get_example_images(collection)
        if isinstance(image, int):
            return examples.find_by_id(image)
        path = storage.normalize_folder(image, lambda message: PictureError(message, "read"))
        found = examples.find_by_path(path)
        if found is None and not storage.is_url(path):
            found = examples.find_by_path(os.path.realpath(path))
        return found

    @raise_library_errors
    def find_example_by_content(self, collection: Collection, sha256: str) -> StoredExample | None:
        """Return an image of a collection by the SHA-256 of its file."""
        return self._catalog.get_example_images(collection).find_by_content(sha256)

    def read_vectors(
        self, collection: Collection, ids: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """Yield pages of embeddings: ids [m], and vectors with norm 1 [m, dimensions]."""
        with wrap_sqlite_errors(self.folder):
            for page, blobs in self._catalog.read_vectors(ids.tolist()):
                if page:
                    yield np.array(page, np.int64), unpack_vectors(blobs, collection.dimensions)

    @raise_library_errors
    def find_matching(self, options: SearchOptions) -> tuple[Collection, NDArray[np.int64]]:
        """Return options' collection, and the ids of its embeddings that match the filter, [n].

        Raises QueryError if the filter is invalid.
        """
        collection = select_collection.get_collection(self._catalog, options.collection)
        return collection, self._catalog.filters.find_embedding_ids(
            collection.id, resolve_filter_folder(options.base_filter)
        )

    @raise_library_errors
    def list_paths(self, collection: str | None, image_filter: Filter) -> list[str]:
        """Return the paths of all files of a collection's images that match a filter.

        Raises QueryError if the filter is invalid, LibraryError if there is no such collection.
        """
        chosen = select_collection.get_collection(self._catalog, collection)
        ids = self._catalog.filters.find_embedding_ids(
            chosen.id, resolve_filter_folder(image_filter)
        ).tolist()
        paths = dict[str, None]()
        for start in range(0, len(ids), HIT_PAGE):
            located = self._catalog.locate_images(ids[start : start + HIT_PAGE])
            paths.update((path, None) for image in located.values() for path in image.paths)
        return list(paths)

    @raise_library_errors
    def list_warnings(self, image_filter: Filter) -> tuple[str, ...]:
        """Return why no picture can match a filter, such as an unknown folder."""
        return list_warnings(self._catalog, resolve_filter_folder(image_filter))

    @raise_library_errors
    def find_nearest(
        self,
        collection: Collection,
        vector: Vector,
        options: SearchOptions,
        kind: QueryKind | None = None,
        text: TextQuery | None = None,
        left_out: frozenset[int] = frozenset(),
    ) -> SearchResult:
        """Return the hits nearest to a vector, best first; equal scores by age, oldest first.

        The caller sorts the hits by options.sort, after it has cut the page that it shows.
        kind: the kind of the query; None if good matches cannot be judged for it. text: words whose
        images are fused with the nearest ones; its phrases must occur. left_out: ids of
        embeddings that are not among the hits.
        Raises QueryError if the filter is invalid, or min_score is "auto" without a judge.
        """
        return self._ranking.find_nearest(collection, vector, options, kind, text, left_out)

    @raise_library_errors
    def find_nearest_together(
        self, questions: Sequence[NearestQuestion]
    ) -> list[SearchResult | SearchAppError]:
        """Return the result of find_nearest for each question, or its error."""
        return find_nearest_together(self._ranking, self._indexes, questions)

    @raise_library_errors
    def find_by_text(self, text: TextQuery, options: SearchOptions) -> SearchResult:
        """Return the images whose names, captions or recognized text contain the words.

        The best level of match comes first, and in it the oldest image. Raises QueryError if the
        filter is invalid, LibraryError if there is no such collection.
        """
        collection = select_collection.select_by_name(self._catalog, options)
        return self._ranking.find_by_text(collection, text, options)

    @raise_library_errors
    def count_images_and_files(self) -> tuple[int, int]:
        """Return the number of images that have a file, and the number of files."""
        return self._catalog.count_images_and_files()

    @raise_library_errors
    def locate_images(self, ids: Sequence[int]) -> dict[int, LocatedImage]:
        """Return the images of embeddings by embedding id; leave out images without a file."""
        return self._catalog.locate_images(list(ids))

    @raise_library_errors
    def locate_image(self, image_id: int) -> LocatedImage | None:
        """Return an image with the paths of its files; None if it has no file."""
        return self._catalog.find_image(image_id)

    @raise_library_errors
    def locate_images_by_id(self, image_ids: Sequence[int]) -> dict[int, LocatedImage]:
        """Return images by image id; leave out images without a file."""
        return self._catalog.find_images(list(image_ids))

    @raise_library_errors
    def count_facets(self, image_filter: Filter, collection: str | None, find: str) -> Facets:
        """Count images by facet; see Library.count_facets. find: see facets.count_facets.

        A library without a collection has no images.
        """
        if collection is None and not self._catalog.list_collections():
            return EMPTY_FACETS
        chosen = select_collection.get_collection(self._catalog, collection)
        return self._catalog.filters.count_facets(
            chosen.id, resolve_filter_folder(image_filter), find
        )

    @raise_library_errors
    def list_timeline(self, image_filter: Filter, collection: str | None) -> Timeline:
        """List a collection's images that match a filter, newest first, grouped by day.

        A library without a collection has no images. Raises QueryError if the filter is invalid,
        LibraryError if there is no such collection.
        """
        if collection is None and not self._catalog.list_collections():
            return EMPTY_TIMELINE
        chosen = select_collection.get_collection(self._catalog, collection)
        return self._catalog.filters.list_timeline(chosen.id, resolve_filter_folder(image_filter))

    @raise_library_errors
    def list_place_clusters(
        self, image_filter: Filter, collection: str | None, cell: float, within: Area | None
    ) -> list[PlaceCluster]:
        """Group a collection's images that match a filter by place: see group_places.

        A library without a collection has no images. Raises QueryError if the filter is invalid,
        LibraryError if there is no such collection.
        """
        if collection is None and not self._catalog.list_collections():
            return []
        chosen = select_collection.get_collection(self._catalog, collection)
        return self._catalog.filters.list_place_clusters(
            chosen.id, resolve_filter_folder(image_filter), cell, within
        )

    @raise_library_errors
    def find_similar(self, image_id: int, options: SearchOptions) -> SearchResult:
        """Return the hits nearest to an indexed image, in the order of options.sort.

        Raises QueryError if the filter is invalid, or the collection does not have the image.
        """
        collection = select_collection.get_collection(self._catalog, options.collection)
        vector = self.read_vector(collection, image_id)
        result = self.find_nearest(collection, vector, options, "image")
        return replace(result, hits=tuple(sort_hits(result.hits, options.sort)))

    @raise_library_errors
    def find_newest(self, options: SearchOptions) -> SearchResult:
        """Return the images that match a filter, newest first, as hits with score 0.

        Raises QueryError if the filter is invalid, LibraryError if there is no such collection.
        """
        collection = select_collection.select_by_name(self._catalog, options)
        image_ids = self.list_timeline(options.base_filter, collection.name).image_ids
        hits, end = list[Hit](), options.offset + options.count
        for start in range(0, len(image_ids), HIT_PAGE):
            page = image_ids[start : start + HIT_PAGE]
            hits += self._ranking.list_hits(page, options.base_filter)
            if len(hits) >= end:
                break
        warnings = () if image_ids else self.list_warnings(options.base_filter)
        return SearchResult(tuple(hits[options.offset : end]), None, warnings)

    @raise_library_errors
    def read_hits(self, image_ids: Sequence[int]) -> list[Hit]:
        """Return images with their files and metadata as hits with score 0, in the given order.

        Images that the library does not have, and images without an existing file, are left out.
        """
        return self._ranking.list_hits(image_ids, Filter())

    @raise_library_errors
    def read_text(self, image_id: int) -> list[TextLine] | None:
        """Return the lines of text in an image; None if they were not recognized yet."""
        return self._catalog.recognized_texts.read_lines(image_id)

    def close_exclusive_files(self) -> None:
        """Close Milvus Lite files, which only one process can open; searches open them again."""
        self._indexes.release_files()
