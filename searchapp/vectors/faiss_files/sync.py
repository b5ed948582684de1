"""FAISS files: keep the index of a collection in step with the catalogue, in memory and on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, CollectionEmbeddings
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error
from searchapp.types import Collection, EmbeddingExtent, IndexBuilding, SavedIndex
from searchapp.vectors import RemovalUnsupportedError, VectorIndex, unpack_vectors
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.choose_index import IndexPolicy

MAX_CHEAP_SAVE_BYTES = 32 << 20  # bytes


@dataclass(slots=True)
class _OpenIndex:
    index: VectorIndex
    file: str | None
    extent: EmbeddingExtent


class FaissSync:
    """The index files of a library's collections. Not for use by several threads at once."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        policy: IndexPolicy = IndexPolicy(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Use the index files in a folder. tick: called often in long work; it may raise."""
        self._folder = folder
        self._catalog = catalog
        self._policy = policy
        self._tick = tick
        self._opened: dict[int, _OpenIndex] = {}

    def open_index(self, collection: Collection) -> VectorIndex:
        """Return the index to search with: its file, mapped into memory, and what came since."""
        embedded = self._catalog.get_embeddings(collection)
        saved = self._read_saved_index(collection)
        opened = self._opened.get(collection.id)
        if opened is None or opened.file != saved.file:
            opened = self._open_file(collection, saved, writable=False)
            if (
                len(opened.index) < saved.count
                and (newer := self._read_saved_index(collection)) != saved
            ):
                opened = self._open_file(collection, newer, writable=False)  # saved just meanwhile
            self._opened[collection.id] = opened
        now = embedded.read_extent()
        if opened.extent == now:
            return opened.index
        kind = choose_index.choose_kind(
            embedded.read_requested_kind(), opened.index.kind, now.count, self._policy
        )
        if len(opened.index) == 0 and kind != choose_index.EXACT:
            # No file to use, and too many vectors to hold them all.
            opened.index, opened.extent = self.build_index(collection, kind)
        else:
            try:
                self._catch_up(opened, embedded, collection)
            except RemovalUnsupportedError:
                opened.index, opened.extent = self.build_index(collection, kind)
        return opened.index

    def save_index(self, collection: Collection) -> Iterator[IndexBuilding]:
        """Bring the index file in step with the catalogue, where it is not; say what takes long.

        An index that does not fit any more, by its kind or by what it was trained with, is made
        anew. The old file answers until the catalogue names the new one.
        """
        embedded = self._catalog.get_embeddings(collection)
        saved, now, requested = (
            self._read_saved_index(collection),
            embedded.read_extent(),
            embedded.read_requested_kind(),
        )
        kind = self._choose_rebuild_kind(saved, now, requested)
        if kind is None and saved.extent == now and self._is_usable(saved):
            return
        if kind is None:
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
                pass
            kind = choose_index.choose_kind(requested, saved.kind, now.count, self._policy)
        if kind != choose_index.EXACT:
            yield IndexBuilding(now.count, kind)
        index, extent = self.build_index(collection, kind)
        self._commit(collection, index, extent, requested, extent.count)

    def is_save_due(self, collection: Collection) -> bool:
        """Tell, at the cost of a row, whether the file is so far behind that saving pays in a run.

        A new collection's first vectors never do: training with each few of them is for nothing.
        """
        embedded = self._catalog.get_embeddings(collection)
        saved, now = self._read_saved_index(collection), embedded.read_extent()
        unsaved_count = now.count - saved.count
        min_unsaved = max(
            self._policy.min_unsaved_vectors, int(saved.count * self._policy.min_unsaved_share)
        )
        if unsaved_count >= min_unsaved:
            return True
        due = self._choose_rebuild_kind(saved, now, embedded.read_requested_kind()) is not None
        return due and now.count >= self._policy.min_unsaved_vectors

    def is_cheap_to_save(self, collection: Collection) -> bool:
        """Tell whether the file is written in a moment."""
        return (
            self._catalog.get_embeddings(collection).read_saved_index().size <= MAX_CHEAP_SAVE_BYTES
        )

    def plan_rebuild(self, collection: Collection) -> IndexBuilding | None:
        """Return what save would make anew; None where it would not."""
        embedded = self._catalog.get_embeddings(collection)
        saved, now = self._read_saved_index(collection), embedded.read_extent()
        kind = self._choose_rebuild_kind(saved, now, embedded.read_requested_kind())
        return IndexBuilding(now.count, kind) if kind not in (None, choose_index.EXACT) else None

    def _read_saved_index(self, collection: Collection) -> SavedIndex:
        """Return what is known of the index file; there is none where Milvus has the vectors."""
        if self._catalog.get_vector_stores(collection).find_current() is not None:
            return SavedIndex()
        return self._catalog.get_embeddings(collection).read_saved_index()

    def _choose_rebuild_kind(
        self, saved: SavedIndex, now: EmbeddingExtent, requested: str
    ) -> str | None:
        """Return the kind to make the index anew of; None where it may stay, and only grow."""
        kind = choose_index.choose_kind(requested, saved.kind, now.count, self._policy)
        if saved.made_for != requested:
            return None if kind == saved.kind else kind
        if kind == choose_index.EXACT:
            return None if saved.kind == choose_index.EXACT else kind
        if requested == choose_index.AUTO and saved.kind == choose_index.EXACT:
            # Trained with more than exact is for, and exact all the same: there were too few.
            was_trained = saved.trained > self._policy.max_exact_vectors
        else:
            was_trained = True
        has_outgrown = now.count > saved.trained * self._policy.retrain_growth
        return kind if has_outgrown or not was_trained else None

    def _is_usable(self, saved: SavedIndex) -> bool:
        """Tell whether the file is there, as long as it was written."""
        file = self._folder / saved.file if saved.file else None
        return file is not None and file.exists() and file.stat().st_size == saved.size

    def _open_file(
        self, collection: Collection, saved: SavedIndex, *, writable: bool
    ) -> _OpenIndex:
        """Open the index file; a file that cannot be used is one that holds nothing.

        Where it is shorter than written, a map of it would end the process.
        """
        if saved.file and self._is_usable(saved):
            index = VectorIndex.open(
                self._folder / saved.file, collection.dimensions,
                fetch=self._catalog.read_vectors, kind=saved.kind, writable=writable,
            )  # fmt: skip
            if len(index) == saved.count:
                return _OpenIndex(index, saved.file, saved.extent)
        index = VectorIndex(collection.dimensions, fetch=self._catalog.read_vectors)
        return _OpenIndex(index, saved.file, EmbeddingExtent())

    def _catch_up(
        self, opened: _OpenIndex, embedded: CollectionEmbeddings, collection: Collection
    ) -> None:
        """Add what the catalogue has more, remove what it has no more.

        As long as nothing was deleted, what is new are the ids above the last one.
        """
        index, now = opened.index, embedded.read_extent()
        if opened.extent.deletions == now.deletions:
            pages = embedded.read_vectors_after(opened.extent.last_id, now.last_id)
        else:
            live, held = embedded.read_ids(now.last_id), index.ids
            index.remove(np.setdiff1d(held, live))
            pages = self._catalog.read_vectors(np.setdiff1d(live, held).tolist())
        for ids, blobs in pages:
            self._tick()
            index.add(np.array(ids, dtype=np.int64), unpack_vectors(blobs, collection.dimensions))
        opened.extent = now

    def build_index(self, collection: Collection, kind: str) -> tuple[VectorIndex, EmbeddingExtent]:
        """Make an index of a kind from the stored vectors, and return what it holds.

        Where there are too few to train it, it is exact.
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
        self._tick()
        name = f"collection-{collection.id}"
        try:
            file = index.save(self._folder, name)
            size = file.stat().st_size
        except OSError as error:
            raise LibraryError(
                f"all is embedded, but the index in {self._folder} cannot be saved: {explain_disk_error(error)}"
            ) from error
        self._catalog.get_embeddings(collection).set_saved_index(
            SavedIndex(
                file.name,
                size,
                len(index),
                extent.last_id,
                extent.deletions,
                index.kind,
                made_for,
                trained_count,
            )
        )
        self.delete_files(collection, file)

    def delete_files(self, collection: Collection, except_file: Path | None = None) -> None:
        """Delete a collection's index files, but for one."""
        for file in self._folder.glob(f"collection-{collection.id}-*"):
            if file != except_file:
                with suppress(OSError):  # a reader may hold it, on Windows
                    file.unlink()
