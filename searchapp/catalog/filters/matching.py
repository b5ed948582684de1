"""Which embeddings fulfil a filter: what is asked most is kept in memory, as arrays."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters import where_condition
from searchapp.catalog.filters.columns import EMPTY_IDS, Ids, ImageColumns, Mask
from searchapp.catalog.filters.facets import FolderColumn, build_overview, count_facets
from searchapp.catalog.path_keys import build_below_condition
from searchapp.types import Facets, Filter, Overview

Cached = TypeVar("Cached", Ids, Mask, Facets)
MAX_CACHED_RESULTS = 8  # answers, and parts of answers, to filters that may be asked again


class FilterMatcher:
    """The embeddings that fulfil filters, in step with the catalogue."""

    def __init__(self, db: Database) -> None:
        """Read nothing yet."""
        self._db = db
        self._state: tuple[int, ...] = ()
        self._images = ImageColumns()
        self._last_sha256: tuple[str] | None = None  # the last image's hash
        self._changes = 0  # of images that were there before
        self._folders = FolderColumn()
        self._embedding_ids: dict[int, tuple[Ids, Ids]] = {}  # by collection: ids, image ids
        self._current_collections: set[int] = set()  # collections that were looked at since
        self._cache: dict[Any, Any] = {}

    def find_embedding_ids(self, collection_id: int, image_filter: Filter) -> Ids:
        """Return the ids of a collection's embeddings of images that fulfil a filter.

        Errors: QueryError, for its condition.
        """
        with self._db.atomic():  # all is read as it was at one moment
            self._catch_up(collection_id)
            key = (collection_id, image_filter)
            if key in self._cache:
                found: Ids = self._cache[key]
                return found
            masks = [mask for _, mask in self._build_masks(image_filter)]
            ids, image_ids = self._embedding_ids[collection_id]
            if not masks:
                return ids
            combined_mask = self._copy_to_frames(np.logical_and.reduce(masks))
            return self._cache_result(key, ids[combined_mask[image_ids]])

    def count_facets(self, collection_id: int, image_filter: Filter) -> Facets:
        """Count what a collection's images with files have, beside a filter; QueryError."""
        with self._db.atomic():
            self._catch_up(collection_id)
            key = ("facets", collection_id, image_filter)
            if key in self._cache:
                found: Facets = self._cache[key]
                return found
            self._folders.catch_up(self._db, self._state)
            _, image_ids = self._embedding_ids[collection_id]
            base_mask = self._mask_images(image_ids) & self._mask_images(self._folders.image_ids)
            frames, videos = self._images.frames
            base_mask[frames[frames != videos]] = False  # a video counts once
            parts = list(self._build_masks(image_filter))
            return self._cache_result(
                key, count_facets(self._db, self._images, self._folders, base_mask, parts)
            )

    def read_overview(self) -> Overview:
        """Tell where all images with files are, and of which days."""
        with self._db.atomic():
            self._catch_up(None)
            self._folders.catch_up(self._db, self._state)
            base_mask = self._mask_images(self._folders.image_ids)
            return build_overview(
                self._images.read_values(self._db, "date")[base_mask], self._folders
            )

    def _build_masks(self, image_filter: Filter) -> list[tuple[str, Mask]]:
        """Return what fulfils each part of a filter, with the name of what it is about."""
        parts = [*self._images.build_masks(self._db, image_filter)]
        if image_filter.folder is not None:
            parts.append(("folder", self._mask_below(str(image_filter.folder))))
        if image_filter.where is not None:
            parts.append(("where", self._mask_where(image_filter.where)))
        return parts

    def _mask_below(self, folder: str) -> Mask:
        if folder in self._cache:
            mask: Mask = self._cache[folder]
            return mask
        where, parameters = build_below_condition(folder)
        # One long text is read in a third of the time of as many rows.
        (found,) = self._db.execute(
            f"select coalesce(group_concat(image_id), '') from files where {where}", parameters
        ).fetchone()
        return self._cache_result(
            folder, self._mask_images(np.fromstring(found, np.int64, sep=","))
        )

    def _mask_where(self, condition: str) -> Mask:
        if condition in self._cache:
            mask: Mask = self._cache[condition]
            return mask
        (file,) = self._db.execute(
            "select file from pragma_database_list where name = 'main'"
        ).fetchone()
        return self._cache_result(
            condition, self._mask_images(where_condition.find_image_ids(Path(file), condition))
        )

    def _mask_images(self, image_ids: Ids) -> Mask:
        mask = np.zeros(self._images.last_id + 1, np.bool_)
        mask[image_ids[image_ids <= self._images.last_id]] = True
        return self._copy_to_frames(mask)

    def _copy_to_frames(self, mask: Mask) -> Mask:
        """Let hold for the frames of videos what holds for these."""
        frames, videos = self._images.frames
        mask[frames] = mask[videos]
        return mask

    def _cache_result(self, key: Any, value: Cached) -> Cached:
        while len(self._cache) >= MAX_CACHED_RESULTS:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = value
        return value

    # In step with the catalogue

    def _catch_up(self, collection_id: int | None) -> None:
        """Read what is new where anything was written, and all of it where rows have gone."""
        # data_version tells of others' commits, total_changes of our own.
        (version,) = self._db.execute("pragma data_version").fetchone()
        state = (version, self._db.conn.total_changes)
        if state != self._state:
            self._cache.clear()
            self._current_collections.clear()
            self._state = state
            self._read_images()
        if collection_id is not None and collection_id not in self._current_collections:
            self._read_embedding_ids(collection_id)
            self._current_collections.add(collection_id)

    def _read_images(self) -> None:
        # An id can be given again after its image was deleted, if it was the last.
        last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last_id,)
        ).fetchone()
        (changes,) = self._db.execute("select images from changes").fetchone()
        if last != self._last_sha256 or changes != self._changes:
            self._images = ImageColumns()
        self._changes = changes
        before = self._images.last_id
        (self._images.last_id,) = self._db.execute(
            "select coalesce(max(id), 0) from images"
        ).fetchone()
        rows = self._db.execute(
            "select image_id, video_id from frames where image_id > ?", (before,)
        )
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        frames, videos = self._images.frames
        self._images.frames = np.append(frames, pairs[0::2]), np.append(videos, pairs[1::2])
        self._last_sha256 = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last_id,)
        ).fetchone()

    def _read_embedding_ids(self, collection_id: int) -> None:
        """Embeddings' ids are never given twice: a count tells whether any of them went."""
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
            del self._embedding_ids[collection_id]
            self._images, self._last_sha256 = ImageColumns(), None
            self._read_images()
            self._read_embedding_ids(collection_id)
        else:
            self._embedding_ids[collection_id] = ids, image_ids
