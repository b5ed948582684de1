"""A catalog and vectors that change at random."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from searchapp.catalog import Catalog
from searchapp.catalog.embeddings import Embedded
from searchapp.types import (
    Collection,
    IndexMaking,
    PictureInfo,
)
from searchapp.vectors import VectorIndex, pack, unpack
from searchapp.vectors.faiss_files.choose_index import Policy
from searchapp.vectors.indexes import Indexes

DIMENSIONS = 16


SMALL = Policy(exact_up_to=40, save_every=10)


class Store:
    """A catalogue with one collection, filled without an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "catalog.db"
        self.catalog = Catalog.open(self.file, create=True)
        self.collection: Collection = self.catalog.add_collection("c", "m", "1", DIMENSIONS, "{}")
        self.rng = np.random.default_rng(0)
        self.images = 0

    @property
    def embedded(self) -> Embedded:
        return self.catalog.embedded(self.collection)

    def add(self, count: int) -> None:
        for _ in range(count):
            self.images += 1
            picture = {f"{self.images:064x}": PictureInfo(format="PNG", width=1, height=1)}
            (image,) = self.catalog.writer.save_images(picture).values()
            self.embed(image)

    def embed(self, image: int) -> None:
        vector = self.rng.normal(size=DIMENSIONS).astype(np.float32)
        vector /= np.linalg.norm(vector)
        self.catalog.writer.save_embeddings(self.collection, {image: pack(vector)})

    def delete(self, ids: list[int]) -> list[int]:
        """Delete embeddings; return their images."""
        images = []
        for id in ids:
            where = "from embeddings where id = ?"
            images += [row[0] for row in self.catalog._db.execute(f"select image_id {where}", [id])]
            self.catalog._db.execute(f"delete {where}", [id])
        return images

    def live(self) -> np.ndarray:
        return self.embedded.ids(2**62)

    def save(self, policy: Policy = SMALL) -> list[IndexMaking]:
        return list(Indexes(self.folder, self.catalog, policy).save(self.collection))

    def opened(self, policy: Policy = SMALL) -> VectorIndex:
        return Indexes(self.folder, self.catalog, policy).current(self.collection)

    def close(self) -> None:
        self.catalog.close()

    def exact(self, query: np.ndarray, among: np.ndarray) -> list[int]:
        """Return the ids among some by their nearness to a query."""
        scores = {}
        for ids, blobs in self.catalog.vectors(among.tolist()):
            cosines = unpack(blobs, DIMENSIONS) @ query
            scores.update(zip(ids, cosines.tolist(), strict=True))
        return sorted(scores, key=lambda id: (-scores[id], id))


class Changes(RuleBasedStateMachine):
    """Adds, deletions and re-embeddings; a subclass makes the store, and says what else happens."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()

    @rule(count=st.integers(1, 30))
    def add(self, count: int) -> None:
        self.store.add(count)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if len(live := self.store.live().tolist()):
            self.store.delete(data.draw(st.lists(st.sampled_from(live), max_size=20, unique=True)))

    @rule(data=st.data())
    def embed_again(self, data: st.DataObject) -> None:
        if len(live := self.store.live().tolist()):
            chosen = data.draw(st.lists(st.sampled_from(live), max_size=5, unique=True))
            for image in self.store.delete(chosen):
                self.store.embed(image)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        self.temporary.cleanup()
