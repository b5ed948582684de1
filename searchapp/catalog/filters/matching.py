"""Which embeddings fulfil a filter: what is asked most is kept in memory, as arrays."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters import where_condition
from searchapp.catalog.filters.columns import NONE, Ids, Images, Mask
from searchapp.catalog.filters.facets import Folders, counted, spanned
from searchapp.catalog.path_keys import below
from searchapp.types import Facets, Filter, Overview

Kept = TypeVar("Kept", Ids, Mask, Facets)
KEPT = 8  # answers, and parts of answers, to filters that may be asked again


class Filters:
    """The embeddings that fulfil filters, in step with the catalogue."""

    def __init__(self, db: Database) -> None:
        """Read nothing yet."""
        self._db = db
        self._state: tuple[int, ...] = ()
        self._images = Images()
        self._last: tuple[str] | None = None  # the last image's hash
        self._changes = 0  # of images that were there before
        self._folders = Folders()
        self._embedded: dict[int, tuple[Ids, Ids]] = {}  # by collection: ids, image ids
        self._fresh: set[int] = set()  # collections that were looked at since
        self._kept: dict[Any, Any] = {}

    def matching(self, collection_id: int, wanted: Filter) -> Ids:
        """Return the ids of a collection's embeddings of images that fulfil a filter.

        Errors: QueryError, for its condition.
        """
        with self._db.atomic():  # all is read as it was at one moment
            self._catch_up(collection_id)
            key = (collection_id, wanted)
            if key in self._kept:
                found: Ids = self._kept[key]
                return found
            masks = [mask for _, mask in self._parts(wanted)]
            ids, image_ids = self._embedded[collection_id]
            if not masks:
                return ids
            every = self._with_frames(np.logical_and.reduce(masks))
            return self._keep(key, ids[every[image_ids]])

    def facets(self, collection_id: int, wanted: Filter) -> Facets:
        """Count what a collection's images with files have, beside a filter; QueryError."""
        with self._db.atomic():
            self._catch_up(collection_id)
            key = ("facets", collection_id, wanted)
            if key in self._kept:
                found: Facets = self._kept[key]
                return found
            self._folders.catch_up(self._db, self._state)
            _, image_ids = self._embedded[collection_id]
            there = self._mask(image_ids) & self._mask(self._folders.images)
            frames, videos = self._images.frames
            there[frames[frames != videos]] = False  # a video counts once
            parts = list(self._parts(wanted))
            return self._keep(key, counted(self._db, self._images, self._folders, there, parts))

    def overview(self) -> Overview:
        """Tell where all images with files are, and of which days."""
        with self._db.atomic():
            self._catch_up(None)
            self._folders.catch_up(self._db, self._state)
            there = self._mask(self._folders.images)
            return spanned(self._images.values(self._db, "date")[there], self._folders)

    def _parts(self, wanted: Filter) -> list[tuple[str, Mask]]:
        """Return what fulfils each part of a filter, with the name of what it is about."""
        parts = [*self._images.fulfilling(self._db, wanted)]
        if wanted.folder is not None:
            parts.append(("folder", self._below(str(wanted.folder))))
        if wanted.where is not None:
            parts.append(("where", self._where(wanted.where)))
        return parts

    def _below(self, folder: str) -> Mask:
        if folder in self._kept:
            mask: Mask = self._kept[folder]
            return mask
        where, parameters = below(folder)
        # One long text is read in a third of the time of as many rows.
        (found,) = self._db.execute(
            f"select coalesce(group_concat(image_id), '') from files where {where}", parameters
        ).fetchone()
        return self._keep(folder, self._mask(np.fromstring(found, np.int64, sep=",")))

    def _where(self, condition: str) -> Mask:
        if condition in self._kept:
            mask: Mask = self._kept[condition]
            return mask
        (file,) = self._db.execute(
            "select file from pragma_database_list where name = 'main'"
        ).fetchone()
        return self._keep(condition, self._mask(where_condition.matching(Path(file), condition)))

    def _mask(self, image_ids: Ids) -> Mask:
        mask = np.zeros(self._images.last + 1, np.bool_)
        mask[image_ids[image_ids <= self._images.last]] = True
        return self._with_frames(mask)

    def _with_frames(self, mask: Mask) -> Mask:
        """Let hold for the frames of videos what holds for these."""
        frames, videos = self._images.frames
        mask[frames] = mask[videos]
        return mask

    def _keep(self, key: Any, value: Kept) -> Kept:
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
        return value

    # In step with the catalogue

    def _catch_up(self, collection_id: int | None) -> None:
        """Read what is new where anything was written, and all of it where rows have gone."""
        # data_version tells of others' commits, total_changes of our own.
        (version,) = self._db.execute("pragma data_version").fetchone()
        state = (version, self._db.conn.total_changes)
        if state != self._state:
            self._kept.clear()
            self._fresh.clear()
            self._state = state
            self._read_images()
        if collection_id is not None and collection_id not in self._fresh:
            self._read_embedded(collection_id)
            self._fresh.add(collection_id)

    def _read_images(self) -> None:
        # An id can be given again after its image was deleted, if it was the last.
        last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last,)
        ).fetchone()
        (changes,) = self._db.execute("select images from changes").fetchone()
        if last != self._last or changes != self._changes:
            self._images = Images()
        self._changes = changes
        before = self._images.last
        (self._images.last,) = self._db.execute(
            "select coalesce(max(id), 0) from images"
        ).fetchone()
        rows = self._db.execute(
            "select image_id, video_id from frames where image_id > ?", (before,)
        )
        pairs = np.fromiter(chain.from_iterable(rows), np.int64)
        frames, videos = self._images.frames
        self._images.frames = np.append(frames, pairs[0::2]), np.append(videos, pairs[1::2])
        self._last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last,)
        ).fetchone()

    def _read_embedded(self, collection_id: int) -> None:
        """Embeddings' ids are never given twice: a count tells whether any of them went."""
        ids, image_ids = self._embedded.get(collection_id, (NONE, NONE))
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
            del self._embedded[collection_id]
            self._images, self._last = Images(), None
            self._read_images()
            self._read_embedded(collection_id)
        else:
            self._embedded[collection_id] = ids, image_ids
