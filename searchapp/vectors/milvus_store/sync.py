"""Milvus: keep a collection there in step with the catalogue, by the difference of two sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.catalog import Catalog, CollectionEmbeddings
from searchapp.catalog.filters.fields import FILTER_FIELDS
from searchapp.types import (
    Collection,
    EmbeddingExtent,
    MilvusCollection,
    MilvusUploading,
    SavedIndex,
)
from searchapp.vectors import unpack_vectors
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.milvus_store.id_diff import IdDifference, compare_ids
from searchapp.vectors.milvus_store.searcher import MilvusIndex
from searchapp.vectors.milvus_store.store import MilvusConnection

REQUEST_ROWS = 1000  # ids or rows in a request


@dataclass(slots=True)
class _OpenCollection:
    store: MilvusCollection
    index: MilvusIndex
    saved: EmbeddingExtent  # what Milvus held when fresh vectors began to be kept beside it
    indexed: EmbeddingExtent  # what is found by now


class MilvusSync:
    """The collections of Milvus that hold a library's. Not for use by several threads at once."""

    def __init__(self, catalog: Catalog, tick: Callable[[], None]) -> None:
        """Connect to nothing yet. tick: called often in long work; it may raise."""
        self._catalog = catalog
        self._tick = tick
        self._opened: dict[int, _OpenCollection] = {}
        self._connections: dict[MilvusAddress, MilvusConnection] = {}

    def close(self) -> None:
        """Close all connections."""
        for milvus in self._connections.values():
            milvus.close()
        self._connections.clear()
        self._opened.clear()

    def release_files(self) -> None:
        """Close files of Milvus Lite; they are opened again when needed."""
        for address in [address for address in self._connections if address.is_lite]:
            self._connections.pop(address).close()
        self._opened = {
            id: opened for id, opened in self._opened.items() if not opened.index.address.is_lite
        }

    def get_connection(self, address: MilvusAddress) -> MilvusConnection:
        """Connect to a server or file, or return the connection; raise VectorsError."""
        if address not in self._connections:
            self._connections[address] = MilvusConnection(address)
        return self._connections[address]

    def open_index(self, collection: Collection, store: MilvusCollection) -> MilvusIndex:
        """Return what to search: a collection of Milvus, and what was embedded since it was sent.

        Only who writes to the catalogue writes to Milvus: a search keeps what is new beside it.
        """
        embedded, stores = (
            self._catalog.get_embeddings(collection),
            self._catalog.get_vector_stores(collection),
        )
        address = self._choose_address(store, stores.read_requested_url())
        saved, now = embedded.read_saved_index().extent, embedded.read_extent()
        opened = self._opened.get(collection.id)
        if opened is None or (opened.store, opened.index.address) != (store, address):
            index = MilvusIndex(
                self.get_connection(address), store, collection.dimensions, self._catalog.read_vectors,
                partial(embedded.read_ids, now.last_id),
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
        """Return how to search a collection: as the user wants it, where that is the one."""
        address = parse_address(requested_url) if requested_url is not None else None
        if address is None or address.place != store.place:
            address = parse_address(store.place)
        assert address is not None
        return address

    def count_unsent(self, collection: Collection, address: MilvusAddress) -> int:
        """Return how many embeddings have come since they were last sent; two rows are read."""
        embedded, saved = self._catalog.get_embeddings(collection), None
        store = self._catalog.get_vector_stores(collection).find_current()
        if store is not None and store.place == address.place:
            saved = embedded.read_saved_index()
        return embedded.read_extent().count - (saved.count if saved else 0)

    def save_index(
        self, collection: Collection, address: MilvusAddress, *, compare_all: bool
    ) -> Iterator[MilvusUploading]:
        """Bring a collection of Milvus in step with the catalogue, which then names it.

        It can be stopped at any moment, and goes on from there. full: compare every id, whatever
        is known of what is there.
        """
        embedded, stores = (
            self._catalog.get_embeddings(collection),
            self._catalog.get_vector_stores(collection),
        )
        milvus = self.get_connection(address)
        store = stores.get_or_create(address.place)
        saved, now = embedded.read_saved_index(), embedded.read_extent()
        held = saved.extent if saved.file == store.name else EmbeddingExtent()
        if not milvus.has_collection(store.name):
            held = EmbeddingExtent()
            texts = {name: field.is_text for name, field in FILTER_FIELDS.items()}
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
            held = EmbeddingExtent()  # it is not what it was said to be
        milvus.flush_collection(store.name)
        embedded.set_saved_index(
            SavedIndex(
                store.name,
                0,
                now.count,
                now.last_id,
                now.deletions,
                address.index_kind,
                embedded.read_requested_kind(),
            )
        )

    def find_mismatch(self, collection: Collection, store: MilvusCollection) -> str | None:
        """Compare the ids that are embedded with those in Milvus; None where they are the same.

        What was embedded since the last save does not count. Errors: VectorsError.
        """
        embedded = self._catalog.get_embeddings(collection)
        address = self._choose_address(
            store, self._catalog.get_vector_stores(collection).read_requested_url()
        )
        milvus, saved = self.get_connection(address), embedded.read_saved_index()
        if not milvus.has_collection(store.name):
            return "the collection is not there"
        if (count := milvus.count_rows(store.name)) != saved.count:
            return f"{count:,} vectors are there, and {saved.count:,} should be"
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
            return "others are there than those that are embedded"
        return None

    def _compute_difference(
        self, embedded: CollectionEmbeddings, milvus: MilvusConnection, store: MilvusCollection, held: EmbeddingExtent, now: EmbeddingExtent,
        count: int, trusted_last_id: int, compare_all: bool,
    ) -> IdDifference:  # fmt: skip
        """Return what Milvus has too many, and what too few."""
        if (
            not compare_all
            and count == held.count
            and (not count or held.deletions == now.deletions)
        ):
            pages = embedded.read_rows_after(held.last_id if count else 0, now.last_id)
            return IdDifference(np.empty(0, np.int64), pages, now.count - count)
        live = embedded.read_ids(now.last_id)
        milvus.delete_rows_after(store.name, now.last_id)
        extra_ids, missing_ids = compare_ids(
            live,
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
        """Take out of Milvus what is too many, and then add what is too few, by rising ids.

        In this order: a collection never lacks what was sent once and is embedded still.
        """
        done, total = 0, len(difference.extra_ids) + difference.missing_rows
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
        """Send again what is known otherwise of images than when it was sent."""
        embedded, stores = (
            self._catalog.get_embeddings(collection),
            self._catalog.get_vector_stores(collection),
        )
        changed, done = stores.list_changed_ids(), 0
        for start in range(0, len(changed), REQUEST_ROWS):
            self._tick()
            page = changed[start : start + REQUEST_ROWS]
            rows = [row for some in embedded.read_rows(page) for row in some]
            milvus.write_rows(
                store.name, _unpack_row_vectors(rows, collection.dimensions), replace=True
            )
            with (
                self._catalog.write_transaction()
            ):  # what changed once more meanwhile, is sent once more
                same = [row for some in embedded.read_rows(page) for row in some if row in rows]
                stores.mark_as_sent([row["id"] for row in same])
            done += len(page)
            yield MilvusUploading(done, len(changed), milvus.address.display_name)

    def drop_collection(self, store: MilvusCollection) -> None:
        """Drop a collection of Milvus."""
        address = self._choose_address(store, None)
        if not address.is_lite or Path(address.server).exists():
            self.get_connection(address).drop_collection(store.name)


def _unpack_row_vectors(rows: list[dict[str, Any]], dimensions: int) -> list[dict[str, Any]]:
    """Return rows as Milvus takes them: with vectors in float32."""
    vectors = unpack_vectors((row["vector"] for row in rows), dimensions)
    return [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
