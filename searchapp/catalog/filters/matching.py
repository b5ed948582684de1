"""Find the embeddings that match a filter, with image fields cached in memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters import where_condition
from searchapp.catalog.filters.columns import EMPTY_IDS, Ids, ImageColumns, Mask
from searchapp.catalog.filters.facets import FolderColumn, build_overview, count_facets
from searchapp.catalog.filters.place_clusters import group_places
from searchapp.catalog.filters.timeline import TimelineColumn
from searchapp.catalog.path_keys import build_folder_condition, decode_path
from searchapp.types import Area, Facets, Filter, Overview, PlaceCluster, Timeline
from searchapp.types.filter_values import list_values

logger = logging.getLogger(__name__)
Cached = TypeVar("Cached", Ids, Mask, Facets, Timeline)
MAX_CACHED_RESULTS = 8  # results and masks of recent filters


class FilterMatcher:
    """Find the embeddings that match a filter, with a cache of the image fields in memory.

    Before each use, the cache is updated with the changes of the catalog.
    """

    def __init__(self, db: Database) -> None:
        """Create a matcher with empty caches of all image fields."""
        self._db = db
        self._state: tuple[int, ...] = ()  # of the catalog at the last read; see _catch_up
        self._images = ImageColumns()
        self._last_sha256: tuple[str] | None = None  # of the image with the highest id
        self._changes = 0  # value of the table changes: updates of existing images
        self._folders = FolderColumn()
        # Image ids of files that have other metadata than their image, and ids of this metadata.
        self._file_metadata: tuple[Ids, Ids] = (EMPTY_IDS, EMPTY_IDS)
        self._timeline = TimelineColumn()
        self._embedding_ids: dict[int, tuple[Ids, Ids]] = {}  # by collection: ids, image ids
        self._current_collections: set[int] = set()  # collections that were read in this state
        self._cache: dict[Any, Any] = {}

    def find_embedding_ids(self, collection_id: int, image_filter: Filter) -> Ids:
        """Return the ids of a collection's embeddings whose images match a filter.

        Raises QueryError if the SQL condition of the filter is invalid.
        """
        with self._db.atomic():  # One transaction gives all reads the same state.
            self._catch_up(collection_id)
            key = (collection_id, image_filter)
            if key in self._cache:
                found: Ids = self._cache[key]
                logger.debug("Filter: reused the cached result (%d embeddings).", len(found))
                return found
            named_masks, is_repeatable = self._build_masks(image_filter)
            ids, image_ids = self._embedding_ids[collection_id]
            if not named_masks:
                return ids
            combined_mask = self._copy_to_frames(
                self._copy_from_file_metadata(
                    np.logical_and.reduce([mask for _, mask in named_masks])
                )
            )
            found = ids[combined_mask[image_ids]]
            _log_match(named_masks, len(found), len(ids))
            return self._cache_result(key, found) if is_repeatable else found

    def find_matching_paths(
        self, image_filter: Filter, image_ids: Iterable[int]
    ) -> dict[int, set[str]]:
        """Return the files that match a filter, for images whose files have different metadata.

        Other images are left out: all their files match, except for the conditions on paths.
        """
        with self._db.atomic():
            self._catch_up(None)
            masks = [mask for _, mask in self._build_masks(image_filter)[0]]
            matching: dict[int, set[str]] = {}
            for image_id, path, metadata_id in self._db.execute(
                "select image_id, path, metadata_id from file_metadata"
                " where image_id in (select value from json_each(?))",
                (json.dumps([*image_ids]),),
            ):
                if all(mask[metadata_id] for mask in masks):
                    matching.setdefault(image_id, set()).add(decode_path(path))
            return matching

    def count_facets(self, collection_id: int, image_filter: Filter, find: str = "") -> Facets:
        """Count the images of a collection that have files and match a filter, by facet.

        find: only values that contain this text are counted; see facets.count_facets.
        Raises QueryError if the SQL condition of the filter is invalid.
        """
        with self._db.atomic():
            self._catch_up(collection_id)
            key = ("facets", collection_id, image_filter, find)
            if key in self._cache:
                found: Facets = self._cache[key]
                return found
            base_mask = self._mask_visible(collection_id)
            masks, is_repeatable = self._build_masks(image_filter)
            facets = count_facets(
                self._db, self._images, self._folders, base_mask, masks, self._file_metadata, find
            )
            return self._cache_result(key, facets) if is_repeatable else facets

    def list_timeline(self, collection_id: int, image_filter: Filter) -> Timeline:
        """List the images of a collection that have files and match a filter, newest first.

        Raises QueryError if the SQL condition of the filter is invalid.
        """
        with self._db.atomic():
            self._catch_up(collection_id)
            key = ("timeline", collection_id, image_filter)
            if key in self._cache:
                found: Timeline = self._cache[key]
                return found
            mask, is_repeatable = self._mask_matching(collection_id, image_filter)
            timeline = self._timeline.list_images(self._db, self._images, mask)
            return self._cache_result(key, timeline) if is_repeatable else timeline

    def list_place_clusters(
        self, collection_id: int, image_filter: Filter, cell: float, within: Area | None
    ) -> list[PlaceCluster]:
        """Group the images that list_timeline lists by place: see place_clusters.group_places.

        Raises QueryError if the SQL condition of the filter is invalid.
        """
        with self._db.atomic():
            self._catch_up(collection_id)
            mask, _ = self._mask_matching(collection_id, image_filter)
            return group_places(
                self._images.read_values(self._db, "latitude"),
                self._images.read_values(self._db, "longitude"),
                np.flatnonzero(mask),
                cell,
                within,
            )

    def _mask_matching(self, collection_id: int, image_filter: Filter) -> tuple[Mask, bool]:
        """Return a mask: true for visible images of a collection that match a filter.

        Also return whether the mask stays the same while the catalog does not change.
        """
        masks, is_repeatable = self._build_masks(image_filter)
        combined_mask = self._mask_visible(collection_id)
        if masks:
            matching = np.logical_and.reduce([mask for _, mask in masks])
            combined_mask &= self._copy_from_file_metadata(matching)
        return combined_mask, is_repeatable

    def read_overview(self) -> Overview:
        """Return the folders and the range of dates of all images with files."""
        with self._db.atomic():
            self._catch_up(None)
            self._folders.catch_up(self._db, self._state)
            base_mask = self._mask_images(self._folders.row_ids)
            return build_overview(
                self._images.read_values(self._db, "date")[base_mask], self._folders
            )

    def _mask_visible(self, collection_id: int) -> Mask:
        """Return a mask: true for images of a collection with a file; each video counts once."""
        self._folders.catch_up(self._db, self._state)
        _, image_ids = self._embedding_ids[collection_id]
        mask = self._mask_images(image_ids) & self._copy_from_file_metadata(
            self._mask_images(self._folders.row_ids)
        )
        frames, videos = self._images.frames
        mask[frames[frames != videos]] = False
        return mask

    def _build_masks(self, image_filter: Filter) -> tuple[list[tuple[str, Mask]], bool]:
        """Return a mask over image ids for each condition of a filter: (facet name, mask).

        Also return whether the masks stay the same while the catalog does not change.
        """
        is_repeatable = True
        masks = [*self._images.build_masks(self._db, image_filter)]
        if folders := list_values(image_filter.folder):
            below = [self._mask_below(str(folder)) for folder in folders]
            masks.append(("folder", np.logical_or.reduce(below)))
        if image_filter.where is not None:
            mask, is_repeatable = self._mask_where(image_filter.where)
            masks.append(("where", mask))
        return masks, is_repeatable

    def has_files_below(self, folder: str) -> bool:
        """Return whether the catalog knows a file below a folder."""
        where, parameters = build_folder_condition(self._db, folder)
        (is_known,) = self._db.execute(
            f"select exists (select 1 from files where {where})", parameters
        ).fetchone()
        return bool(is_known)

    def _mask_below(self, folder: str) -> Mask:
        if folder in self._cache:
            mask: Mask = self._cache[folder]
            return mask
        where, parameters = build_folder_condition(self._db, folder)
        # Reading one long text takes a third of the time of reading one row per file.
        (found,) = self._db.execute(
            "select coalesce(group_concat(id), '') from"
            f" (select image_id as id from files where {where}"
            f" union all select metadata_id from file_metadata where {where})",
            parameters,
        ).fetchone()
        return self._cache_result(
            folder, self._mask_images(np.fromstring(found, np.int64, sep=","))
        )

    def _mask_where(self, condition: str) -> tuple[Mask, bool]:
        """Return a mask over image ids, and whether the condition gives it again."""
        if condition in self._cache:
            cached: Mask = self._cache[condition]
            return cached, True
        (file,) = self._db.execute(
            "select file from pragma_database_list where name = 'main'"
        ).fetchone()
        found = where_condition.find_image_ids(Path(file), condition)
        mask = self._mask_images(found.image_ids)
        if found.is_repeatable:
            self._cache_result(condition, mask)
        return mask, found.is_repeatable

    def _mask_images(self, image_ids: Ids) -> Mask:
        mask = np.zeros(self._images.last_id + 1, np.bool_)
        mask[image_ids[image_ids <= self._images.last_id]] = True
        return self._copy_to_frames(mask)

    def _copy_to_frames(self, mask: Mask) -> Mask:
        """Let each video frame match the filter if, and only if, its video matches.

        mask: whether each image matches, by image id; it is changed in place.
        """
        frames, videos = self._images.frames
        mask[frames] = mask[videos]
        return mask

    def _copy_from_file_metadata(self, mask: Mask) -> Mask:
        """Set the mask of an image whose files have different metadata: true if a file matches.

        The metadata of each file has its own id in the mask. Changes mask in place.
        """
        image_ids, metadata_ids = self._file_metadata
        mask[image_ids] = False
        mask[image_ids[mask[metadata_ids]]] = True
        return mask

    def _cache_result(self, key: Any, value: Cached) -> Cached:
        while len(self._cache) >= MAX_CACHED_RESULTS:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = value
        return value

    # Follow the changes of the catalog

    def _catch_up(self, collection_id: int | None) -> None:
        """Update the caches: read new images, or all if some were changed or deleted."""
        # data_version changes with commits of other connections, total_changes with our own.
        # https://www.sqlite.org/pragma.html#pragma_data_version
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
        # SQLite may reuse an id if the image with the highest id was deleted.
        last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last_id,)
        ).fetchone()
        (changes,) = self._db.execute("select images from changes").fetchone()
        if last != self._last_sha256 or changes != self._changes:
            if self._images.last_id:
                logger.debug("Filter: images were changed or deleted; reading all fields again.")
            self._images, self._timeline = ImageColumns(), TimelineColumn()
        self._changes = changes
        previous_last_id = self._images.last_id
        (self._images.last_id,) = self._db.execute(
            "select coalesce(max(id), 0) from images"
        ).fetchone()
        rows = self._db.execute(
            "select image_id, video_id from frames where image_id > ?", (previous_last_id,)
        )
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        frames, videos = self._images.frames
        self._images.frames = np.append(frames, pairs[0::2]), np.append(videos, pairs[1::2])
        rows = self._db.execute("select image_id, metadata_id from file_metadata")
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        self._file_metadata = pairs[0::2], pairs[1::2]
        self._last_sha256 = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last_id,)
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
            self._images, self._last_sha256 = ImageColumns(), None
            self._timeline = TimelineColumn()
            self._read_images()
            self._read_embedding_ids(collection_id)
        else:
            self._embedding_ids[collection_id] = ids, image_ids


def _log_match(named_masks: list[tuple[str, Mask]], match_count: int, total: int) -> None:
    """Log which fields a filter has, and whether memory or SQL compared them; log no values."""
    by_sql = sorted({name for name, _ in named_masks if name in ("folder", "where")})
    by_columns = sorted({name for name, _ in named_masks} - {*by_sql})
    logger.info(
        "Filter: %d of %d embeddings match (columns in memory: %s; SQL: %s).",
        match_count,
        total,
        ", ".join(by_columns) or "none",
        ", ".join(by_sql) or "none",
    )
