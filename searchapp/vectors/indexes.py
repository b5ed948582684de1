"""The one door to what collections are searched with: FAISS files, or Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.errors import VectorStoreError
from searchapp.types import Collection, EmbeddingExtent, IndexBuilding, MilvusUploading
from searchapp.vectors import SearchIndex, VectorIndex
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.sync import FaissSync
from searchapp.vectors.milvus_store.sync import MilvusSync


class Indexes:
    """What a library's collections are searched with. Not for use by several threads at once."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        policy: IndexPolicy = IndexPolicy(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Use the index files in a folder. tick: called often in long work; it may raise."""
        self._catalog = catalog
        self._policy = policy
        self._faiss = FaissSync(folder, catalog, policy, tick)
        self._milvus = MilvusSync(catalog, tick)

    def close(self) -> None:
        """Close connections."""
        self._milvus.close()

    def release_files(self) -> None:
        """Let go of files that one process alone can have; they are opened again when needed."""
        self._milvus.release_files()

    def check_reachable(self, address: MilvusAddress) -> None:
        """See that a place can be reached; raise VectorsError."""
        self._milvus.get_connection(address)

    def set_requested_address(self, collection: Collection, address: MilvusAddress | None) -> None:
        """Remember where a collection's vectors are to be; None: in a FAISS file."""
        self._catalog.get_vector_stores(collection).set_requested_url(
            address.url if address else None
        )

    def read_requested_address(self, collection: Collection) -> MilvusAddress | None:
        """Return where a collection's vectors are to be; None: in a FAISS file."""
        url = self._catalog.get_vector_stores(collection).read_requested_url()
        return parse_address(url) if url is not None else None

    def open_index(self, collection: Collection) -> SearchIndex:
        """Return the index to search with: what is saved of it, and what came since."""
        store = self._catalog.get_vector_stores(collection).find_current()
        if store is not None:
            return self._milvus.open_index(collection, store)
        return self._faiss.open_index(collection)

    def save_index(
        self, collection: Collection, *, compare_all: bool = False
    ) -> Iterator[IndexBuilding | MilvusUploading]:
        """Bring the index in step with the catalogue, where it is not; say what takes long.

        One that is somewhere else than wanted is made there, and answers until that is done.
        full: compare every id with Milvus.
        """
        address, stores = (
            self.read_requested_address(collection),
            self._catalog.get_vector_stores(collection),
        )
        if address is None:
            yield from self._faiss.save_index(collection)
        else:
            try:
                yield from self._milvus.save_index(collection, address, compare_all=compare_all)
            except VectorStoreError as error:
                raise type(error)(
                    "the catalogue has all that is embedded, but Milvus is not in step with it: "
                    f"{error}. Any later `searchapp index` sends the rest, and embeds nothing again"
                ) from error
            self._faiss.delete_files(collection)
        for store in stores.list_unused(
            stores.get_or_create(address.place).name if address else None
        ):
            with suppress(
                VectorStoreError
            ):  # the next time: whatever is wrong there, nothing needs it
                self._milvus.drop_collection(store)
                stores.forget_store(store)

    def find_mismatch(self, collection: Collection) -> str | None:
        """Tell what Milvus holds otherwise than it is said to; None where nothing, or no Milvus.

        Errors: VectorsError.
        """
        store = self._catalog.get_vector_stores(collection).find_current()
        return self._milvus.find_mismatch(collection, store) if store is not None else None

    def is_save_due(self, collection: Collection) -> bool:
        """Tell, at the cost of a row, whether so much has come that saving pays during a run."""
        address = self.read_requested_address(collection)
        if address is None:
            return self._faiss.is_save_due(collection)
        return self._milvus.count_unsent(collection, address) >= self._policy.min_unsaved_vectors

    def is_cheap_to_save(self, collection: Collection) -> bool:
        """Tell whether a few changes are saved in a moment: Milvus is told no more than those."""
        return self.read_requested_address(collection) is not None or self._faiss.is_cheap_to_save(
            collection
        )

    def plan_rebuild(self, collection: Collection) -> IndexBuilding | None:
        """Return what save would make anew; None where it would not."""
        return (
            self._faiss.plan_rebuild(collection)
            if self.read_requested_address(collection) is None
            else None
        )

    def build_index(self, collection: Collection, kind: str) -> tuple[VectorIndex, EmbeddingExtent]:
        """Make an index of a kind from the stored vectors, and return what it holds."""
        return self._faiss.build_index(collection, kind)
