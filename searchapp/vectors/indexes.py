"""The one door to what collections are searched with: FAISS files, or Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.errors import VectorsError
from searchapp.types import Collection, Extent, IndexMaking, Uploading
from searchapp.vectors import Searched, VectorIndex
from searchapp.vectors.address import Address, parse
from searchapp.vectors.faiss_files.choose_index import Policy
from searchapp.vectors.faiss_files.sync import Files
from searchapp.vectors.milvus_store.sync import Remotes


class Indexes:
    """What a library's collections are searched with. Not for use by several threads at once."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        policy: Policy = Policy(),
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Use the index files in a folder. tick: called often in long work; it may raise."""
        self._catalog = catalog
        self._policy = policy
        self._files = Files(folder, catalog, policy, tick)
        self._remotes = Remotes(catalog, tick)

    def close(self) -> None:
        """Close connections."""
        self._remotes.close()

    def rest(self) -> None:
        """Let go of files that one process alone can have; they are opened again when needed."""
        self._remotes.rest()

    def reach(self, address: Address) -> None:
        """See that a place can be reached; raise VectorsError."""
        self._remotes.reach(address)

    def want(self, collection: Collection, address: Address | None) -> None:
        """Remember where a collection's vectors are to be; None: in a FAISS file."""
        self._catalog.stores(collection).want(address.url if address else None)

    def wanted(self, collection: Collection) -> Address | None:
        """Return where a collection's vectors are to be; None: in a FAISS file."""
        url = self._catalog.stores(collection).wanted()
        return parse(url) if url is not None else None

    def current(self, collection: Collection) -> Searched:
        """Return the index to search with: what is saved of it, and what came since."""
        store = self._catalog.stores(collection).current()
        if store is not None:
            return self._remotes.current(collection, store)
        return self._files.current(collection)

    def save(
        self, collection: Collection, *, full: bool = False
    ) -> Iterator[IndexMaking | Uploading]:
        """Bring the index in step with the catalogue, where it is not; say what takes long.

        One that is somewhere else than wanted is made there, and answers until that is done.
        full: compare every id with Milvus.
        """
        address, stores = self.wanted(collection), self._catalog.stores(collection)
        if address is None:
            yield from self._files.save(collection)
        else:
            try:
                yield from self._remotes.save(collection, address, full=full)
            except VectorsError as error:
                raise type(error)(
                    "the catalogue has all that is embedded, but Milvus is not in step with it: "
                    f"{error}. Any later `searchapp index` sends the rest, and embeds nothing again"
                ) from error
            self._files.drop(collection)
        for store in stores.left(stores.at(address.place).name if address else None):
            with suppress(VectorsError):  # the next time: whatever is wrong there, nothing needs it
                self._remotes.drop(store)
                stores.forget(store)

    def misheld(self, collection: Collection) -> str | None:
        """Tell what Milvus holds otherwise than it is said to; None where nothing, or no Milvus.

        Errors: VectorsError.
        """
        store = self._catalog.stores(collection).current()
        return self._remotes.misheld(collection, store) if store is not None else None

    def save_due(self, collection: Collection) -> bool:
        """Tell, at the cost of a row, whether so much has come that saving pays during a run."""
        address = self.wanted(collection)
        if address is None:
            return self._files.save_due(collection)
        return self._remotes.due(collection, address) >= self._policy.save_every

    def is_small(self, collection: Collection) -> bool:
        """Tell whether a few changes are saved in a moment: Milvus is told no more than those."""
        return self.wanted(collection) is not None or self._files.is_small(collection)

    def making_due(self, collection: Collection) -> IndexMaking | None:
        """Return what save would make anew; None where it would not."""
        return self._files.making_due(collection) if self.wanted(collection) is None else None

    def make(self, collection: Collection, kind: str) -> tuple[VectorIndex, Extent]:
        """Make an index of a kind from the stored vectors, and return what it holds."""
        return self._files.make(collection, kind)
