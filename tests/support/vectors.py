"""Make catalogs whose vectors change at random."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from searchapp.catalog import Catalog
from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.types import (
    Collection,
    IndexBuilding,
    PictureInfo,
)
from searchapp.vectors import VectorIndex, pack_vector, unpack_vectors
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes

DIMENSIONS = 16


SMALL_POLICY = IndexPolicy(max_exact_vectors=40, min_unsaved_vectors=10)


class FilledCatalog:
    """Catalog with one collection of random vectors, filled without an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog_file = folder / "catalog.db"
        self.catalog = Catalog.open(self.catalog_file, create=True)
        self.collection: Collection = self.catalog.add_collection("c", "m", "1", DIMENSIONS, "{}")
        self.rng = np.random.default_rng(0)
        self.image_count = 0

    @property
    def embeddings(self) -> CollectionEmbeddings:
        return self.catalog.get_embeddings(self.collection)

    def add_images(self, count: int) -> None:
        for _ in range(count):
            self.image_count += 1
            picture = {f"{self.image_count:064x}": PictureInfo(format="PNG", width=1, height=1)}
            (image,) = self.catalog.writer.save_images(picture).values()
            self.embed_image(image)

    def embed_image(self, image: int) -> None:
        vector = self.rng.normal(size=DIMENSIONS).astype(np.float32)
        vector /= np.linalg.norm(vector)
        self.catalog.writer.save_embeddings(self.collection, {image: pack_vector(vector)})

    def delete_embeddings(self, ids: list[int]) -> list[int]:
        """Delete embeddings; return the ids of their images."""
        images = []
        for id in ids:
            where = "from embeddings where id = ?"
            images += [row[0] for row in self.catalog._db.execute(f"select image_id {where}", [id])]
            self.catalog._db.execute(f"delete {where}", [id])
        return images

    def live_ids(self) -> np.ndarray:
        return self.embeddings.read_ids(2**62)

    def save_index(self, policy: IndexPolicy = SMALL_POLICY) -> list[IndexBuilding]:
        return list(Indexes(self.folder, self.catalog, policy).save_index(self.collection))

    def open_index(self, policy: IndexPolicy = SMALL_POLICY) -> VectorIndex:
        return Indexes(self.folder, self.catalog, policy).open_index(self.collection)

    def close(self) -> None:
        self.catalog.close()

    def rank_exactly(self, query: np.ndarray, ids_to_rank: np.ndarray) -> list[int]:
        """Return ids sorted by their exact score for a query, best first."""
        scores = {}
        for ids, blobs in self.catalog.read_vectors(ids_to_rank.tolist()):
            cosines = unpack_vectors(blobs, DIMENSIONS) @ query
            scores.update(zip(ids, cosines.tolist(), strict=True))
        return sorted(scores, key=lambda id: (-scores[id], id))


class CatalogChanges(RuleBasedStateMachine):
    """Random adds, deletions and re-embeddings; a subclass sets store and adds rules."""

    store: FilledCatalog

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()

    @rule(count=st.integers(1, 30))
    def add(self, count: int) -> None:
        self.store.add_images(count)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if len(live := self.store.live_ids().tolist()):
            self.store.delete_embeddings(
                data.draw(st.lists(st.sampled_from(live), max_size=20, unique=True))
            )

    @rule(data=st.data())
    def embed_again(self, data: st.DataObject) -> None:
        if len(live := self.store.live_ids().tolist()):
            chosen_ids = data.draw(st.lists(st.sampled_from(live), max_size=5, unique=True))
            for image in self.store.delete_embeddings(chosen_ids):
                self.store.embed_image(image)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        self.temporary.cleanup()
