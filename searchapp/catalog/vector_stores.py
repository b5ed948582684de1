"""Where a collection's vectors are besides FAISS files: in which collections of Milvus."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.filters.fields import FIELDS
from searchapp.types import Collection, Store


class Stores:
    """What Milvus holds of one collection, or is to hold; see the migration m008."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Look at a collection through the catalogue's connection."""
        self._db = db
        self._id = collection.id

    def wanted(self) -> str | None:
        """Return where the user wants the vectors; None: in a FAISS file."""
        row = self._db.execute("select vectors_wanted from collections where id = ?", (self._id,))
        wanted: str | None = row.fetchone()[0]
        return wanted

    def want(self, url: str | None) -> None:
        """Remember where the user wants the vectors: a URL without secrets, or a FAISS file."""
        self._db.execute("update collections set vectors_wanted = ? where id = ?", (url, self._id))

    def current(self) -> Store | None:
        """Return the one that answers; None where a FAISS file does."""
        found = self._some("name = (select index_file from collections where id = ?)", self._id)
        return found[0] if found else None

    def at(self, place: str) -> Store:
        """Return the one at a place, known from now on where it is new.

        Its name is no other library's, nor that of a copy of this one: there is chance in it.
        """
        known = json.dumps(list(FIELDS))
        wanted = "collection_id = ? and place = ? and fields = ?"
        found = self._some(wanted, self._id, place, known)
        if not found:
            self._index_texts()
            name = f"searchapp_{secrets.token_hex(8)}_{self._id}"
            self._db.execute(
                "insert into stores values (?, ?, ?, ?)",
                (name, self._id, place, known),
            )
            found = self._some("name = ?", name)
        return found[0]

    def _index_texts(self) -> None:
        """Let pushed() walk from text to text; where no Milvus is asked, nobody pays for it."""
        for column in ("camera", "format", "lens"):
            self._db.execute(f"create index if not exists images_{column} on images({column})")

    def left(self, but: str | None) -> list[Store]:
        """Return those that do not answer, but for the one of a name."""
        return self._some(
            "collection_id = ? and name is not ?"
            " and name is not (select index_file from collections where id = ?)",
            self._id, but, self._id,
        )  # fmt: skip

    def forget(self, store: Store) -> None:
        """Say that one is not there any more."""
        self._db.execute("delete from stores where name = ?", (store.name,))

    def _some(self, where: str, *parameters: Any) -> list[Store]:
        rows = self._db.execute(f"select name, place, fields from stores where {where}", parameters)
        return [Store(name, place, tuple(json.loads(fields))) for name, place, fields in rows]

    # What is known of images, and has changed since it was sent

    def restated(self) -> list[int]:
        """Return the ids of embeddings whose images' fields have changed since."""
        rows = self._db.execute(
            "select r.embedding_id from restated r join embeddings e on e.id = r.embedding_id"
            " where e.collection_id = ? order by 1",
            (self._id,),
        )
        return [row[0] for row in rows]

    def is_restated(self) -> bool:
        """Tell whether there may be any, of whatever collection."""
        return self._db.execute("select 1 from restated limit 1").fetchone() is not None

    def sent(self, ids: list[int]) -> None:
        """Say that some have been sent again; and forget what is embedded no more."""
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from restated where embedding_id = ?", ((id,) for id in ids)
            )
            self._db.execute(
                "delete from restated where embedding_id not in (select id from embeddings)"
            )
