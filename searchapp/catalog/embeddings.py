"""Read a collection's embeddings, and the record of the vector index that holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS, encode_text_value
from searchapp.files.file_state import MAX_INTEGER
from searchapp.types import Collection, EmbeddingExtent, SavedIndex

PAGE_ROWS = 10_000
FIELDS_PAGE_ROWS = 1_000  # for pages with image fields
EmbeddingRow = dict[str, Any]


class CollectionEmbeddings:
    """Read the embeddings of one collection, and read or write the record of its vector index."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db
        self._id = collection.id

    def read_extent(self) -> EmbeddingExtent:
        """Return the extent (count, last id, deletions) of all embeddings. Reads one row."""
        row = self._db.execute(
            "select embedded, last_embedding, deletions from collections where id = ?", (self._id,)
        ).fetchone()
        return EmbeddingExtent(*row)

    def read_saved_index(self) -> SavedIndex:
        """Return the catalog's record of the collection's vector index."""
        columns = ", ".join(f"index_{field.name}" for field in fields(SavedIndex))
        row = self._db.execute(f"select {columns} from collections where id = ?", (self._id,))
        return SavedIndex(*row.fetchone())

    def set_saved_index(self, saved: SavedIndex) -> None:
        """Write the record of the collection's vector index; from then on, searches use it."""
        columns = ", ".join(f"index_{field.name} = ?" for field in fields(SavedIndex))
        self._db.execute(
            f"update collections set {columns} where id = ?", (*astuple(saved), self._id)
        )

    def forget_saved_index(self) -> None:
        """Reset the record of the vector index, so that the next save rebuilds the index."""
        self.set_saved_index(SavedIndex())

    def read_requested_kind(self) -> str:
        """Return the kind of index that the user requested: exact, auto or a factory string."""
        row = self._db.execute("select index_wanted from collections where id = ?", (self._id,))
        return str(row.fetchone()[0])

    def set_requested_kind(self, kind: str) -> None:
        """Store the kind of index that the user requested."""
        self._db.execute("update collections set index_wanted = ? where id = ?", (kind, self._id))

    def read_ids(self, last: int) -> NDArray[np.int64]:
        """Return all embedding ids that are at most last, in ascending order."""
        rows = self._db.execute(
            "select id from embeddings where collection_id = ? and id <= ?", (self._id, last)
        )
        found = np.fromiter((row[0] for row in rows), dtype=np.int64)
        found.sort()
        return found

    def sample_vectors(self, count: int) -> list[bytes]:
        """Return approximately count stored vectors, evenly distributed over the collection."""
        last = self.read_extent().last_id
        chosen = np.unique(np.linspace(1, last, min(count, last)).astype(np.int64))
        blobs = self._read_vectors(chosen) if last else []
        # Few hits mean that most ids belong to other collections: choose from the real ids.
        if len(blobs) < min(count, self.read_extent().count) // 2:
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
        self, first: int, last: int = MAX_INTEGER
    ) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield the stored vectors with first < id <= last, in pages of (ids, vectors)."""
        while rows := self._db.execute(
            "select id, vector from embeddings not indexed"
            " where id > ? and id <= ? and collection_id = ? order by id limit ?",
            (first, last, self._id, PAGE_ROWS),
        ).fetchall():
            yield [row[0] for row in rows], [row[1] for row in rows]
            first = rows[-1][0]

    def read_rows_after(self, first: int, last: int = MAX_INTEGER) -> Iterator[list[EmbeddingRow]]:
        """Yield the embeddings with first < id <= last in pages, with the fields of their images.

        A row has the keys id, vector (as stored), and the names in FILTER_FIELDS.
        """
        while rows := self._fetch_rows(
            "e.id > ? and e.id <= ? and e.collection_id = ? order by e.id limit ?",
            (first, last, self._id, FIELDS_PAGE_ROWS),
        ):
            yield rows
            first = rows[-1]["id"]

    def read_rows(self, ids: list[int]) -> Iterator[list[EmbeddingRow]]:
        """Yield embeddings by id in pages, as read_rows_after does; unknown ids are ignored."""
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
