"""Find the embeddings that match a filter, with the columns of the images in memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters import where_condition
from searchapp.catalog.filters.cached_columns import CachedColumns
from searchapp.catalog.filters.columns import Ids, Mask
from searchapp.catalog.filters.facets import build_overview, count_facets
from searchapp.catalog.filters.place_clusters import group_places
from searchapp.catalog.path_keys import build_folder_condition, decode_path
from searchapp.types import Area, Facets, Filter, Overview, PlaceCluster, Timeline
from searchapp.types.filter_values import list_values

logger = logging.getLogger(__name__)
Cached = TypeVar("Cached", Ids, Mask, Facets, Timeline)
MAX_CACHED_RESULTS = 8  # results and masks of recent filters


class FilterMatcher:
    """Find the embeddings that match a filter; cache the results until the catalog changes."""

    def __init__(self, db: Database) -> None:
        """Create a matcher that has read nothing yet."""
        self._db = db
        self._columns = CachedColumns(db)
        self._cache: dict[Any, Any] = {}
        self._cache_state: tuple[int, ...] = ()  # of the columns that the cache is made of

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
            ids, image_ids = self._columns.get_embeddings(collection_id)
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
        """Return the files that match a filter, for images whose files may differ in that.

        These are images whose files have metadata of their own and, with an SQL condition, all
        images. Other images are left out: all their files match, except for the folders.
        """
        with self._db.atomic():
            self._catch_up(None)
            masks = [mask for _, mask in self._build_masks(image_filter)[0]]
            matching: dict[int, set[str]] = {}
            wanted = [*image_ids]
            where_paths = None
            if image_filter.where is not None:
                where_paths = where_condition.find_paths(
                    self._catalog_file, image_filter.where, wanted
                )
            for image_id, path, metadata_id in self._db.execute(
                "select f.image_id, f.path, m.metadata_id from files f"
                " left join file_metadata m on m.path = f.path"
                " where f.image_id in (select value from json_each(?))",
                (json.dumps(wanted),),
            ):
                if metadata_id is None and where_paths is None:
                    continue
                is_match = metadata_id is None or all(mask[metadata_id] for mask in masks)
                if is_match and (where_paths is None or path in where_paths):
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
            columns = self._columns
            facets = count_facets(
                self._db, columns.images, columns.folders, base_mask, masks,
                columns.file_metadata, find,
            )  # fmt: skip
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
            timeline = self._columns.timeline.list_images(self._db, self._columns.images, mask)
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
                self._columns.images.read_values(self._db, "latitude"),
                self._columns.images.read_values(self._db, "longitude"),
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
            self._columns.catch_up_folders()
            folders = self._columns.folders
            base_mask = self._mask_images(folders.row_ids)
            dates = self._columns.images.read_values(self._db, "date")
            return build_overview(dates[base_mask], folders)

    def _mask_visible(self, collection_id: int) -> Mask:
        """Return a mask: true for images of a collection with a file; each video counts once."""
        self._columns.catch_up_folders()
        _, image_ids = self._columns.get_embeddings(collection_id)
        mask = self._mask_images(image_ids) & self._copy_from_file_metadata(
            self._mask_images(self._columns.folders.row_ids)
        )
        frames, videos = self._columns.images.frames
        mask[frames[frames != videos]] = False
        return mask

    def _build_masks(self, image_filter: Filter) -> tuple[list[tuple[str, Mask]], bool]:
        """Return a mask over image ids for each condition of a filter: (facet name, mask).

        Also return whether the masks stay the same while the catalog does not change.
        """
        is_repeatable = True
        masks = [*self._columns.images.build_masks(self._db, image_filter)]
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
        found = where_condition.find_image_ids(self._catalog_file, condition)
        mask = self._mask_images(found.image_ids)
        if found.is_repeatable:
            self._cache_result(condition, mask)
        return mask, found.is_repeatable

    @property
    def _catalog_file(self) -> Path:
        (file,) = self._db.execute(
            "select file from pragma_database_list where name = 'main'"
        ).fetchone()
        return Path(file)

    def _mask_images(self, image_ids: Ids) -> Mask:
        mask = np.zeros(self._columns.images.last_id + 1, np.bool_)
        mask[image_ids[image_ids <= self._columns.images.last_id]] = True
        return self._copy_to_frames(mask)

    def _copy_to_frames(self, mask: Mask) -> Mask:
        """Let each video frame match the filter if, and only if, its video matches.

        mask: whether each image matches, by image id; it is changed in place.
        """
        frames, videos = self._columns.images.frames
        mask[frames] = mask[videos]
        return mask

    def _copy_from_file_metadata(self, mask: Mask) -> Mask:
        """Set the mask of an image whose files have different metadata: true if a file matches.

        The metadata of each file has its own id in the mask. Changes mask in place.
        """
        image_ids, metadata_ids = self._columns.file_metadata
        mask[image_ids] = False
        mask[image_ids[mask[metadata_ids]]] = True
        return mask

    def _cache_result(self, key: Any, value: Cached) -> Cached:
        while len(self._cache) >= MAX_CACHED_RESULTS:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = value
        return value

    def _catch_up(self, collection_id: int | None) -> None:
        """Update the columns; forget the cached results if the catalog has changed."""
        self._columns.catch_up(collection_id)
        if self._columns.state != self._cache_state:
            self._cache.clear()
            self._cache_state = self._columns.state


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
