"""Record which Milvus collections hold the vectors of a collection of embeddings."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS
from searchapp.types import Collection, MilvusCollection


class VectorStores:
    """Read and write the records of Milvus collections that hold one collection's vectors.

    At most one Milvus collection is current: it answers searches. The others are being filled, or
    wait to be dropped. Migration m008 creates the tables.
    """

    def __init__(self, db: Database, collection: Collection) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db
        self._id = collection.id

    def read_requested_url(self) -> str | None:
        """Return the URL of the store that the user requested; None: a FAISS file."""
        row = self._db.execute("select vectors_wanted from collections where id = ?", (self._id,))
        url: str | None = row.fetchone()[0]
        return url

    def set_requested_url(self, url: str | None) -> None:
        """Store the URL of the requested store, without secrets; None: a FAISS file."""
        self._db.execute("update collections set vectors_wanted = ? where id = ?", (url, self._id))

    def find_current(self) -> MilvusCollection | None:
        """Return the Milvus collection that answers searches; None: a FAISS file answers."""
        found = self._select_stores(
            "name = (select index_file from collections where id = ?)", self._id
        )
        return found[0] if found else None

    def get_or_create(self, place: str) -> MilvusCollection:
        """Get or create the record of the Milvus collection at a place (MilvusAddress.place).

        The name of a new Milvus collection has 8 random bytes, so other libraries, and
        copies of this library, never use the same name.
        """
        fields_json = json.dumps(list(FILTER_FIELDS))
        condition = "collection_id = ? and place = ? and fields = ?"
        found = self._select_stores(condition, self._id, place, fields_json)
        if not found:
            self._create_text_indexes()
            name = f"searchapp_{secrets.token_hex(8)}_{self._id}"
            self._db.execute(
                "insert into stores values (?, ?, ?, ?)",
                (name, self._id, place, fields_json),
            )
            found = self._select_stores("name = ?", name)
        return found[0]

    def _create_text_indexes(self) -> None:
        """Create the SQLite indexes that list distinct texts; only filters for Milvus need them."""
        for column in ("camera", "format", "lens"):
            self._db.execute(f"create index if not exists images_{column} on images({column})")

    def list_unused(self, except_name: str | None) -> list[MilvusCollection]:
        """Return the Milvus collections that are not current, without the one named except_name."""
        return self._select_stores(
            "collection_id = ? and name is not ?"
            " and name is not (select index_file from collections where id = ?)",
            self._id, except_name, self._id,
        )  # fmt: skip

    def forget_store(self, store: MilvusCollection) -> None:
        """Delete the record of a Milvus collection that no longer exists."""
        self._db.execute("delete from stores where name = ?", (store.name,))

    def _select_stores(self, where: str, *parameters: Any) -> list[MilvusCollection]:
        rows = self._db.execute(f"select name, place, fields from stores where {where}", parameters)
        return [
            MilvusCollection(name, place, tuple(json.loads(fields))) for name, place, fields in rows
        ]

    # Image fields that have changed since the upload

    def list_changed_ids(self) -> list[int]:
        """Return the ids of embeddings whose image fields have changed since their upload."""
        rows = self._db.execute(
            "select r.embedding_id from restated r join embeddings e on e.id = r.embedding_id"
            " where e.collection_id = ? order by 1",
            (self._id,),
        )
        return [row[0] for row in rows]

    def has_changed_ids(self) -> bool:
        """Return whether any image fields may have changed since their upload to Milvus."""
        return self._db.execute("select 1 from restated limit 1").fetchone() is not None

    def forget_changed_ids(self, ids: list[int]) -> None:
        """Remove uploaded or deleted embeddings from the list of changed embeddings."""
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from restated where embedding_id = ?", ((id,) for id in ids)
            )
            self._db.execute(
                "delete from restated where embedding_id not in (select id from embeddings)"
            )
