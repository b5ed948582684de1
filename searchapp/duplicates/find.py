"""Find duplicates: fingerprint new pictures, choose candidate pairs, judge and group them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog
from searchapp.duplicates import candidates, make_fingerprints
from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.duplicates.inspect_pairs import PairInspector
from searchapp.duplicates.judge_pairs import Entries, PairJudge
from searchapp.duplicates.make_groups import GroupMaker
from searchapp.duplicates.review_store import ReviewStore
from searchapp.files.lock import hold_writer_lock
from searchapp.models import select_collection
from searchapp.search.ranking import resolve_filter_folder
from searchapp.types import (
    Collection,
    ComparisonStarted,
    DuplicateOptions,
    Duplicates,
    DuplicatesFound,
    Failure,
    FileFailed,
    Progress,
)
from searchapp.types.duplicates import MAX_LISTED_FAILURES
from searchapp.types.filter_values import list_values
from searchapp.vectors import Ids, Vectors, unpack_vectors
from searchapp.vectors.indexes import Indexes

# Minimal cosines lie between the typical cosine of two pictures, which depends on the model, and
# 1: typical + share * (1 - typical).
NEAR_SHARE, SIMILAR_SHARE = 0.7, 0.9
MAX_TYPICAL_COSINE = 0.6  # a small library may hold mostly similar pictures
SAMPLE_EMBEDDINGS = 1000
APPROXIMATE_COSINE_ERROR = 0.03  # of an index with compressed vectors


def find_reviewed_duplicates(
    folder: Path,
    catalog: Catalog,
    indexes: Indexes,
    reviews: ReviewStore,
    options: DuplicateOptions,
) -> Iterator[Progress | FileFailed | ComparisonStarted | DuplicatesFound]:
    """Find duplicates as DuplicateFinder does, and apply the choices of earlier reviews."""
    collection = select_collection.get_collection(catalog, options.collection)
    finder = DuplicateFinder(folder, catalog, indexes, collection, options)
    for event in finder.find_duplicates():
        if isinstance(event, DuplicatesFound):
            yield DuplicatesFound(reviews.apply(event.duplicates, show_all=options.reviewed))
        else:
            yield event


class DuplicateFinder:
    """Finds the duplicates in a collection. Make a new object for each search."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        indexes: Indexes,
        collection: Collection,
        options: DuplicateOptions,
    ) -> None:
        """Prepare a search for duplicates in the library at `folder`.

        Errors: QueryError if the folder that the filter names cannot be used.
        """
        self._folder = folder
        self._catalog = catalog
        self._indexes = indexes
        self._collection = collection
        filter_folder = resolve_filter_folder(options.base_filter).folder
        self._options = replace(options, folder=filter_folder)
        self._store = catalog.get_fingerprints(prints.FINGERPRINT_VERSION)
        self._failed_count = 0
        self._failures: list[Failure] = []  # the first of them

    def find_duplicates(
        self,
    ) -> Iterator[Progress | FileFailed | ComparisonStarted | DuplicatesFound]:
        """Find duplicates among the pictures that match the filter; yield events.

        The last event is DuplicatesFound.
        Errors: LibraryError if searchapp must read pictures while another process writes to the
        library.
        """
        embedding_ids, selected_ids = self._select_embeddings()
        yield from self._make_fingerprints(selected_ids)
        fingerprinted_ids, hashes = self._store.read_hashes()
        has_fingerprint = np.isin(selected_ids, fingerprinted_ids, assume_unique=True)
        embedding_ids, image_ids = embedding_ids[has_fingerprint], selected_ids[has_fingerprint]
        hashes = hashes[np.searchsorted(fingerprinted_ids, image_ids)]
        yield ComparisonStarted(len(image_ids))
        typical_cosine = self._measure_typical_cosine()
        near_cosine, similar_cosine = (
            typical_cosine + share * (1 - typical_cosine) for share in (NEAR_SHARE, SIMILAR_SHARE)
        )
        near_pairs, cosines = self._find_near_pairs(embedding_ids, near_cosine)
        entries = self._list_entries(image_ids, hashes)
        hash_pairs = entries.drop_pairs_without_meaning(
            candidates.find_pairs_by_hash(entries.hashes)
        )
        pairs_to_compare = [entries.add_contents(near_pairs[cosines >= near_cosine]), hash_pairs]
        folders = [str(folder) for folder in list_values(self._options.folder)]
        images = ExistingImages(self._catalog, self._store, image_ids, folders)
        inspector = PairInspector(self._store, images, image_ids)
        judge = PairJudge(
            self._catalog,
            self._collection,
            self._store,
            images,
            embedding_ids,
            image_ids,
            entries,
            inspector,
            typical_cosine,
        )
        found, same_pixel_pairs = judge.find_candidates(
            np.unique(np.concatenate(pairs_to_compare), axis=0)
        )
        if len(same_pixel_pairs):
            yield from self._make_pixel_hashes(image_ids[np.unique(same_pixel_pairs)])
        verdicts = judge.find_same_pixels(same_pixel_pairs)
        with ExitStack() as stack:
            if inspector.has_new_pairs(found):
                stack.enter_context(hold_writer_lock(self._folder, "searchapp duplicates"))
                stack.callback(inspector.save_results)  # also if the search is interrupted
            yield from judge.judge_pairs(found, verdicts)
            maker = GroupMaker(self._store, images, image_ids, judge)
            groups = maker.make_duplicate_groups(verdicts, selected_ids)
        similar = (
            tuple(maker.make_look_alike_groups(near_pairs, cosines, similar_cosine, groups))
            if self._options.similar
            else ()
        )
        groups.sort(key=lambda group: (-group.others_size_bytes, group.keeper.path))
        grouped_ids = {copy.image_id for group in groups for copy in (group.keeper, *group.others)}
        left_out = set(image_ids[[*inspector.unreadable_positions]].tolist()) - grouped_ids
        yield DuplicatesFound(
            Duplicates(
                tuple(groups),
                similar,
                len(image_ids) - images.missing_count,
                self._failed_count,
                len(left_out),
                missing=images.missing_count,
                failures=tuple(self._failures),
            )
        )

    def _select_embeddings(self) -> tuple[Ids, Ids]:
        """Return the ids of the embeddings that match the filter, and of their images, [n] each."""
        embedding_ids, image_ids = self._store.read_embedding_ids(self._collection)
        filter = self._options.base_filter
        if filter.has_conditions:
            matching_ids = self._catalog.filters.find_embedding_ids(self._collection.id, filter)
            is_selected = np.isin(embedding_ids, matching_ids)
            return embedding_ids[is_selected], image_ids[is_selected]
        return embedding_ids, image_ids

    def _list_entries(self, image_ids: Ids, hashes: prints.Hashes) -> Entries:
        """Return what is compared: the pictures, and the contents of those with a border."""
        content_ids, content_hashes = self._store.read_content_hashes()
        is_selected = np.isin(content_ids, image_ids)
        return Entries(
            np.concatenate([hashes, content_hashes[is_selected]]),
            np.concatenate(
                [
                    np.arange(len(image_ids)),
                    np.searchsorted(image_ids, content_ids[is_selected]),
                ]
            ),
            len(image_ids),
        )

    def _make_fingerprints(self, image_ids: Ids) -> Iterator[Progress | FileFailed]:
        missing = np.setdiff1d(image_ids, self._store.read_hashes()[0])
        if len(missing):
            with hold_writer_lock(self._folder, "searchapp duplicates"):
                for event in make_fingerprints.make_fingerprints(self._store, missing):
                    if isinstance(event, FileFailed):
                        self._failed_count += 1
                        if len(self._failures) < MAX_LISTED_FAILURES:
                            self._failures.append(event.failure)
                    yield event

    def _make_pixel_hashes(self, image_ids: Ids) -> Iterator[Progress]:
        known = self._store.read_pixel_hashes(image_ids)
        missing = np.setdiff1d(image_ids, np.fromiter(known, np.int64))
        if len(missing):
            with hold_writer_lock(self._folder, "searchapp duplicates"):
                for event in make_fingerprints.make_pixel_hashes(self._store, missing):
                    # A failure here costs nothing: the pair stays "near".
                    if isinstance(event, Progress):
                        yield event

    def _measure_typical_cosine(self) -> float:
        """Return the median cosine of pairs of pictures, at most MAX_TYPICAL_COSINE.

        The cosine limits for duplicates depend on this value: with some models, the embeddings of
        unrelated pictures are nearer to each other than with other models.
        """
        blobs = self._catalog.get_embeddings(self._collection).sample_vectors(SAMPLE_EMBEDDINGS)
        if len(blobs) < 2:
            return 0.0
        vectors = unpack_vectors(blobs, self._collection.dimensions)
        cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        return min(float(np.median(cosines)), MAX_TYPICAL_COSINE)

    def _find_near_pairs(self, embedding_ids: Ids, near_cosine: float) -> tuple[Ids, Vectors]:
        """Return pairs of near embeddings and their cosines, [n].

        Pairs are positions in embedding_ids, [n, 2].
        """
        index, probes = candidates.get_pair_index(
            self._catalog, self._indexes, self._collection, embedding_ids
        )
        if len(embedding_ids) <= candidates.MAX_EXACT_VECTORS:
            pages = self._catalog.read_vectors(embedding_ids.tolist())
        else:
            pages = self._catalog.get_embeddings(self._collection).read_vectors_after(0)
        min_cosine = near_cosine - (APPROXIMATE_COSINE_ERROR if probes else 0.0)
        return candidates.find_pairs_by_embedding(index, probes, pages, embedding_ids, min_cosine)
