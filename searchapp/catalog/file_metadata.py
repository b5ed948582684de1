"""Store the metadata of files that differs among files with the same bytes.

Files with the same bytes share an image, and so its metadata. If sidecars say different things
about them, each file gets a row in the table images for its own metadata, without an embedding.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping

from sqlite_utils import Database

from searchapp.catalog.metadata_rows import (
    IMAGE_COLUMNS,
    SELECT_INFO_SQL,
    info_to_values,
    row_to_info,
    save_keywords,
)
from searchapp.catalog.path_keys import decode_path, encode_path
from searchapp.types import PictureInfo

FileInfos = dict[str, PictureInfo]  # by path


class FileMetadataTable:
    """Read and write the metadata of files that have other metadata than their image."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def load_infos(self, image_ids: Iterable[int]) -> dict[int, FileInfos]:
        """Return the metadata of files, by image id and path; most images have none."""
        found: dict[int, FileInfos] = {}
        for image_id, path, *row in self._db.execute(
            f"select m.image_id, m.path, {SELECT_INFO_SQL} from file_metadata m"
            " join images i on i.id = m.metadata_id"
            " where m.image_id in (select value from json_each(?)) order by m.path",
            (json.dumps([*image_ids]),),
        ):
            found.setdefault(image_id, {})[decode_path(path)] = row_to_info(row)
        return found

    def add_infos(self, infos: Mapping[int, FileInfos]) -> None:
        """Add the metadata of new files of images: by image id and path.

        The other files of these images keep their metadata, or get that of their image.
        """
        stored = self.load_infos(infos)
        rows = self._db.execute(
            f"select i.id, f.path, {SELECT_INFO_SQL} from images i"
            " join files f on f.image_id = i.id"
            " where i.id in (select value from json_each(?))",
            (json.dumps([*infos]),),
        )
        merged: dict[int, FileInfos] = {}
        for image_id, key, *row in rows.fetchall():
            path = decode_path(key)
            known = stored.get(image_id, {}) | infos[image_id]
            merged.setdefault(image_id, {})[path] = known.get(path) or row_to_info(row)
        self.replace_infos(merged)

    def replace_infos(self, infos: Mapping[int, FileInfos]) -> None:
        """Replace the metadata of the files of images: by image id and path."""
        self._db.conn.executemany(
            "delete from file_metadata where image_id = ?", ((image_id,) for image_id in infos)
        )
        columns = ("sha256", *IMAGE_COLUMNS)
        placeholders = ", ".join("?" for _ in columns)
        for image_id, info_by_path in infos.items():
            for path, info in info_by_path.items():
                cursor = self._db.conn.execute(
                    f"insert into images ({', '.join(columns)}) values ({placeholders})",
                    (_make_key(path), *info_to_values(info)),
                )
                metadata_id = int(cursor.lastrowid or 0)
                save_keywords(self._db, ((metadata_id, word) for word in info.keywords))
                self._db.execute(
                    "insert into file_metadata (path, image_id, metadata_id) values (?, ?, ?)",
                    (encode_path(path), image_id, metadata_id),
                )


def _make_key(path: str) -> str:
    """Return a key for the column sha256, which no content has."""
    return hashlib.sha256(b"metadata of a file\0" + os.fsencode(path)).hexdigest()
