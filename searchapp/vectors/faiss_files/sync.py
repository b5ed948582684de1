"""Keep the FAISS index of a collection in step with the catalog, in memory and on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, CollectionEmbeddings
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error
from searchapp.types import Collection, EmbeddingExtent, IndexBuilding, SavedIndex
from searchapp.vectors import RemovalUnsupportedError, VectorIndex, unpack_vectors
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.checksums import find_damage
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.save_vectors import restore_vector_file, save_vector_file

MAX_CHEAP_SAVE_BYTES = 32 << 20  # an index file up to this size is written in a moment

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _OpenIndex:
    index: VectorIndex
    file: str | None
    extent: EmbeddingExtent


class FaissSync:
    """The FAISS index files of a library's collections. Not thread-safe."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        policy: IndexPolicy = IndexPolicy(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Read and write the index files in a folder.

        Long work calls tick every few seconds; an exception from tick ends the work.
        """
        self._folder = folder
        self._catalog = catalog
        self._policy = policy
        self._tick = tick
        self._opened: dict[int, _OpenIndex] = {}

    def open_index(self, collection: Collection) -> VectorIndex:
        """Return the index to search: the mapped index file, and the vectors embedded after it."""
        embedded = self._catalog.get_embeddings(collection)
        saved = self._read_saved_index(collection)
        opened = self._opened.get(collection.id)
        if opened is None or opened.file != saved.file:
            opened = self._open_file(collection, saved, writable=False)
            if (
                len(opened.index) < saved.count
                and (newer := self._read_saved_index(collection)) != saved
            ):
                # Another process has replaced the file since the first read of the catalog.
                opened = self._open_file(collection, newer, writable=False)
            self._opened[collection.id] = opened
        now = embedded.read_extent()
        if opened.extent == now:
            return opened.index
        requested = embedded.read_requested_kind()
        kind = self._choose_kind(collection, requested, opened.index.kind, now.count)
        if len(opened.index) == 0 and kind != choose_index.EXACT:
            # Without a usable file, an exact index of all vectors would need too much memory.
            logger.info(
                "Building the index %s of the collection %s in memory", kind, collection.name
            )
            opened.index, opened.extent = self.build_index(collection, kind)
        else:
            try:
                self._catch_up(opened, embedded, collection)
            except RemovalUnsupportedError:
                _log_removal_unsupported(collection, opened.index.kind)
                opened.index, opened.extent = self.build_index(collection, kind)
        return opened.index

    def save_index(self, collection: Collection) -> Iterator[IndexBuilding]:
        """Bring the index file in step with the catalog, and yield an event before a rebuild.

        An index is rebuilt if its kind or training no longer suits the collection. The old file
        answers queries until the catalog names the new file.
        """
        embedded = self._catalog.get_embeddings(collection)
        saved, now, requested = (
            self._read_saved_index(collection),
            embedded.read_extent(),
            embedded.read_requested_kind(),
        )
        kind = self._choose_rebuild_kind(collection, saved, now, requested)
        if kind is None and saved.extent == now and not self._find_file_problem(saved):
            if saved.kind != choose_index.EXACT and saved.file:
                file = self._folder / saved.file
                restore_vector_file(file, saved, embedded, collection.dimensions)
            return
        if kind is not None:
            reason = self._explain_rebuild(saved, now, requested, kind)
            logger.info(
                "Building the index %s of the collection %s: %s", kind, collection.name, reason
            )
        else:
            opened = self._open_file(collection, saved, writable=True)
            is_empty = len(opened.index) == 0
            try:
                if not is_empty or saved.kind == choose_index.EXACT:
                    self._catch_up(opened, embedded, collection)
                    made_for = saved.made_for if not is_empty else requested
                    trained = saved.trained if not is_empty else now.count
                    self._commit(collection, opened.index, opened.extent, made_for, trained)
                    return
            except RemovalUnsupportedError:
                _log_removal_unsupported(collection, saved.kind)
            kind = self._choose_kind(collection, requested, saved.kind, now.count)
        if kind != choose_index.EXACT:
            yield IndexBuilding(now.count, kind)
        index, extent = self.build_index(collection, kind)
        self._commit(collection, index, extent, requested, extent.count)

    def is_save_due(self, collection: Collection) -> bool:
        """Return whether an index run should save the index now, before the run ends.

        It should if many vectors are not saved yet, or if another index must be built. This check
        is fast.

        A new collection waits for min_unsaved_vectors: an index trained with few vectors is soon
        replaced.
        """
        embedded = self._catalog.get_embeddings(collection)
        saved, now = self._read_saved_index(collection), embedded.read_extent()
        unsaved_count = now.count - saved.count
        min_unsaved = max(
            self._policy.min_unsaved_vectors, int(saved.count * self._policy.min_unsaved_share)
        )
        if unsaved_count >= min_unsaved:
            return True
        kind = self._choose_rebuild_kind(collection, saved, now, embedded.read_requested_kind())
        return kind is not None and now.count >= self._policy.min_unsaved_vectors

    def is_cheap_to_save(self, collection: Collection) -> bool:
        """Return whether the index file is small enough to write it fast."""
        return (
            self._catalog.get_embeddings(collection).read_saved_index().size <= MAX_CHEAP_SAVE_BYTES
        )

    def plan_rebuild(self, collection: Collection) -> IndexBuilding | None:
        """Return the rebuild that save_index would start now; None if it needs no training."""
        embedded = self._catalog.get_embeddings(collection)
        saved, now = self._read_saved_index(collection), embedded.read_extent()
        kind = self._choose_rebuild_kind(collection, saved, now, embedded.read_requested_kind())
        return IndexBuilding(now.count, kind) if kind not in (None, choose_index.EXACT) else None

    def _read_saved_index(self, collection: Collection) -> SavedIndex:
        """Return the record of the index file; an empty record if Milvus answers the searches."""
        if self._catalog.get_vector_stores(collection).find_current() is not None:
            return SavedIndex()
        return self._catalog.get_embeddings(collection).read_saved_index()

    def _choose_kind(self, collection: Collection, requested: str, kind: str, count: int) -> str:
        """Return the kind of index that suits count vectors of a collection."""
        return choose_index.choose_kind(requested, kind, count, collection.dimensions, self._policy)

    def _choose_rebuild_kind(
        self, collection: Collection, saved: SavedIndex, now: EmbeddingExtent, requested: str
    ) -> str | None:
        """Return the kind of index to build; None if the present index can stay."""
        kind = self._choose_kind(collection, requested, saved.kind, now.count)
        if saved.made_for != requested:
            return None if kind == saved.kind else kind
        if kind == choose_index.EXACT:
            return None if saved.kind == choose_index.EXACT else kind
        if requested == choose_index.AUTO and saved.kind == choose_index.EXACT:
            # An exact index above max_exact_vectors: its vectors were too few to train a kind.
            was_trained = saved.trained > self._policy.max_exact_vectors
        else:
            was_trained = True
        has_outgrown = now.count > saved.trained * self._policy.retrain_growth
        return kind if has_outgrown or not was_trained else None

    def _explain_rebuild(
        self, saved: SavedIndex, now: EmbeddingExtent, requested: str, kind: str
    ) -> str:
        """Return why save_index builds a new index, for the log."""
        if saved.made_for != requested:
            return f"--index {requested} was requested; the present index has the kind {saved.kind}"
        if (kind == choose_index.EXACT) != (saved.kind == choose_index.EXACT):
            bound = self._policy.max_exact_vectors
            return f"it has {now.count:,} vectors; an exact index is for at most {bound:,}"
        return f"it has {now.count:,} vectors; the old index was trained with {saved.trained:,}"

    def _find_file_problem(self, saved: SavedIndex, *, read_all: bool = False) -> str | None:
        """Return why the index file cannot be used; None if size and checksums are right.

        read_all: compare all checksums: see checksums.find_damage.
        """
        if not saved.file:
            return "no index file was saved"
        file = self._folder / saved.file
        if not file.exists():
            return "it does not exist"
        size = file.stat().st_size
        if size != saved.size:
            return f"it has {size:,} bytes, not {saved.size:,}"
        return find_damage(file, read_all=read_all)

    def _open_file(
        self, collection: Collection, saved: SavedIndex, *, writable: bool
    ) -> _OpenIndex:
        """Open the index file; return an empty index if the file cannot be used.

        The size of the file is checked first: reading a mapped file beyond its end would kill the
        process. A writable index is saved with new checksums, so all old ones are compared first.
        """
        problem = self._find_file_problem(saved, read_all=writable)
        if saved.file and problem is None:
            index = VectorIndex.open(
                self._folder / saved.file, collection.dimensions,
                fetch=self._catalog.read_vectors, kind=saved.kind, writable=writable,
                last_id=saved.last_id,
            )  # fmt: skip
            if len(index) == saved.count:
                return _OpenIndex(index, saved.file, saved.extent)
            problem = f"it has {len(index):,} vectors, not {saved.count:,}"
        if saved.file:
            logger.info(
                "Cannot use the index file %s of the collection %s: %s. "
                "Reading the vectors from the catalog",
                saved.file, collection.name, problem,
            )  # fmt: skip
        index = VectorIndex(collection.dimensions, fetch=self._catalog.read_vectors)
        return _OpenIndex(index, saved.file, EmbeddingExtent())

    def _catch_up(
        self, opened: _OpenIndex, embedded: CollectionEmbeddings, collection: Collection
    ) -> None:
        """Add the catalog's new vectors to an open index, and remove deleted vectors from it.

        If no embedding was deleted, the new vectors are those after the last id in the index.
        """
        index, now = opened.index, embedded.read_extent()
        if opened.extent.deletions == now.deletions:
            pages = embedded.read_vectors_after(opened.extent.last_id, now.last_id)
        else:
            live_ids, indexed_ids = embedded.read_ids(now.last_id), index.ids
            index.remove(np.setdiff1d(indexed_ids, live_ids))
            pages = self._catalog.read_vectors(np.setdiff1d(live_ids, indexed_ids).tolist())
        for ids, blobs in pages:
            self._tick()
            index.add(np.array(ids, dtype=np.int64), unpack_vectors(blobs, collection.dimensions))
        opened.extent = now

    def build_index(self, collection: Collection, kind: str) -> tuple[VectorIndex, EmbeddingExtent]:
        """Build an index of this kind from the stored vectors; return the index and its extent.

        If there are too few vectors to train it, the index is exact.
        """
        embedded = self._catalog.get_embeddings(collection)
        now = embedded.read_extent()
        index = VectorIndex.train(
            kind, collection.dimensions, embedded.read_ids(now.last_id), self._catalog.read_vectors,
            self._policy, self._tick,
        )  # fmt: skip
        opened = _OpenIndex(index, None, EmbeddingExtent(deletions=now.deletions))
        self._catch_up(opened, embedded, collection)
        return opened.index, opened.extent

    def _commit(
        self,
        collection: Collection,
        index: VectorIndex,
        extent: EmbeddingExtent,
        made_for: str,
        trained_count: int,
    ) -> None:
        """Write the index to a new file, record it in the catalog, and delete older files."""
        self._tick()
        name = f"collection-{collection.id}"
        embedded = self._catalog.get_embeddings(collection)
        try:
            file = index.save(self._folder, name)
            size = file.stat().st_size
        except OSError as error:
            raise LibraryError(
                "the catalog has every embedding, but the index file in "
                f"{self._folder} cannot be saved: {explain_disk_error(error)}"
            ) from error
        if not index.is_exact:
            old = embedded.read_saved_index()
            save_vector_file(file, old, extent, embedded, collection.dimensions)
        embedded.set_saved_index(
            SavedIndex(
                file.name, size, len(index), extent.last_id, extent.deletions, index.kind,
                made_for, trained_count,
            )
        )  # fmt: skip
        logger.info(
            "Saved the index %s of the collection %s: %d vectors in the file %s (%d bytes)",
            index.kind, collection.name, len(index), file.name, size,
        )  # fmt: skip
        self.delete_files(collection, file)

    def delete_files(self, collection: Collection, except_file: Path | None = None) -> None:
        """Delete a collection's index files, except except_file and its vector file."""
        for file in self._folder.glob(f"collection-{collection.id}-*"):
            if except_file is None or file.stem != except_file.stem:
                try:
                    file.unlink()
                except OSError as error:  # On Windows, a reader can hold the file open.
                    logger.debug("Kept the old index file %s: %s", file.name, error)


def _log_removal_unsupported(collection: Collection, kind: str) -> None:
    logger.info(
        "Rebuilding the index %s of the collection %s: this kind of index cannot remove vectors",
        kind, collection.name,
    )  # fmt: skip
