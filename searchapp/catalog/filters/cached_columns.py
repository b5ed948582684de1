"""Keep the columns that filters compare in memory, and read what has changed in the catalog."""

from __future__ import annotations

import logging
from itertools import chain

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import EMPTY_IDS, Ids, ImageColumns
from searchapp.catalog.filters.facets import FolderColumn
from searchapp.catalog.filters.timeline import TimelineColumn

logger = logging.getLogger(__name__)


class CachedColumns:
    """The columns of all images, and the embeddings of collections, as of the last catch_up()."""

    def __init__(self, db: Database) -> None:
        """Create empty columns; catch_up() and the columns themselves read the catalog."""
        self._db = db
        self.images = ImageColumns()
        self.folders = FolderColumn()  # see catch_up_folders
        self.timeline = TimelineColumn()
        # Image ids of files that have other metadata than their image, and ids of this metadata.
        self.file_metadata: tuple[Ids, Ids] = (EMPTY_IDS, EMPTY_IDS)
        self._embedding_ids: dict[int, tuple[Ids, Ids]] = {}  # by collection: ids, image ids
        self.state: tuple[int, ...] = ()  # of the catalog at the last catch_up()
        self._last_sha256: tuple[str] | None = None  # of the image with the highest id
        self._changes = 0  # value of the table changes: updates of existing images
        self._current_collections: set[int] = set()  # collections that were read in this state

    def catch_up(self, collection_id: int | None) -> None:
        """Read new images, or all if some were changed or deleted.

        collection_id: the collection whose embeddings are read, too.
        """
        # data_version changes with commits of other connections, total_changes with our own.
        # https://www.sqlite.org/pragma.html#pragma_data_version
        (version,) = self._db.execute("pragma data_version").fetchone()
        state = (version, self._db.conn.total_changes)
        if state != self.state:
            self._current_collections.clear()
            self.state = state
            self._read_images()
        if collection_id is not None and collection_id not in self._current_collections:
            self._read_embedding_ids(collection_id)
            self._current_collections.add(collection_id)

    def get_embeddings(self, collection_id: int) -> tuple[Ids, Ids]:
        """Return the ids of a collection's embeddings and of their images, after catch_up()."""
        return self._embedding_ids[collection_id]

    def catch_up_folders(self) -> None:
        """Read the folders of all files again if the catalog has changed: slower than catch_up."""
        self.folders.catch_up(self._db, self.state)

    def _read_images(self) -> None:
        # SQLite may reuse an id if the image with the highest id was deleted.
        last = self._db.execute(
            "select sha256 from images where id = ?", (self.images.last_id,)
        ).fetchone()
        (changes,) = self._db.execute("select images from changes").fetchone()
        if last != self._last_sha256 or changes != self._changes:
            if self.images.last_id:
                logger.debug("Filter: images were changed or deleted; reading all fields again.")
            self.images, self.timeline = ImageColumns(), TimelineColumn()
        self._changes = changes
        previous_last_id = self.images.last_id
        (self.images.last_id,) = self._db.execute(
            "select coalesce(max(id), 0) from images"
        ).fetchone()
        rows = self._db.execute(
            "select image_id, video_id from frames where image_id > ?", (previous_last_id,)
        )
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        frames, videos = self.images.frames
        self.images.frames = np.append(frames, pairs[0::2]), np.append(videos, pairs[1::2])
        rows = self._db.execute("select image_id, metadata_id from file_metadata")
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        self.file_metadata = pairs[0::2], pairs[1::2]
        self._last_sha256 = self._db.execute(
            "select sha256 from images where id = ?", (self.images.last_id,)
        ).fetchone()

    def _read_embedding_ids(self, collection_id: int) -> None:
        """Read the new embedding ids of a collection, or all ids if embeddings were deleted.

        Comparing the number of ids is sufficient, because embedding ids are never reused.
        """
        ids, image_ids = self._embedding_ids.get(collection_id, (EMPTY_IDS, EMPTY_IDS))
        last = int(ids.max(initial=0))
        rows = self._db.execute(
            "select id, image_id from embeddings where +collection_id = ? and id > ?"
            if last
            else "select id, image_id from embeddings where collection_id = ? and ?",
            (collection_id, last or True),
        )
        new = np.fromiter(chain.from_iterable(rows), np.int64)
        ids, image_ids = np.append(ids, new[0::2]), np.append(image_ids, new[1::2])
        (count,) = self._db.execute(
            "select count(*) from embeddings where collection_id = ?", (collection_id,)
        ).fetchone()
        if count != len(ids) and last:
            logger.debug("Filter: embeddings were deleted; reading all fields again.")
            del self._embedding_ids[collection_id]
            self.images, self._last_sha256 = ImageColumns(), None
            self.timeline = TimelineColumn()
            self._read_images()
            self._read_embedding_ids(collection_id)
        else:
            self._embedding_ids[collection_id] = ids, image_ids
