"""A collection's embeddings as its index sees them: which there are, and which it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS, encode_text_value
from searchapp.types import Collection, EmbeddingExtent, SavedIndex

PAGE_ROWS = 10_000  # rows
FIELDS_PAGE_ROWS = 1_000  # rows, of those with fields
MAX_ID = 2**63 - 1  # the highest id there can be
EmbeddingRow = dict[str, Any]


class CollectionEmbeddings:
    """The embeddings of one collection."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Look at a collection through the catalogue's connection."""
        self._db = db
        self._id = collection.id

    def read_extent(self) -> EmbeddingExtent:
        """Return which embeddings there are; one row is read, however many they are."""
        row = self._db.execute(
            "select embedded, last_embedding, deletions from collections where id = ?", (self._id,)
        ).fetchone()
        return EmbeddingExtent(*row)

    def read_saved_index(self) -> SavedIndex:
        """Return what is known of the index file."""
        columns = ", ".join(f"index_{field.name}" for field in fields(SavedIndex))
        row = self._db.execute(f"select {columns} from collections where id = ?", (self._id,))
        return SavedIndex(*row.fetchone())

    def set_saved_index(self, saved: SavedIndex) -> None:
        """Say which index file there is, and what it holds: the commit of a save."""
        columns = ", ".join(f"index_{field.name} = ?" for field in fields(SavedIndex))
        self._db.execute(
            f"update collections set {columns} where id = ?", (*astuple(saved), self._id)
        )

    def forget_saved_index(self) -> None:
        """Say that there is no index file: the next save makes one of all embeddings."""
        self.set_saved_index(SavedIndex())

    def read_requested_kind(self) -> str:
        """Return which kind of index the user wants: exact, auto or a factory string."""
        row = self._db.execute("select index_wanted from collections where id = ?", (self._id,))
        return str(row.fetchone()[0])

    def set_requested_kind(self, kind: str) -> None:
        """Remember which kind of index the user wants."""
        self._db.execute("update collections set index_wanted = ? where id = ?", (kind, self._id))

    def read_ids(self, last: int) -> NDArray[np.int64]:
        """Return the ids of the embeddings up to one, in their order."""
        rows = self._db.execute(
            "select id from embeddings where collection_id = ? and id <= ?", (self._id, last)
        )
        found = np.fromiter((row[0] for row in rows), dtype=np.int64)
        found.sort()
        return found

    def sample_vectors(self, count: int) -> list[bytes]:
        """Return about so many stored vectors from all over the collection, or all it has."""
        last = self.read_extent().last_id
        chosen = np.unique(np.linspace(1, last, min(count, last)).astype(np.int64))
        blobs = self._read_vectors(chosen) if last else []
        if len(blobs) < min(count, self.read_extent().count) // 2:  # it shares the ids with others
            ids = self.read_ids(last)
            blobs = self._read_vectors(ids[:: max(1, len(ids) // count)][:count])
        return blobs

    def _read_vectors(self, ids: NDArray[np.int64]) -> list[bytes]:
        rows = self._db.execute(
            "select vector from embeddings where collection_id = ?"
            " and id in (select value from json_each(?)) order by id",
            (self._id, json.dumps(ids.tolist())),
        )
        return [row[0] for row in rows]

    def read_vectors_after(
        self, first: int, last: int = MAX_ID
    ) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield the embeddings with first < id <= last in pages of (ids, stored vectors)."""
        while rows := self._db.execute(
            "select id, vector from embeddings not indexed"
            " where id > ? and id <= ? and collection_id = ? order by id limit ?",
            (first, last, self._id, PAGE_ROWS),
        ).fetchall():
            yield [row[0] for row in rows], [row[1] for row in rows]
            first = rows[-1][0]

    def read_rows_after(self, first: int, last: int = MAX_ID) -> Iterator[list[EmbeddingRow]]:
        """Yield the embeddings with first < id <= last in pages, with their images' fields.

        A row: id, vector (as stored), and the values of FIELDS.
        """
        while rows := self._fetch_rows(
            "e.id > ? and e.id <= ? and e.collection_id = ? order by e.id limit ?",
            (first, last, self._id, FIELDS_PAGE_ROWS),
        ):
            yield rows
            first = rows[-1]["id"]

    def read_rows(self, ids: list[int]) -> Iterator[list[EmbeddingRow]]:
        """Yield some embeddings as told_after does; ids that are not there are left out."""
        for start in range(0, len(ids), FIELDS_PAGE_ROWS):
            page = json.dumps(ids[start : start + FIELDS_PAGE_ROWS])
            yield self._fetch_rows(
                "e.id in (select value from json_each(?)) and e.collection_id = ?", (page, self._id)
            )

    def _fetch_rows(self, where: str, parameters: tuple[Any, ...]) -> list[EmbeddingRow]:
        columns = ", ".join(field.sql for field in FILTER_FIELDS.values())
        rows = self._db.execute(
            f"select e.id, e.vector, {columns} from embeddings e not indexed"
            f" join images i on i.id = e.image_id where {where}",
            parameters,
        )
        texts = {name for name, field in FILTER_FIELDS.items() if field.is_text}
        return [
            {name: encode_text_value(value) if name in texts else value for name, value in zip(
                ("id", "vector", *FILTER_FIELDS), row, strict=True)}
            for row in rows
        ]  # fmt: skip
