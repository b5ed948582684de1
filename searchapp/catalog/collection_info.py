"""Read the statistics of a collection: images, failures, last run, and the state of its index."""

from __future__ import annotations

import json
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.catalog.outdated_colors import count_outdated_colors
from searchapp.catalog.vector_stores import VectorStores
from searchapp.types import Collection, CollectionInfo


def read_collection_info(db: Database, collection: Collection) -> CollectionInfo:
    """Return the statistics of a collection, as `searchapp info` shows them."""
    embeddings = CollectionEmbeddings(db, collection)
    saved, stores = embeddings.read_saved_index(), VectorStores(db, collection)
    store = stores.find_current()
    (failure_count,) = db.execute(
        "select count(*) from failures where collection_id = ?", (collection.id,)
    ).fetchone()
    last_run = db.execute(  # by id, not by time: see Catalog.list_collections
        "select finished_at from runs where collection_id = ? and finished_at is not null"
        " order by id desc limit 1",
        (collection.id,),
    ).fetchone()
    outdated_colors, unknown_colors = count_outdated_colors(db, collection)
    return CollectionInfo(
        name=collection.name,
        model=collection.model,
        revision=collection.revision,
        dimensions=collection.dimensions,
        images=embeddings.read_extent().count,
        failures=failure_count,
        last_run=last_run[0] if last_run else None,
        index_bytes=saved.size,
        index=saved.kind,
        index_wanted=embeddings.read_requested_kind(),
        index_images=saved.count,
        index_trained=saved.trained,
        outdated_colors=outdated_colors,
        unknown_colors=unknown_colors,
        vectors=store.place if store else "faiss",
        vectors_wanted=stores.read_requested_url() or "faiss",
        options=_read_set_options(collection),
    )


def _read_set_options(collection: Collection) -> dict[str, Any]:
    """Return the model options with which a user created a collection, by their names."""
    options = json.loads(collection.settings).get("options", {})
    return {name: value for name, value in options.items() if value not in (None, False)}
