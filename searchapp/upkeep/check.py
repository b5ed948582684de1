"""Check the catalog, vectors, indexes and files of a library, and repair faults if possible.

The catalog is the source of truth: damaged indexes are built again from the catalog. Wrong rows of
the catalog are deleted if `searchapp index` can restore them. A damaged catalog file must be
restored from a backup.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog
from searchapp.errors import PictureError, VectorStoreError
from searchapp.files import storage
from searchapp.files.hash_file import hash_file
from searchapp.pictures import thumbnail_cache
from searchapp.types import Collection, Fault, SavedIndex, format_count
from searchapp.vectors import VectorIndex, are_valid, unpack_vectors
from searchapp.vectors.faiss_files.checksums import find_damage
from searchapp.vectors.faiss_files.save_vectors import (
    find_vector_file_damage,
    rewrite_vector_file,
)
from searchapp.vectors.faiss_files.vector_file import list_unused_files
from searchapp.vectors.indexes import Indexes

logger = logging.getLogger(__name__)

PROBE_QUERIES = 20  # stored vectors that are searched for
NEAREST_COUNT = 10  # nearest vectors that are compared for each probe query
MIN_RECALL = 0.9  # share of the nearest vectors that a trained index must find
MAX_COSINE_ERROR = 1e-3  # up to which two cosines count as equal
MAX_TEMPORARY_AGE_S = 3600.0  # An older temporary file belongs to no running process.


@dataclass(frozen=True, slots=True)
class LibraryCheck:
    """Finds the faults of a library, and repairs them on request.

    file_count: number of picture files whose content is compared with the catalog; None: all.
    """

    folder: Path
    catalog: Catalog
    file_count: int | None = 100

    def find_faults(self, *, repair: bool) -> Iterator[Fault]:
        """Yield all faults of the library; with repair, first repair each repairable fault."""
        upkeep = self.catalog.get_maintenance()
        damage = upkeep.check_integrity()
        for problem in damage:
            yield Fault(
                f"the catalog file is damaged: {problem}",
                remedy="restore a backup with `searchapp restore FILE`",
            )
        if damage:
            logger.info("Skipped all other checks: the catalog is damaged.")
            return
        for table, count in upkeep.count_orphaned_rows():
            problem = f"{format_count(count, 'orphaned row')} in the table {table}"
            yield self._make_fault(problem, upkeep.delete_orphaned_rows, repair)
        if text_damage := upkeep.find_text_damage():
            problem = f"the index of the words is wrong: {text_damage}"
            yield self._make_fault(problem, upkeep.rebuild_texts, repair)
        sound_collections = []
        for collection in self.catalog.list_collections():
            faults = list(self._check_vectors(collection, repair))
            yield from faults
            if repair or not faults:
                sound_collections.append(collection)
        for name, recorded_count, stored_count in upkeep.find_miscounted_collections():
            problem = (
                f"the collection {name} has {format_count(stored_count, 'embedding')}, but the "
                f"catalog states {recorded_count:,}"
            )
            yield self._make_fault(problem, upkeep.recount_embeddings, repair)
        # Collections with wrong vectors are left out: their search results cannot be compared.
        for collection in sound_collections:
            yield from self._check_index(collection, repair)
        yield from self._check_files(repair)
        yield from self._find_leftovers(repair)

    @staticmethod
    def _make_fault(
        problem: str, apply_repair: Callable[[], object], repair: bool, remedy: str = ""
    ) -> Fault:
        logger.info("%s a fault: %s.", "Repairing" if repair else "Found", problem)
        if repair:
            apply_repair()
        return Fault(problem, remedy=remedy, mended=repair)

    def _check_vectors(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check that all stored vectors have the right dimension, norm 1, and finite values."""
        upkeep, wrong_ids = self.catalog.get_maintenance(), list[int]()
        for ids, blobs in self.catalog.get_embeddings(collection).read_vectors_after(0):
            are_sound = are_valid(blobs, collection.dimensions)
            wrong_ids += [id for id, is_sound in zip(ids, are_sound, strict=True) if not is_sound]
        if wrong_ids:
            yield self._make_fault(
                f"the collection {collection.name} has invalid vectors: {len(wrong_ids):,} with a "
                "wrong dimension, a norm other than 1, or a value that is not finite",
                partial(upkeep.delete_embeddings, wrong_ids),
                repair,
                "run `searchapp index`, which embeds these images again",
            )

    def _check_index(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check the index of a collection: its file, its ids, and its search results."""
        if self.catalog.get_vector_stores(collection).find_current() is not None:
            yield from self._check_milvus(collection, repair)
            return
        embedded = self.catalog.get_embeddings(collection)
        saved = embedded.read_saved_index()
        file = self.folder / saved.file if saved.file else None
        problem = None
        if file is not None and not file.exists():
            problem = f"{file.name} is missing"
        elif file is not None and file.stat().st_size != saved.size:
            problem = f"the size of {file.name} changed since it was written"
        elif file is not None and (damage := find_damage(file, read_all=True)):
            problem = f"{file.name} cannot be used: {damage}"
        elif file is not None:
            problem = self._compare_ids(collection, file) or self._compare_search_results(
                collection
            )
        if problem:

            def rebuild_index() -> None:
                embedded.forget_saved_index()
                list(Indexes(self.folder, self.catalog).save_index(collection))

            yield self._make_fault(
                f"the index of the collection {collection.name} is wrong: {problem}",
                rebuild_index,
                repair,
            )
        elif file is not None:
            yield from self._check_vector_file(collection, file, saved, repair)

    def _check_vector_file(
        self, collection: Collection, index_file: Path, saved: SavedIndex, repair: bool
    ) -> Iterator[Fault]:
        embedded = self.catalog.get_embeddings(collection)
        arguments = (index_file, saved, embedded, collection.dimensions)
        if problem := find_vector_file_damage(*arguments):
            yield self._make_fault(
                f"the vector file of the collection {collection.name} is damaged: {problem}",
                partial(rewrite_vector_file, *arguments),
                repair,
            )

    def _check_milvus(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check the ids and the search results of a collection in Milvus."""
        indexes = Indexes(self.folder, self.catalog)
        try:
            if not (problem := indexes.find_mismatch(collection)):
                problem = self._compare_search_results(collection, indexes)
            if problem:

                def resend_vectors() -> None:
                    list(indexes.save_index(collection, compare_all=True))

                yield self._make_fault(
                    f"the copy of the collection {collection.name} in Milvus is wrong: {problem}",
                    resend_vectors,
                    repair,
                )
        except VectorStoreError as error:
            yield Fault(f"the collection {collection.name} in Milvus was not checked: {error}")
        finally:
            indexes.close()

    def _compare_ids(self, collection: Collection, file: Path) -> str | None:
        """Return how the ids in an index file differ from the catalog; None if they do not."""
        embedded = self.catalog.get_embeddings(collection)
        saved = embedded.read_saved_index()
        index = VectorIndex.open(
            file, collection.dimensions, fetch=self.catalog.read_vectors, kind=saved.kind
        )
        index_ids = np.sort(index.ids)
        if len(index_ids) != saved.count or len(np.unique(index_ids)) != len(index_ids):
            count = format_count(len(index_ids), "vector")
            return f"the index file holds {count} instead of {saved.count:,}"
        if saved.extent == embedded.read_extent():
            embedded_ids = embedded.read_ids(saved.last_id)
            if not np.array_equal(index_ids, embedded_ids):
                return "the vectors in the index file are not those in the catalog"
        return None

    def _compare_search_results(
        self, collection: Collection, indexes: Indexes | None = None
    ) -> str | None:
        """Return how search results differ from an exhaustive search; None if they do not."""
        index = (indexes or Indexes(self.folder, self.catalog)).open_index(collection)
        queries = unpack_vectors(
            self.catalog.get_embeddings(collection).sample_vectors(PROBE_QUERIES),
            collection.dimensions,
        )
        nearest_by_query = [list[tuple[float, int]]() for _ in queries]
        for ids, blobs in self.catalog.get_embeddings(collection).read_vectors_after(0):
            scores = queries @ unpack_vectors(blobs, collection.dimensions).T
            for nearest, row in zip(nearest_by_query, scores, strict=True):
                top = np.argsort(-row)[:NEAREST_COUNT]
                nearest += [(float(row[n]), ids[n]) for n in top]
                nearest[:] = sorted(nearest, key=lambda match: (-match[0], match[1]))[
                    :NEAREST_COUNT
                ]
        found_count = total = 0
        for query, nearest in zip(queries, nearest_by_query, strict=True):
            score_by_id = dict(index.search(query, len(nearest)))
            min_score = nearest[-1][0] - MAX_COSINE_ERROR  # Any of equal scores is right.
            for ids, blobs in self.catalog.read_vectors(sorted(score_by_id)):
                true_scores = unpack_vectors(blobs, collection.dimensions) @ query
                found_count += sum(
                    score >= min_score and abs(score - score_by_id[id]) < MAX_COSINE_ERROR
                    for id, score in zip(ids, true_scores.tolist(), strict=True)
                )
            total += len(nearest)
        min_recall = 1.0 if index.is_exact else MIN_RECALL
        if found_count < min_recall * total:
            return f"a search finds only {found_count:,} of the {total:,} nearest vectors"
        return None

    def _check_files(self, repair: bool) -> Iterator[Fault]:
        """Check the content of the files whose size and modification time have not changed."""
        upkeep, changed = self.catalog.get_maintenance(), list[tuple[str, bool]]()
        for path, indexed_state, sha256 in upkeep.sample_files(self.file_count):
            try:
                with storage.open_file(path) as (file, state):
                    if state != indexed_state:
                        continue
                    found_sha256 = hash_file(file, state)
            except PictureError:  # Missing files, too, are the task of `searchapp index`.
                continue
            if found_sha256 != sha256:
                changed.append((path, state.is_unchanged(indexed_state)))
        for path, is_overlooked in changed:
            advice = "run `searchapp index`, which reads this file again"
            if is_overlooked:  # The change time is unknown, or the same: the disk may be failing.
                first = "" if repair else "run `searchapp check --repair`, then "
                advice = f"{first}{advice}; if the disk is failing, restore the file from a backup"
            yield self._make_fault(
                f"{path}: the content of the file has changed since indexing, but its size and "
                "modification time have not",
                partial(upkeep.mark_for_reread, [path]),
                repair,
                advice,
            )

    def _find_leftovers(self, repair: bool) -> Iterator[Fault]:
        """Check for files that nothing uses any longer, and for broken thumbnails."""
        index_files = {
            self.catalog.get_embeddings(c).read_saved_index().file
            for c in self.catalog.list_collections()
        }
        known_hashes = set(self.catalog.get_maintenance().read_hashes())
        temporary_files = chain(
            self.folder.glob("*.tmp"), thumbnail_cache.list_temporary_files(self.folder)
        )
        unused_thumbnails, broken_thumbnails = list[Path](), list[Path]()
        for file in thumbnail_cache.list_thumbnails(self.folder):
            if thumbnail_cache.get_key(file) not in known_hashes:
                unused_thumbnails.append(file)
            elif thumbnail_cache.is_broken(file):
                broken_thumbnails.append(file)
        old_files = [
            file
            for file in temporary_files
            if time.time() - file.stat().st_mtime > MAX_TEMPORARY_AGE_S
        ]
        for noun, fault, files in (
            ("leftover temporary file", "", old_files),
            (
                "index file",
                " without a collection",
                list_unused_files(self.folder, index_files),
            ),
            ("thumbnail", " without an image", unused_thumbnails),
            ("empty or cut-off thumbnail", "", broken_thumbnails),
        ):
            if files:
                problem = f"{format_count(len(files), noun)}{fault}"
                yield self._make_fault(problem, partial(_unlink_files, files), repair)


def _unlink_files(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
