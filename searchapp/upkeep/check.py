"""Check a library against itself and the disk, and mend what the catalogue can mend.

The catalogue is the truth: indexes and thumbnails are made of it again. What is wrong in the
catalogue is deleted where index brings it back; a damaged file needs a backup.
"""

from __future__ import annotations

import hashlib
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
from searchapp.types import Collection, Fault
from searchapp.vectors import VectorIndex, are_valid, unpack_vectors
from searchapp.vectors.indexes import Indexes

PROBE_QUERIES = 20  # vectors that the index is asked for
MIN_RECALL = 0.9  # of the ten nearest, that a trained index has to find
MAX_COSINE_ERROR = 1e-3  # of cosines that are the same
MAX_TEMPORARY_AGE_S = 3600.0  # seconds after which a temporary file belongs to nobody
BACKUP_HINT = "make it good from a backup of yours"


@dataclass(frozen=True, slots=True)
class LibraryCheck:
    """One library; files is how many are read again, None: all."""

    folder: Path
    catalog: Catalog
    file_count: int | None = 100

    def find_faults(self, *, repair: bool) -> Iterator[Fault]:
        """Yield what is wrong; with repair, after it was mended where it can be."""
        upkeep = self.catalog.get_maintenance()
        damage = upkeep.check_integrity()
        for problem in damage:
            yield Fault(f"the catalogue's file is damaged: {problem}", remedy="restore a backup")
        if damage:  # nothing that is read from it can be trusted
            return
        for table, count in upkeep.count_orphaned_rows():
            problem = f"{count:,} rows of {table} belong to nothing"
            yield self._make_fault(problem, upkeep.delete_orphaned_rows, repair)
        sound_collections = []
        for collection in self.catalog.list_collections():
            faults = list(self._check_vectors(collection, repair))
            yield from faults
            if repair or not faults:
                sound_collections.append(collection)
        for name, recorded_count, stored_count in upkeep.find_miscounted_collections():
            problem = (
                f"{name}: {recorded_count:,} embeddings are counted, {stored_count:,} are there"
            )
            yield self._make_fault(problem, upkeep.recount_embeddings, repair)
        for (
            collection
        ) in sound_collections:  # what an index finds among wrong vectors tells nothing
            yield from self._check_index(collection, repair)
        yield from self._check_files(repair)
        yield from self._find_leftovers(repair)

    @staticmethod
    def _make_fault(
        problem: str, apply_repair: Callable[[], object], repair: bool, remedy: str = ""
    ) -> Fault:
        if repair:
            apply_repair()
        return Fault(problem, remedy=remedy, mended=repair)

    def _check_vectors(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check every stored vector: its size, its length, and that it is of numbers."""
        upkeep, wrong_ids = self.catalog.get_maintenance(), list[int]()
        for ids, blobs in self.catalog.get_embeddings(collection).read_vectors_after(0):
            are_sound = are_valid(blobs, collection.dimensions)
            wrong_ids += [id for id, is_whole in zip(ids, are_sound, strict=True) if not is_whole]
        if wrong_ids:
            yield self._make_fault(
                f"{collection.name}: {len(wrong_ids):,} embeddings are no vectors of length one",
                partial(upkeep.delete_embeddings, wrong_ids),
                repair,
                "`searchapp index` embeds those images again",
            )

    def _check_index(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check the index file, what it holds, and what it finds."""
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
            problem = f"{file.name} is not as long as it was written"
        elif file is not None:
            problem = self._compare_ids(collection, file) or self._compare_search_results(
                collection
            )
        if problem:

            def rebuild_index() -> None:
                embedded.forget_saved_index()
                list(Indexes(self.folder, self.catalog).save_index(collection))

            yield self._make_fault(
                f"{collection.name}: the index: {problem}", rebuild_index, repair
            )

    def _check_milvus(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check what Milvus holds, and what it finds."""
        indexes = Indexes(self.folder, self.catalog)
        try:
            if not (problem := indexes.find_mismatch(collection)):
                problem = self._compare_search_results(collection, indexes)
            if problem:

                def resend_vectors() -> None:
                    list(indexes.save_index(collection, compare_all=True))

                yield self._make_fault(
                    f"{collection.name}: in Milvus: {problem}", resend_vectors, repair
                )
        except VectorStoreError as error:
            yield Fault(f"{collection.name}: {error}")
        finally:
            indexes.close()

    def _compare_ids(self, collection: Collection, file: Path) -> str | None:
        """Compare the ids that the file holds with those it is said to hold."""
        embedded = self.catalog.get_embeddings(collection)
        saved = embedded.read_saved_index()
        index = VectorIndex.open(
            file, collection.dimensions, fetch=self.catalog.read_vectors, kind=saved.kind
        )
        index_ids = np.sort(index.ids)
        if len(index_ids) != saved.count or len(np.unique(index_ids)) != len(index_ids):
            return f"holds {len(index_ids):,} vectors, and should hold {saved.count:,}"
        if saved.extent == embedded.read_extent():
            embedded_ids = embedded.read_ids(saved.last_id)
            if not np.array_equal(index_ids, embedded_ids):
                return "holds others than those that are embedded"
        return None

    def _compare_search_results(
        self, collection: Collection, indexes: Indexes | None = None
    ) -> str | None:
        """Compare what the index finds with a look at every vector."""
        index = (indexes or Indexes(self.folder, self.catalog)).open_index(collection)
        questions = unpack_vectors(
            self.catalog.get_embeddings(collection).sample_vectors(PROBE_QUERIES),
            collection.dimensions,
        )
        nearest_by_query = [list[tuple[float, int]]() for _ in questions]
        for ids, blobs in self.catalog.get_embeddings(collection).read_vectors_after(0):
            scores = questions @ unpack_vectors(blobs, collection.dimensions).T
            for nearest, row in zip(nearest_by_query, scores, strict=True):
                top = np.argsort(-row)[:10]
                nearest += [(float(row[n]), ids[n]) for n in top]
                nearest[:] = sorted(nearest, key=lambda one: (-one[0], one[1]))[:10]
        found = total = 0
        for question, nearest in zip(questions, nearest_by_query, strict=True):
            score_by_id = dict(index.search(question, len(nearest)))
            min_score = nearest[-1][0] - MAX_COSINE_ERROR  # of equals, any will do
            for ids, blobs in self.catalog.read_vectors(sorted(score_by_id)):
                true_scores = unpack_vectors(blobs, collection.dimensions) @ question
                found += sum(
                    score >= min_score and abs(score - score_by_id[id]) < MAX_COSINE_ERROR
                    for id, score in zip(ids, true_scores.tolist(), strict=True)
                )
            total += len(nearest)
        min_recall = 1.0 if index.is_exact else MIN_RECALL
        if found < min_recall * total:
            return f"finds {found:,} of the {total:,} nearest vectors"
        return None

    def _check_files(self, repair: bool) -> Iterator[Fault]:
        """Read files again whose size and time are as they were: their content has to be, too."""
        upkeep, changed = self.catalog.get_maintenance(), list[str]()
        for path, size, mtime_ns, sha256 in upkeep.sample_files(self.file_count):
            try:
                with storage.open_file(path) as (file, state):
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except PictureError:  # gone, or out of reach: that is for index to see
                continue
            if state == storage.FileState(size, mtime_ns) and found != sha256:
                changed.append(path)
        for path in changed:
            yield self._make_fault(
                f"{path}: other bytes than when it was indexed, at the same size and time",
                partial(upkeep.mark_for_reread, [path]),
                repair,
                f"`searchapp index` reads it again; if the disk is failing, {BACKUP_HINT}",
            )

    def _find_leftovers(self, repair: bool) -> Iterator[Fault]:
        """Find files in the library that nothing refers to."""
        index_files = {
            self.catalog.get_embeddings(c).read_saved_index().file
            for c in self.catalog.list_collections()
        }
        known_hashes = set(self.catalog.get_maintenance().read_hashes())
        temporary = chain(self.folder.glob("*.tmp"), self.folder.glob("thumbnails/*/*.tmp"))
        old_files = [
            file for file in temporary if time.time() - file.stat().st_mtime > MAX_TEMPORARY_AGE_S
        ]
        for problem, files in (
            ("temporary files are left over", old_files),
            (
                "index files belong to no collection",
                [f for f in self.folder.glob("collection-*.faiss") if f.name not in index_files],
            ),
            (
                "thumbnails are of images that are gone",
                [
                    file
                    for file in self.folder.glob("thumbnails/*/*.webp")
                    if file.name.partition("-")[0] not in known_hashes
                ],
            ),
        ):
            if files:
                yield self._make_fault(
                    f"{len(files):,} {problem}", partial(_unlink_files, files), repair
                )


def _unlink_files(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
