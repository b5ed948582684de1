"""Keep Milvus collections in step with the catalog: send and delete rows that differ."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from searchapp.catalog import Catalog, CollectionEmbeddings
from searchapp.catalog.filters.fields import FILTER_FIELDS
from searchapp.errors import VectorStoreError
from searchapp.files.enter_path import find_entered
from searchapp.types import (
    Collection,
    EmbeddingExtent,
    MilvusCollection,
    MilvusUploading,
    SavedIndex,
    format_count,
)
from searchapp.vectors import unpack_vectors
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.milvus_store.id_diff import IdDifference, compare_ids
from searchapp.vectors.milvus_store.searcher import MilvusIndex
from searchapp.vectors.milvus_store.store import MilvusConnection

REQUEST_ROWS = 1000  # ids or rows in one request

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _OpenCollection:
    store: MilvusCollection
    index: MilvusIndex
    saved: EmbeddingExtent  # the vectors in Milvus
    indexed: EmbeddingExtent  # those and the vectors added in memory


class MilvusSync:
    """The Milvus copies of a library's collections. Not thread-safe."""

    def __init__(self, catalog: Catalog, tick: Callable[[], None]) -> None:
        """Create a sync that connects to Milvus on first use.

        Long work calls tick every few seconds; an exception from tick ends the work.
        """
        self._catalog = catalog
        self._tick = tick
        self._opened: dict[int, _OpenCollection] = {}
        self._connections: dict[MilvusAddress, MilvusConnection] = {}

    def close(self) -> None:
        """Close all connections to Milvus."""
        for milvus in self._connections.values():
            milvus.close()
        self._connections.clear()
        self._opened.clear()

    def release_files(self) -> None:
        """Close Milvus Lite files, so that other processes can open them.

        Later calls open the files again.
        """
        for address in [address for address in self._connections if address.is_lite]:
            self._connections.pop(address).close()
        self._opened = {
            id: opened for id, opened in self._opened.items() if not opened.index.address.is_lite
        }

    def get_connection(self, address: MilvusAddress) -> MilvusConnection:
        """Get or create the connection to a Milvus server or file. Raises VectorStoreError."""
        if address not in self._connections:
            logger.debug("Connecting to Milvus at %s", address.display_name)
            self._connections[address] = MilvusConnection(address)
        return self._connections[address]

    def open_index(self, collection: Collection, store: MilvusCollection) -> MilvusIndex:
        """Return the index to search: Milvus, and the vectors embedded since the last sync.

        Only the process that writes to the catalog writes to Milvus. Therefore the index keeps the
        vectors embedded since then in memory.
        """
        embedded = self._catalog.get_embeddings(collection)
        stores = self._catalog.get_vector_stores(collection)
        address = self._choose_address(store, stores.read_requested_url())
        saved, now = embedded.read_saved_index().extent, embedded.read_extent()
        opened = self._opened.get(collection.id)
        if opened is None or (opened.store, opened.index.address) != (store, address):
            index = MilvusIndex(
                self.get_connection(address), store, collection.dimensions,
                self._catalog.read_vectors, partial(embedded.read_ids, now.last_id),
            )  # fmt: skip
            opened = self._opened[collection.id] = _OpenCollection(store, index, saved, saved)
        index = opened.index
        if opened.saved != saved or opened.indexed.deletions != now.deletions:
            index.clear_added()
            opened.saved = opened.indexed = saved
        for ids, blobs in embedded.read_vectors_after(opened.indexed.last_id, now.last_id):
            index.add(np.array(ids, dtype=np.int64), unpack_vectors(blobs, collection.dimensions))
        opened.indexed = now
        index.update_state(
            now.count,
            has_deleted=saved.deletions != now.deletions,
            has_current_fields=not stores.has_changed_ids(),
            read_all_ids=partial(embedded.read_ids, now.last_id),
        )
        return index

    @staticmethod
    def _choose_address(store: MilvusCollection, requested_url: str | None) -> MilvusAddress:
        """Return the address of a Milvus collection, with the requested search options if any."""
        address = parse_address(requested_url) if requested_url is not None else None
        if address is None or address.place != store.place:
            address = parse_address(store.place)
        assert address is not None
        return address

    def count_unsent(self, collection: Collection, address: MilvusAddress) -> int:
        """Return the number of embeddings in the catalog minus the recorded number in Milvus."""
        embedded, saved = self._catalog.get_embeddings(collection), None
        store = self._catalog.get_vector_stores(collection).find_current()
        if store is not None and store.place == address.place:
            saved = embedded.read_saved_index()
        return embedded.read_extent().count - (saved.count if saved else 0)

    def save_index(
        self, collection: Collection, address: MilvusAddress, *, compare_all: bool
    ) -> Iterator[MilvusUploading]:
        """Bring a Milvus collection in step with the catalog; from then on, searches use it.

        The sync can stop at any moment; the next sync continues. compare_all: compare every id,
        and ignore the recorded state.
        """
        embedded = self._catalog.get_embeddings(collection)
        stores = self._catalog.get_vector_stores(collection)
        milvus = self.get_connection(address)
        store = stores.get_or_create(address.place)
        saved, now = embedded.read_saved_index(), embedded.read_extent()
        held = saved.extent if saved.file == store.name else EmbeddingExtent()
        if not milvus.has_collection(store.name):
            held = EmbeddingExtent()
            texts = {name: field.is_text for name, field in FILTER_FIELDS.items()}
            logger.info(
                "Creating the Milvus collection %s for the collection %s at %s with the index %s",
                store.name, collection.name, address.display_name, address.index_kind,
            )  # fmt: skip
            milvus.create_collection(
                store.name, collection.dimensions, texts,
                f"searchapp: {collection.name} ({collection.model})"[:200],
            )  # fmt: skip
        yield from self._resend_changed_rows(collection, milvus, store)
        count = milvus.count_rows(store.name)
        if not compare_all and saved.file == store.name and held == now and count == now.count:
            return
        for trusted in (0,) if compare_all else (held.last_id, 0):
            difference = self._compute_difference(
                embedded, milvus, store, held, now, count, trusted, compare_all
            )
            yield from self._send_difference(collection, milvus, store, difference)
            if (count := milvus.count_rows(store.name)) == now.count:
                break
            logger.info(
                "Milvus has %d vectors of the collection %s instead of %d",
                count,
                collection.name,
                now.count,
            )
            held = EmbeddingExtent()  # The record of what Milvus has is wrong.
        milvus.flush_collection(store.name)
        record = SavedIndex(
            store.name, 0, now.count, now.last_id, now.deletions, address.index_kind,
            embedded.read_requested_kind(),
        )  # fmt: skip
        embedded.set_saved_index(record)
        if saved.file != store.name:
            name = collection.name
            logger.info(
                "Searches of the collection %s now use Milvus at %s", name, address.display_name
            )

    def find_mismatch(self, collection: Collection, store: MilvusCollection) -> str | None:
        """Return how the ids in Milvus differ from those in the catalog; None: no difference.

        Embeddings added or deleted since the last sync are no difference. Raises
        VectorStoreError.
        """
        embedded = self._catalog.get_embeddings(collection)
        address = self._choose_address(
            store, self._catalog.get_vector_stores(collection).read_requested_url()
        )
        milvus, saved = self.get_connection(address), embedded.read_saved_index()
        if not milvus.has_collection(store.name):
            return "the collection does not exist"
        if (count := milvus.count_rows(store.name)) != saved.count:
            return f"the collection has {format_count(count, 'vector')} instead of {saved.count:,}"
        extra_ids, missing_ids = compare_ids(
            embedded.read_ids(saved.last_id),
            partial(milvus.count_rows, store.name),
            partial(milvus.list_ids, store.name),
            saved.last_id,
            0,
        )
        if len(missing_ids) or (
            len(extra_ids) and saved.deletions == embedded.read_extent().deletions
        ):
            return "the ids of its vectors are not those in the catalog"
        return None

    def _compute_difference(
        self, embedded: CollectionEmbeddings, milvus: MilvusConnection, store: MilvusCollection,
        held: EmbeddingExtent, now: EmbeddingExtent,
        count: int, trusted_last_id: int, compare_all: bool,
    ) -> IdDifference:  # fmt: skip
        """Return the rows to delete from Milvus and the rows to add.

        If no embedding was deleted and the number of rows is as recorded, the rows to add are the
        newest embeddings.
        """
        if (
            not compare_all
            and count == held.count
            and (not count or held.deletions == now.deletions)
        ):
            pages = embedded.read_rows_after(held.last_id if count else 0, now.last_id)
            return IdDifference(np.empty(0, np.int64), pages, now.count - count)
        live_ids = embedded.read_ids(now.last_id)
        milvus.delete_rows_after(store.name, now.last_id)
        extra_ids, missing_ids = compare_ids(
            live_ids,
            partial(milvus.count_rows, store.name),
            partial(milvus.list_ids, store.name),
            now.last_id,
            trusted_last_id if count else 0,
            self._tick,
        )
        return IdDifference(extra_ids, embedded.read_rows(missing_ids.tolist()), len(missing_ids))

    def _send_difference(
        self,
        collection: Collection,
        milvus: MilvusConnection,
        store: MilvusCollection,
        difference: IdDifference,
    ) -> Iterator[MilvusUploading]:
        """Delete the extra rows from Milvus, then add the missing rows in ascending order of id.

        In this order, Milvus never loses a vector that the catalog still has.
        """
        done, total = 0, len(difference.extra_ids) + difference.missing_rows
        if total:
            logger.info(
                "Sending %d vectors of the collection %s to Milvus at %s, "
                "and deleting %d vectors from it",
                difference.missing_rows, collection.name, milvus.address.display_name,
                len(difference.extra_ids),
            )  # fmt: skip
        for start in range(0, len(difference.extra_ids), REQUEST_ROWS):
            self._tick()
            page = difference.extra_ids[start : start + REQUEST_ROWS].tolist()
            milvus.delete_rows(store.name, page)
            done += len(page)
            yield MilvusUploading(done, total, milvus.address.display_name)
        for rows in difference.missing_pages:
            self._tick()
            milvus.write_rows(store.name, _unpack_row_vectors(rows, collection.dimensions))
            done += len(rows)
            yield MilvusUploading(done, total, milvus.address.display_name)

    def _resend_changed_rows(
        self, collection: Collection, milvus: MilvusConnection, store: MilvusCollection
    ) -> Iterator[MilvusUploading]:
        """Send the rows again whose filter fields have changed since their upload to Milvus."""
        embedded = self._catalog.get_embeddings(collection)
        stores = self._catalog.get_vector_stores(collection)
        changed, done = stores.list_changed_ids(), 0
        for start in range(0, len(changed), REQUEST_ROWS):
            self._tick()
            page = changed[start : start + REQUEST_ROWS]
            sent = [row for rows in embedded.read_rows(page) for row in rows]
            milvus.write_rows(
                store.name, _unpack_row_vectors(sent, collection.dimensions), replace=True
            )
            # A row that changed during the request stays marked, and is sent by the next sync.
            with self._catalog.write_transaction():
                current = [row for rows in embedded.read_rows(page) for row in rows]
                stores.forget_changed_ids([row["id"] for row in current if row in sent])
            done += len(page)
            yield MilvusUploading(done, len(changed), milvus.address.display_name)

    def drop_collection(self, store: MilvusCollection) -> None:
        """Drop a Milvus collection; do nothing if its Milvus Lite file does not exist."""
        address = self._choose_address(store, None)
        if not address.is_lite or find_entered(address.server, VectorStoreError) is not None:
            logger.info(
                "Dropping the unused Milvus collection %s at %s",
                store.name, address.display_name,
            )  # fmt: skip
            self.get_connection(address).drop_collection(store.name)


def _unpack_row_vectors(rows: list[dict[str, Any]], dimensions: int) -> list[dict[str, Any]]:
    """Return rows with their vectors as float32, as Milvus requires."""
    vectors = unpack_vectors((row["vector"] for row in rows), dimensions)
    return [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
