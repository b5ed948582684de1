"""Store the vectors of the calibration sentences, with which good matches are judged."""

from __future__ import annotations

import logging
import sqlite3

from sqlite_utils import Database

from searchapp.catalog.connection import BUSY_TIMEOUT_S
from searchapp.types import Collection

logger = logging.getLogger(__name__)
SAVE_BUSY_TIMEOUT_S = 1  # A search must not wait long for another process that writes.


class CalibrationTable:
    """Read and write the vectors of the calibration sentences of a collection."""

    def __init__(self, db: Database, collection: Collection) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db, self._collection = db, collection

    def read_vectors(self, sentences_hash: str) -> bytes | None:
        """Return the saved vectors of the sentences; None if they are not saved."""
        row = self._db.execute(
            "select vectors from calibrations where collection_id = ? and sentences = ?",
            (self._collection.id, sentences_hash),
        ).fetchone()
        return row[0] if row else None

    def save_vectors(self, sentences_hash: str, vectors: bytes) -> bool:
        """Save the vectors of the sentences; return False if writing is impossible.

        Writing is impossible while another process writes, and on a read-only disk.
        """
        try:
            self._db.execute(f"pragma busy_timeout = {1000 * SAVE_BUSY_TIMEOUT_S}")
            self._db.execute(
                "insert or replace into calibrations values (?, ?, ?)",
                (self._collection.id, sentences_hash, vectors),
            )
        except sqlite3.OperationalError as error:
            logger.info(
                "Did not save the calibration of the collection %s (%s); "
                "the next process calibrates again.",
                self._collection.name,
                error,
            )
            return False
        finally:
            self._db.execute(f"pragma busy_timeout = {1000 * BUSY_TIMEOUT_S}")
        logger.info("Saved the calibration of the collection %s.", self._collection.name)
        return True
