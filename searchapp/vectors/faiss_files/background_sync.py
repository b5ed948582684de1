"""Keep an index up to date during a run of index, in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from searchapp.catalog import Catalog
from searchapp.types import Collection, IndexBuilding, MilvusUploading
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes


class SyncCancelled(Exception):
    """Say that nobody waits for the index any more."""


class BackgroundSync:
    """Brings an index up to date during a run, on a thread with a connection of its own.

    Meanwhile the old one answers. Use it as a context manager; leaving it ends the thread.
    """

    def __init__(
        self, folder: Path, catalog: Catalog, collection: Collection, policy: IndexPolicy
    ) -> None:
        """Keep the index of one collection, whose catalogue only the caller's thread uses."""
        self._folder = folder
        self._file = catalog.file
        self._collection = collection
        self._policy = policy
        self._indexes = Indexes(folder, catalog, policy)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._join()
        self._indexes.close()

    def start_if_due(self) -> None:
        """Begin to save where that is due and not going on; cheap enough for every batch."""
        if self._failed or (self._thread is not None and self._thread.is_alive()):
            return
        if self._file is not None and self._indexes.is_save_due(self._collection):
            self._thread = threading.Thread(target=self._save, args=[self._file], name="index")
            self._thread.start()

    def is_save_worthwhile(self) -> bool:
        """Tell whether to save after a few changes: a large file only when it is far behind."""
        return self._indexes.is_cheap_to_save(self._collection) or self._indexes.is_save_due(
            self._collection
        )

    def finish(self) -> Iterator[IndexBuilding | MilvusUploading]:
        """Bring the index in step with all that is embedded."""
        if self._thread is not None and self._thread.is_alive():
            making = self._indexes.plan_rebuild(self._collection)
            if making is not None:
                yield making
            self._join()
        yield from self._indexes.save_index(self._collection)

    def _save(self, file: Path) -> None:
        try:
            catalog = Catalog.open(file)
            indexes = Indexes(self._folder, catalog, self._policy, self._raise_if_ended)
            try:
                list(indexes.save_index(self._collection))
            finally:
                indexes.close()
                catalog.close()
        except Exception:  # finish() meets it again, and raises it there
            self._failed = True

    def _raise_if_ended(self) -> None:
        if self._ended.is_set():
            raise SyncCancelled

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
