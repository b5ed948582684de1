"""Which pictures have to be described again: an older version did it, or a sidecar has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from sqlite_utils import Database

from searchapp.catalog.connection import write_transaction
from searchapp.catalog.metadata_rows import (
    INFO_COLUMN_COUNT,
    REFRESHED_COLUMNS,
    SELECT_INFO_SQL,
    info_to_values,
    row_to_info,
    save_keywords,
)
from searchapp.catalog.path_keys import build_subtree_condition, decode_path, encode_path
from searchapp.types import CatalogedFile, PictureInfo

PAGE_ROWS = 500  # rows


@dataclass(frozen=True, slots=True)
class OutdatedImage:
    """An image that has to be described again: as it is known, and its files."""

    image_id: int
    info: PictureInfo
    files: tuple[CatalogedFile, ...]


class MetadataRefresh:
    """The images to describe again after a scan, in a table that vanishes with the connection.

    A sidecar is noted as read in the transaction that writes the last image it belongs to, so that
    what is interrupted is found again.
    """

    def __init__(self, db: Database) -> None:
        """Find nothing yet."""
        self._db = db
        self._first = self._last = 0

    def find_outdated(self, version: int, roots: Iterable[str]) -> tuple[int, int]:
        """Find images that were described before a version, and those with changed sidecars.

        Only files count that the scan saw. roots: below which a sidecar that was not seen is gone.
        Return how many there are of the former, and how many more there are of the latter.
        """
        with write_transaction(self._db):
            self._db.execute("drop table if exists temp.outdated")
            self._db.execute("create temp table outdated (image_id integer, sidecar)")
            self._db.execute(
                "insert into outdated select distinct i.id, null from images i"
                " cross join files f on f.image_id = i.id cross join seen s on s.path = f.path"
                " where i.reader < ?",
                (version,),
            )
            (outdated_count,) = self._db.execute("select count(*) from outdated").fetchone()
            for sidecar in self._list_changed_sidecars():
                self._add_images_of_sidecar(sidecar)
            for root in roots:
                for sidecar in self._list_removed_sidecars(root):
                    if not self._add_images_of_sidecar(sidecar):
                        self._db.execute(
                            "delete from sidecars where path = ?", (encode_path(sidecar),)
                        )
            (total,) = self._db.execute("select count(distinct image_id) from outdated").fetchone()
            self._db.execute(  # once is enough, and the sidecar is to be noted
                "delete from outdated where sidecar is null and image_id in"
                " (select image_id from outdated where sidecar is not null)"
            )
        return outdated_count, total - outdated_count

    def _list_changed_sidecars(self) -> list[str]:
        rows = self._db.execute(
            "select path from beside except select k.path from sidecars k join beside b"
            " on b.path = k.path and b.size = k.size and b.mtime_ns = k.mtime_ns"
        )
        return [decode_path(row[0]) for row in rows]

    def _list_removed_sidecars(self, root: str) -> list[str]:
        where, parameters = build_subtree_condition(root)
        rows = self._db.execute(
            f"select path from sidecars where {where} and path not in (select path from beside)",
            parameters,
        )
        return [decode_path(row[0]) for row in rows]

    def _add_images_of_sidecar(self, sidecar: str) -> bool:
        """Note the images that a sidecar belongs to: of IMG_1.jpg, or of any IMG_1."""
        base = os.path.splitext(sidecar)[0]  # noqa: PTH122 (speed)
        rows = self._db.execute(
            "select path, image_id from files where path = ? or path >= ? and path < ?",
            (encode_path(base), encode_path(f"{base}."), encode_path(f"{base}/")),
        ).fetchall()
        ids = {
            image_id
            for path, image_id in rows
            if base in (decode_path(path), os.path.splitext(decode_path(path))[0])  # noqa: PTH122
        }
        self._db.conn.executemany(
            "insert into outdated values (?, ?)",
            ((image_id, encode_path(sidecar)) for image_id in ids),
        )
        return bool(ids)

    def read_pages(self) -> Iterator[list[OutdatedImage]]:
        """Yield what plan found; what was yielded before is to be saved when the next is asked."""
        while True:
            self._first = self._last
            rows = self._db.execute(
                "select rowid, image_id from outdated where rowid > ? order by rowid limit ?",
                (self._last, PAGE_ROWS),
            ).fetchall()
            if not rows:
                return
            self._last = rows[-1][0]
            yield self._load_images([image_id for _, image_id in rows])

    def _load_images(self, image_ids: list[int]) -> list[OutdatedImage]:
        rows = self._db.execute(
            f"select i.id, f.path, f.size, f.mtime_ns, {SELECT_INFO_SQL} from images i"
            " join files f on f.image_id = i.id"
            " where i.id in (select value from json_each(?)) order by i.id, length(path), path",
            (json.dumps(image_ids),),
        )
        outdated = []
        for image_id, group in groupby(rows, itemgetter(0)):
            same = list(group)
            files = tuple(CatalogedFile(decode_path(row[1]), *row[2:4]) for row in same)
            outdated.append(
                OutdatedImage(image_id, row_to_info(same[0][4 : 4 + INFO_COLUMN_COUNT]), files)
            )
        return outdated

    def save_metadata(self, metadata: dict[int, PictureInfo]) -> None:
        """Write what the images of a page say now, and that its sidecars were read.

        What a video says holds for its frames.
        """
        frames = self._db.execute(
            "select image_id, video_id from frames where image_id <> video_id"
            " and video_id in (select value from json_each(?))",
            (json.dumps(list(metadata)),),
        )
        metadata = metadata | {frame: metadata[video] for frame, video in frames}
        columns = ", ".join(f"{name} = ?" for name in REFRESHED_COLUMNS)
        with self._db.atomic():
            self._db.conn.executemany(
                f"update images set {columns} where id = ?",
                ((*info_to_values(info, REFRESHED_COLUMNS), id) for id, info in metadata.items()),
            )
            self._db.conn.executemany(
                "delete from keywords where image_id = ?", ((id,) for id in metadata)
            )
            save_keywords(
                self._db, ((id, word) for id, info in metadata.items() for word in info.keywords)
            )
            self._db.execute("update changes set images = images + 1")
            read_sidecars_sql = (
                "(select sidecar from outdated group by sidecar having max(rowid) > ?"
                " and max(rowid) <= ? and sidecar is not null)"
            )
            bounds = (self._first, self._last)
            self._db.execute(f"delete from sidecars where path in {read_sidecars_sql}", bounds)
            self._db.execute(
                "insert into sidecars select path, size, mtime_ns from beside"
                f" where path in {read_sidecars_sql}",
                bounds,
            )
