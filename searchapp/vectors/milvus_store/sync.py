"""Milvus: keep a collection there in step with the catalogue, by the difference of two sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.catalog import Catalog, Embedded
from searchapp.catalog.filters.fields import FIELDS
from searchapp.types import Collection, Extent, SavedIndex, Store, Uploading
from searchapp.vectors import unpack
from searchapp.vectors.address import Address, parse
from searchapp.vectors.milvus_store.id_diff import Difference, compare
from searchapp.vectors.milvus_store.searcher import MilvusIndex
from searchapp.vectors.milvus_store.store import Milvus

PAGE = 1000  # ids or rows in a request


@dataclass(slots=True)
class _Opened:
    store: Store
    index: MilvusIndex
    saved: Extent  # what Milvus held when fresh vectors began to be kept beside it
    now: Extent  # what is found by now


class Remotes:
    """The collections of Milvus that hold a library's. Not for use by several threads at once."""

    def __init__(self, catalog: Catalog, tick: Callable[[], None]) -> None:
        """Connect to nothing yet. tick: called often in long work; it may raise."""
        self._catalog = catalog
        self._tick = tick
        self._opened: dict[int, _Opened] = {}
        self._connected: dict[Address, Milvus] = {}

    def close(self) -> None:
        """Close all connections."""
        for milvus in self._connected.values():
            milvus.close()
        self._connected.clear()
        self._opened.clear()

    def rest(self) -> None:
        """Close files of Milvus Lite; they are opened again when needed."""
        for address in [address for address in self._connected if address.is_lite]:
            self._connected.pop(address).close()
        self._opened = {
            id: opened for id, opened in self._opened.items() if not opened.index.address.is_lite
        }

    def reach(self, address: Address) -> Milvus:
        """Connect to a server or file, or return the connection; raise VectorsError."""
        if address not in self._connected:
            self._connected[address] = Milvus(address)
        return self._connected[address]

    def current(self, collection: Collection, store: Store) -> MilvusIndex:
        """Return what to search: a collection of Milvus, and what was embedded since it was sent.

        Only who writes to the catalogue writes to Milvus: a search keeps what is new beside it.
        """
        embedded, stores = self._catalog.embedded(collection), self._catalog.stores(collection)
        address = self._address(store, stores.wanted())
        saved, now = embedded.saved().extent, embedded.extent()
        opened = self._opened.get(collection.id)
        if opened is None or (opened.store, opened.index.address) != (store, address):
            index = MilvusIndex(
                self.reach(address), store, collection.dimensions, self._catalog.vectors,
                partial(embedded.ids, now.last_id),
            )  # fmt: skip
            opened = self._opened[collection.id] = _Opened(store, index, saved, saved)
        index = opened.index
        if opened.saved != saved or opened.now.deletions != now.deletions:
            index.forget_fresh()
            opened.saved = opened.now = saved
        for ids, blobs in embedded.after(opened.now.last_id, now.last_id):
            index.add(np.array(ids, dtype=np.int64), unpack(blobs, collection.dimensions))
        opened.now = now
        index.follow(
            now.count,
            has_old=saved.deletions != now.deletions,
            tells=not stores.is_restated(),
            every=partial(embedded.ids, now.last_id),
        )
        return index

    @staticmethod
    def _address(store: Store, wanted: str | None) -> Address:
        """Return how to search a collection: as the user wants it, where that is the one."""
        address = parse(wanted) if wanted is not None else None
        if address is None or address.place != store.place:
            address = parse(store.place)
        assert address is not None
        return address

    def due(self, collection: Collection, address: Address) -> int:
        """Return how many embeddings have come since they were last sent; two rows are read."""
        embedded, saved = self._catalog.embedded(collection), None
        store = self._catalog.stores(collection).current()
        if store is not None and store.place == address.place:
            saved = embedded.saved()
        return embedded.extent().count - (saved.count if saved else 0)

    def save(self, collection: Collection, address: Address, *, full: bool) -> Iterator[Uploading]:
        """Bring a collection of Milvus in step with the catalogue, which then names it.

        It can be stopped at any moment, and goes on from there. full: compare every id, whatever
        is known of what is there.
        """
        embedded, stores = self._catalog.embedded(collection), self._catalog.stores(collection)
        milvus = self.reach(address)
        store = stores.at(address.place)
        saved, now = embedded.saved(), embedded.extent()
        held = saved.extent if saved.file == store.name else Extent()
        if not milvus.has(store.name):
            held = Extent()
            texts = {name: field.is_text for name, field in FIELDS.items()}
            milvus.make(
                store.name, collection.dimensions, texts,
                f"searchapp: {collection.name} ({collection.model})"[:200],
            )  # fmt: skip
        yield from self._tell_again(collection, milvus, store)
        count = milvus.count(store.name)
        if not full and saved.file == store.name and held == now and count == now.count:
            return
        for trusted in (0,) if full else (held.last_id, 0):
            difference = self._difference(embedded, milvus, store, held, now, count, trusted, full)
            yield from self._send(collection, milvus, store, difference)
            if (count := milvus.count(store.name)) == now.count:
                break
            held = Extent()  # it is not what it was said to be
        milvus.flush(store.name)
        embedded.set_saved(
            SavedIndex(
                store.name,
                0,
                now.count,
                now.last_id,
                now.deletions,
                address.kind,
                embedded.wanted(),
            )
        )

    def misheld(self, collection: Collection, store: Store) -> str | None:
        """Compare the ids that are embedded with those in Milvus; None where they are the same.

        What was embedded since the last save does not count. Errors: VectorsError.
        """
        embedded = self._catalog.embedded(collection)
        address = self._address(store, self._catalog.stores(collection).wanted())
        milvus, saved = self.reach(address), embedded.saved()
        if not milvus.has(store.name):
            return "the collection is not there"
        if (count := milvus.count(store.name)) != saved.count:
            return f"{count:,} vectors are there, and {saved.count:,} should be"
        more, fewer = compare(
            embedded.ids(saved.last_id),
            partial(milvus.count, store.name),
            partial(milvus.ids, store.name),
            saved.last_id,
            0,
        )
        if len(fewer) or (len(more) and saved.deletions == embedded.extent().deletions):
            return "others are there than those that are embedded"
        return None

    def _difference(
        self, embedded: Embedded, milvus: Milvus, store: Store, held: Extent, now: Extent,
        count: int, trusted: int, full: bool,
    ) -> Difference:  # fmt: skip
        """Return what Milvus has too many, and what too few."""
        if not full and count == held.count and (not count or held.deletions == now.deletions):
            pages = embedded.told_after(held.last_id if count else 0, now.last_id)
            return Difference(np.empty(0, np.int64), pages, now.count - count)
        live = embedded.ids(now.last_id)
        milvus.remove_after(store.name, now.last_id)
        more, fewer = compare(
            live,
            partial(milvus.count, store.name),
            partial(milvus.ids, store.name),
            now.last_id,
            trusted if count else 0,
            self._tick,
        )
        return Difference(more, embedded.told(fewer.tolist()), len(fewer))

    def _send(
        self, collection: Collection, milvus: Milvus, store: Store, difference: Difference
    ) -> Iterator[Uploading]:
        """Take out of Milvus what is too many, and then add what is too few, by rising ids.

        In this order: a collection never lacks what was sent once and is embedded still.
        """
        done, total = 0, len(difference.more) + difference.fewer
        for start in range(0, len(difference.more), PAGE):
            self._tick()
            page = difference.more[start : start + PAGE].tolist()
            milvus.remove(store.name, page)
            done += len(page)
            yield Uploading(done, total, milvus.address.shown)
        for rows in difference.pages:
            self._tick()
            milvus.put(store.name, _sent(rows, collection.dimensions))
            done += len(rows)
            yield Uploading(done, total, milvus.address.shown)

    def _tell_again(
        self, collection: Collection, milvus: Milvus, store: Store
    ) -> Iterator[Uploading]:
        """Send again what is known otherwise of images than when it was sent."""
        embedded, stores = self._catalog.embedded(collection), self._catalog.stores(collection)
        changed, done = stores.restated(), 0
        for start in range(0, len(changed), PAGE):
            self._tick()
            page = changed[start : start + PAGE]
            rows = [row for some in embedded.told(page) for row in some]
            milvus.put(store.name, _sent(rows, collection.dimensions), again=True)
            with self._catalog.atomic():  # what changed once more meanwhile, is sent once more
                same = [row for some in embedded.told(page) for row in some if row in rows]
                stores.sent([row["id"] for row in same])
            done += len(page)
            yield Uploading(done, len(changed), milvus.address.shown)

    def drop(self, store: Store) -> None:
        """Drop a collection of Milvus."""
        address = self._address(store, None)
        if not address.is_lite or Path(address.server).exists():
            self.reach(address).drop(store.name)


def _sent(rows: list[dict[str, Any]], dimensions: int) -> list[dict[str, Any]]:
    """Return rows as Milvus takes them: with vectors in float32."""
    vectors = unpack((row["vector"] for row in rows), dimensions)
    return [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
