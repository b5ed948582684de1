"""Where a collection's vectors are besides FAISS files: in which collections of Milvus."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS
from searchapp.types import Collection, MilvusCollection


class VectorStores:
    """What Milvus holds of one collection, or is to hold; see the migration m008."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Look at a collection through the catalogue's connection."""
        self._db = db
        self._id = collection.id

    def read_requested_url(self) -> str | None:
        """Return where the user wants the vectors; None: in a FAISS file."""
        row = self._db.execute("select vectors_wanted from collections where id = ?", (self._id,))
        wanted: str | None = row.fetchone()[0]
        return wanted

    def set_requested_url(self, url: str | None) -> None:
        """Remember where the user wants the vectors: a URL without secrets, or a FAISS file."""
        self._db.execute("update collections set vectors_wanted = ? where id = ?", (url, self._id))

    def find_current(self) -> MilvusCollection | None:
        """Return the one that answers; None where a FAISS file does."""
        found = self._select_stores(
            "name = (select index_file from collections where id = ?)", self._id
        )
        return found[0] if found else None

    def get_or_create(self, place: str) -> MilvusCollection:
        """Return the one at a place, known from now on where it is new.

        Its name is no other library's, nor that of a copy of this one: there is chance in it.
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
        """Let pushed() walk from text to text; where no Milvus is asked, nobody pays for it."""
        for column in ("camera", "format", "lens"):
            self._db.execute(f"create index if not exists images_{column} on images({column})")

    def list_unused(self, except_name: str | None) -> list[MilvusCollection]:
        """Return those that do not answer, but for the one of a name."""
        return self._select_stores(
            "collection_id = ? and name is not ?"
            " and name is not (select index_file from collections where id = ?)",
            self._id, except_name, self._id,
        )  # fmt: skip

    def forget_store(self, store: MilvusCollection) -> None:
        """Say that one is not there any more."""
        self._db.execute("delete from stores where name = ?", (store.name,))

    def _select_stores(self, where: str, *parameters: Any) -> list[MilvusCollection]:
        rows = self._db.execute(f"select name, place, fields from stores where {where}", parameters)
        return [
            MilvusCollection(name, place, tuple(json.loads(fields))) for name, place, fields in rows
        ]

    # What is known of images, and has changed since it was sent

    def list_changed_ids(self) -> list[int]:
        """Return the ids of embeddings whose images' fields have changed since."""
        rows = self._db.execute(
            "select r.embedding_id from restated r join embeddings e on e.id = r.embedding_id"
            " where e.collection_id = ? order by 1",
            (self._id,),
        )
        return [row[0] for row in rows]

    def has_changed_ids(self) -> bool:
        """Tell whether there may be any, of whatever collection."""
        return self._db.execute("select 1 from restated limit 1").fetchone() is not None

    def mark_as_sent(self, ids: list[int]) -> None:
        """Say that some have been sent again; and forget what is embedded no more."""
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from restated where embedding_id = ?", ((id,) for id in ids)
            )
            self._db.execute(
                "delete from restated where embedding_id not in (select id from embeddings)"
            )
