"""Ask a catalogue from any thread what it has already."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from searchapp.catalog.sqlite_errors import wrap_sqlite_errors


class EmbeddedImageLookup:
    """What a collection has, for any thread to ask; it sees what is committed."""

    def __init__(self, file: str, collection_id: int) -> None:
        """Open a connection of its own."""
        self._folder, self._collection_id = Path(file).parent, collection_id
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return the id of an image that the collection has the embedding of; LibraryError."""
        with self._lock, wrap_sqlite_errors(self._folder):
            row = self._connection.execute(
                "select i.id from images i join embeddings e on e.image_id = i.id"
                " where i.sha256 = ? and e.collection_id = ?",
                (sha256, self._collection_id),
            ).fetchone()
        return int(row[0]) if row else None

    def has_embeddings(self) -> bool:
        """Tell whether the collection has anything; LibraryError."""
        with self._lock, wrap_sqlite_errors(self._folder):
            row = self._connection.execute(
                "select 1 from embeddings where collection_id = ? limit 1", (self._collection_id,)
            ).fetchone()
        return row is not None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
