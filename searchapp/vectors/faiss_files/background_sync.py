"""Save the index of a collection in a background thread while a run embeds pictures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from searchapp.catalog import Catalog
from searchapp.types import Collection, IndexBuilding, MilvusUploading
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes

logger = logging.getLogger(__name__)


class SyncCancelled(Exception):
    """Cancel a background save, because its index run has ended."""


class BackgroundSync:
    """Save a vector index during an index run, in a thread with its own SQLite connection.

    The old index answers queries until the new index is saved. At the end of the with block, the
    thread ends.
    """

    def __init__(
        self, folder: Path, catalog: Catalog, collection: Collection, policy: IndexPolicy
    ) -> None:
        """Prepare to save the index of one collection. The background thread never uses catalog."""
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
        """Start a save if it is due and no save is running. Fast enough to call for every batch."""
        if self._failed or (self._thread is not None and self._thread.is_alive()):
            return
        if self._file is not None and self._indexes.is_save_due(self._collection):
            logger.info(
                "Saving the index of the collection %s in the background", self._collection.name
            )
            self._thread = threading.Thread(target=self._save, args=[self._file], name="index")
            self._thread.start()

    def is_save_worthwhile(self) -> bool:
        """Return whether to save a few changes now: if saving is fast, or a save is due."""
        return self._indexes.is_cheap_to_save(self._collection) or self._indexes.is_save_due(
            self._collection
        )

    def finish(self) -> Iterator[IndexBuilding | MilvusUploading]:
        """Wait for a running background save, then save an index of all embeddings."""
        if self._thread is not None and self._thread.is_alive():
            rebuild = self._indexes.plan_rebuild(self._collection)
            if rebuild is not None:
                yield rebuild
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
        except SyncCancelled:
            logger.debug(
                "Stopped saving the index of the collection %s in the background: the run ended",
                self._collection.name,
            )
            self._failed = True
        except Exception as error:  # finish() saves again, and raises what fails there.
            logger.info(
                "Cannot save the index of the collection %s in the background: %s. "
                "The run saves it again at its end",
                self._collection.name, error,
            )  # fmt: skip
            self._failed = True

    def _raise_if_ended(self) -> None:
        if self._ended.is_set():
            raise SyncCancelled

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
