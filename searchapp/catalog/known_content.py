"""Look up from any thread whether the content of a file is already embedded."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from searchapp.catalog.outdated_colors import last_outdated_sql
from searchapp.catalog.sqlite_errors import wrap_sqlite_errors


class EmbeddedImageLookup:
    """Look up committed embeddings of one collection; safe to call from any thread.

    All methods raise LibraryError if SQLite fails.
    """

    def __init__(self, file: str, collection_id: int, *, update_colors: bool = False) -> None:
        """Open a separate connection to the catalog.

        update_colors: do not find embeddings that were made with other colors.
        """
        self._update_colors = update_colors
        self._folder, self._collection_id = Path(file).parent, collection_id
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return the id of the image with this SHA-256; None if it is not embedded."""
        with self._lock, wrap_sqlite_errors(self._folder):
            row = self._connection.execute(
                "select i.id from images i join embeddings e on e.image_id = i.id"
                " where i.sha256 = ? and e.collection_id = ?"
                f" and not (? and e.id <= {last_outdated_sql('i.id')})",
                (sha256, self._collection_id, self._update_colors),
            ).fetchone()
        return int(row[0]) if row else None

    def has_embeddings(self) -> bool:
        """Return whether the collection has at least one embedding."""
        with self._lock, wrap_sqlite_errors(self._folder):
            row = self._connection.execute(
                "select 1 from embeddings where collection_id = ? limit 1", (self._collection_id,)
            ).fetchone()
        return row is not None

    def close(self) -> None:
        """Close the connection that the lookup opened."""
        with self._lock:
            self._connection.close()
