"""FAISS files: keep the index of a collection in step with the catalogue, in memory and on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, Embedded
from searchapp.errors import LibraryError
from searchapp.files.atomic import reason
from searchapp.types import Collection, Extent, IndexMaking, SavedIndex
from searchapp.vectors import CannotRemove, VectorIndex, unpack
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.choose_index import Policy

SMALL = 32 << 20  # bytes


@dataclass(slots=True)
class _Opened:
    index: VectorIndex
    file: str | None
    extent: Extent


class Files:
    """The index files of a library's collections. Not for use by several threads at once."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        policy: Policy = Policy(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Use the index files in a folder. tick: called often in long work; it may raise."""
        self._folder = folder
        self._catalog = catalog
        self._policy = policy
        self._tick = tick
        self._opened: dict[int, _Opened] = {}

    def current(self, collection: Collection) -> VectorIndex:
        """Return the index to search with: its file, mapped into memory, and what came since."""
        embedded = self._catalog.embedded(collection)
        saved = self._saved(collection)
        opened = self._opened.get(collection.id)
        if opened is None or opened.file != saved.file:
            opened = self._open(collection, saved, writable=False)
            if len(opened.index) < saved.count and (newer := self._saved(collection)) != saved:
                opened = self._open(collection, newer, writable=False)  # saved just meanwhile
            self._opened[collection.id] = opened
        now = embedded.extent()
        if opened.extent == now:
            return opened.index
        kind = choose_index.fitting(embedded.wanted(), opened.index.kind, now.count, self._policy)
        if len(opened.index) == 0 and kind != choose_index.EXACT:
            # No file to use, and too many vectors to hold them all.
            opened.index, opened.extent = self.make(collection, kind)
        else:
            try:
                self._catch_up(opened, embedded, collection)
            except CannotRemove:
                opened.index, opened.extent = self.make(collection, kind)
        return opened.index

    def save(self, collection: Collection) -> Iterator[IndexMaking]:
        """Bring the index file in step with the catalogue, where it is not; say what takes long.

        An index that does not fit any more, by its kind or by what it was trained with, is made
        anew. The old file answers until the catalogue names the new one.
        """
        embedded = self._catalog.embedded(collection)
        saved, now, wanted = self._saved(collection), embedded.extent(), embedded.wanted()
        kind = self._kind_due(saved, now, wanted)
        if kind is None and saved.extent == now and self._usable(saved):
            return
        if kind is None:
            opened = self._open(collection, saved, writable=True)
            fresh = len(opened.index) == 0
            try:
                if not fresh or saved.kind == choose_index.EXACT:
                    self._catch_up(opened, embedded, collection)
                    made_for = saved.made_for if not fresh else wanted
                    trained = saved.trained if not fresh else now.count
                    self._commit(collection, opened.index, opened.extent, made_for, trained)
                    return
            except CannotRemove:
                pass
            kind = choose_index.fitting(wanted, saved.kind, now.count, self._policy)
        if kind != choose_index.EXACT:
            yield IndexMaking(now.count, kind)
        index, extent = self.make(collection, kind)
        self._commit(collection, index, extent, wanted, extent.count)

    def save_due(self, collection: Collection) -> bool:
        """Tell, at the cost of a row, whether the file is so far behind that saving pays in a run.

        A new collection's first vectors never do: training with each few of them is for nothing.
        """
        embedded = self._catalog.embedded(collection)
        saved, now = self._saved(collection), embedded.extent()
        behind = now.count - saved.count
        enough = max(self._policy.save_every, int(saved.count * self._policy.save_share))
        if behind >= enough:
            return True
        due = self._kind_due(saved, now, embedded.wanted()) is not None
        return due and now.count >= self._policy.save_every

    def is_small(self, collection: Collection) -> bool:
        """Tell whether the file is written in a moment."""
        return self._catalog.embedded(collection).saved().size <= SMALL

    def making_due(self, collection: Collection) -> IndexMaking | None:
        """Return what save would make anew; None where it would not."""
        embedded = self._catalog.embedded(collection)
        saved, now = self._saved(collection), embedded.extent()
        kind = self._kind_due(saved, now, embedded.wanted())
        return IndexMaking(now.count, kind) if kind not in (None, choose_index.EXACT) else None

    def _saved(self, collection: Collection) -> SavedIndex:
        """Return what is known of the index file; there is none where Milvus has the vectors."""
        if self._catalog.stores(collection).current() is not None:
            return SavedIndex()
        return self._catalog.embedded(collection).saved()

    def _kind_due(self, saved: SavedIndex, now: Extent, wanted: str) -> str | None:
        """Return the kind to make the index anew of; None where it may stay, and only grow."""
        kind = choose_index.fitting(wanted, saved.kind, now.count, self._policy)
        if saved.made_for != wanted:
            return None if kind == saved.kind else kind
        if kind == choose_index.EXACT:
            return None if saved.kind == choose_index.EXACT else kind
        if wanted == choose_index.AUTO and saved.kind == choose_index.EXACT:
            # Trained with more than exact is for, and exact all the same: there were too few.
            tried = saved.trained > self._policy.exact_up_to
        else:
            tried = True
        grown = now.count > saved.trained * self._policy.retrain_at
        return kind if grown or not tried else None

    def _usable(self, saved: SavedIndex) -> bool:
        """Tell whether the file is there, as long as it was written."""
        file = self._folder / saved.file if saved.file else None
        return file is not None and file.exists() and file.stat().st_size == saved.size

    def _open(self, collection: Collection, saved: SavedIndex, *, writable: bool) -> _Opened:
        """Open the index file; a file that cannot be used is one that holds nothing.

        Where it is shorter than written, a map of it would end the process.
        """
        if saved.file and self._usable(saved):
            index = VectorIndex.open(
                self._folder / saved.file, collection.dimensions,
                fetch=self._catalog.vectors, kind=saved.kind, writable=writable,
            )  # fmt: skip
            if len(index) == saved.count:
                return _Opened(index, saved.file, saved.extent)
        index = VectorIndex(collection.dimensions, fetch=self._catalog.vectors)
        return _Opened(index, saved.file, Extent())

    def _catch_up(self, opened: _Opened, embedded: Embedded, collection: Collection) -> None:
        """Add what the catalogue has more, remove what it has no more.

        As long as nothing was deleted, what is new are the ids above the last one.
        """
        index, now = opened.index, embedded.extent()
        if opened.extent.deletions == now.deletions:
            pages = embedded.after(opened.extent.last_id, now.last_id)
        else:
            live, held = embedded.ids(now.last_id), index.ids
            index.remove(np.setdiff1d(held, live))
            pages = self._catalog.vectors(np.setdiff1d(live, held).tolist())
        for ids, blobs in pages:
            self._tick()
            index.add(np.array(ids, dtype=np.int64), unpack(blobs, collection.dimensions))
        opened.extent = now

    def make(self, collection: Collection, kind: str) -> tuple[VectorIndex, Extent]:
        """Make an index of a kind from the stored vectors, and return what it holds.

        Where there are too few to train it, it is exact.
        """
        embedded = self._catalog.embedded(collection)
        now = embedded.extent()
        index = VectorIndex.train(
            kind, collection.dimensions, embedded.ids(now.last_id), self._catalog.vectors,
            self._policy, self._tick,
        )  # fmt: skip
        opened = _Opened(index, None, Extent(deletions=now.deletions))
        self._catch_up(opened, embedded, collection)
        return opened.index, opened.extent

    def _commit(
        self, collection: Collection, index: VectorIndex, extent: Extent, made_for: str, made: int
    ) -> None:
        self._tick()
        name = f"collection-{collection.id}"
        try:
            file = index.save(self._folder, name)
            size = file.stat().st_size
        except OSError as error:
            raise LibraryError(
                f"all is embedded, but the index in {self._folder} cannot be saved: {reason(error)}"
            ) from error
        self._catalog.embedded(collection).set_saved(
            SavedIndex(
                file.name,
                size,
                len(index),
                extent.last_id,
                extent.deletions,
                index.kind,
                made_for,
                made,
            )
        )
        self.drop(collection, file)

    def drop(self, collection: Collection, but: Path | None = None) -> None:
        """Delete a collection's index files, but for one."""
        for file in self._folder.glob(f"collection-{collection.id}-*"):
            if file != but:
                with suppress(OSError):  # a reader may hold it, on Windows
                    file.unlink()
