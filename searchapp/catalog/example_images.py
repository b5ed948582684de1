"""Find the stored vectors of pictures that serve as examples in a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.path_keys import encode_path
from searchapp.types import Collection


@dataclass(frozen=True, slots=True)
class StoredExample:
    """Picture or video in a collection: its vectors, and its embeddings.

    vectors: little-endian float16; of a video, one for each frame. embedding_ids: of the picture,
    or of all frames of the video.
    """

    vectors: tuple[bytes, ...]
    embedding_ids: frozenset[int]


class ExampleImages:
    """Find pictures and videos of one collection by id, path or content."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Use a connection to the catalog."""
        self._db, self._collection_id = db, collection.id

    def find_by_id(self, image_id: int) -> StoredExample | None:
        """Return the image with an id; None if the collection does not have it.

        For the id of a video frame, vectors has only the vector of this frame.
        """
        rows = self._db.execute(
            "with content(id) as (select coalesce("
            " (select video_id from frames where image_id = :image), :image))"
            " select e.id, e.image_id, e.vector from embeddings e, content"
            " where e.collection_id = :collection and e.image_id in ("
            "  select content.id union select image_id from frames where video_id = content.id)"
            " order by e.id",
            {"image": image_id, "collection": self._collection_id},
        ).fetchall()
        if not rows:
            return None
        own = tuple(vector for _, each_id, vector in rows if each_id == image_id)
        vectors = own or tuple(vector for *_, vector in rows)
        return StoredExample(vectors, frozenset(id for id, *_ in rows))

    def find_by_path(self, path: str) -> StoredExample | None:
        """Return the picture or video in a file; None if the collection does not have it."""
        return self._find("select image_id from files where path = ?", encode_path(path))

    def find_by_content(self, sha256: str) -> StoredExample | None:
        """Return the picture or video with this SHA-256; None if the collection lacks it."""
        return self._find("select id from images where sha256 = ?", sha256)

    def _find(self, sql: str, value: Any) -> StoredExample | None:
        row = self._db.execute(sql, (value,)).fetchone()
        return None if row is None else self.find_by_id(row[0])
