"""Open, save and move the vector indexes of collections, in FAISS files or in Milvus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.errors import VectorStoreError
from searchapp.types import Collection, EmbeddingExtent, IndexBuilding, MilvusUploading
from searchapp.vectors import SearchIndex, VectorIndex
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.sync import FaissSync
from searchapp.vectors.milvus_store.sync import MilvusSync

logger = logging.getLogger(__name__)


class Indexes:
    """The vector indexes of a library's collections. Not thread-safe."""

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
        self._catalog = catalog
        self._policy = policy
        self._faiss = FaissSync(folder, catalog, policy, tick)
        self._milvus = MilvusSync(catalog, tick)

    def close(self) -> None:
        """Close all connections to Milvus."""
        self._milvus.close()

    def release_files(self) -> None:
        """Close Milvus Lite files, so that other processes can open them.

        Later calls open the files again.
        """
        self._milvus.release_files()

    def check_reachable(self, address: MilvusAddress) -> None:
        """Connect to a Milvus server or file; raise VectorStoreError if that fails."""
        self._milvus.get_connection(address)

    def set_requested_address(self, collection: Collection, address: MilvusAddress | None) -> None:
        """Record where to store a collection's vectors; None: in a FAISS file.

        The next save_index() moves the vectors.
        """
        self._catalog.get_vector_stores(collection).set_requested_url(
            address.url if address else None
        )

    def read_requested_address(self, collection: Collection) -> MilvusAddress | None:
        """Return where to store a collection's vectors; None: in a FAISS file."""
        url = self._catalog.get_vector_stores(collection).read_requested_url()
        return parse_address(url) if url is not None else None

    def open_index(self, collection: Collection) -> SearchIndex:
        """Return the index to search: the saved index, and the vectors embedded since its save."""
        store = self._catalog.get_vector_stores(collection).find_current()
        if store is not None:
            return self._milvus.open_index(collection, store)
        return self._faiss.open_index(collection)

    def save_index(
        self, collection: Collection, *, compare_all: bool = False
    ) -> Iterator[IndexBuilding | MilvusUploading]:
        """Bring the index in step with the catalog, and yield events about long steps.

        If another store was requested, the vectors move there. The old index answers queries until
        the new index is complete. compare_all: compare every id with Milvus, not only counts.
        """
        address = self.read_requested_address(collection)
        stores = self._catalog.get_vector_stores(collection)
        if address is None:
            yield from self._faiss.save_index(collection)
        else:
            try:
                yield from self._milvus.save_index(collection, address, compare_all=compare_all)
            except VectorStoreError as error:
                reason = str(error).removesuffix(".")
                raise type(error)(
                    "the catalog has every embedding, but Milvus is not in step with it: "
                    f"{reason}. The next `searchapp index` sends the missing vectors; "
                    "it embeds nothing again."
                ) from error
            self._faiss.delete_files(collection)
        used_name = stores.get_or_create(address.place).name if address else None
        for store in stores.list_unused(used_name):
            try:
                self._milvus.drop_collection(store)
                stores.forget_store(store)
            except VectorStoreError as error:  # No search needs it, so the next save tries again.
                logger.info("Kept the unused Milvus collection %s: %s", store.name, error)

    def find_mismatch(self, collection: Collection) -> str | None:
        """Return how the ids in Milvus differ from those in the catalog; None: no difference.

        Returns None if the vectors are in a FAISS file. Raises VectorStoreError.
        """
        store = self._catalog.get_vector_stores(collection).find_current()
        return self._milvus.find_mismatch(collection, store) if store is not None else None

    def is_save_due(self, collection: Collection) -> bool:
        """Return whether an index run should save the index now, before the run ends.

        It should if many vectors are not saved yet. This check is fast.
        """
        address = self.read_requested_address(collection)
        if address is None:
            return self._faiss.is_save_due(collection)
        return self._milvus.count_unsent(collection, address) >= self._policy.min_unsaved_vectors

    def is_cheap_to_save(self, collection: Collection) -> bool:
        """Return whether a few changes can be saved fast: in Milvus, or in a small FAISS file."""
        return self.read_requested_address(collection) is not None or self._faiss.is_cheap_to_save(
            collection
        )

    def plan_rebuild(self, collection: Collection) -> IndexBuilding | None:
        """Return the rebuild that save_index would start now; None if it would not rebuild."""
        return (
            self._faiss.plan_rebuild(collection)
            if self.read_requested_address(collection) is None
            else None
        )

    def build_index(self, collection: Collection, kind: str) -> tuple[VectorIndex, EmbeddingExtent]:
        """Build a FAISS index of this kind from the stored vectors; return it with its extent."""
        return self._faiss.build_index(collection, kind)
