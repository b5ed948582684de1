"""Find images whose metadata must be read again: an old reader read it, or a sidecar changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from sqlite_utils import Database

from searchapp.catalog.file_metadata import FileMetadataTable
from searchapp.catalog.metadata_rows import (
    INFO_COLUMN_COUNT,
    REFRESHED_COLUMNS,
    SELECT_INFO_SQL,
    info_to_values,
    row_to_info,
    save_keywords,
    without_place,
)
from searchapp.catalog.path_keys import build_subtree_condition, decode_path, encode_path
from searchapp.catalog.same_state import build_same_state_condition
from searchapp.catalog.sidecar_rows import find_pictures, find_sidecars
from searchapp.catalog.transactions import write_transaction
from searchapp.types import CatalogedFile, PictureInfo

PAGE_ROWS = 500
SIDECAR_COLUMNS = "path, size, mtime_ns, ctime_ns, sha256"
SAME_SIDECAR_SQL = f"{build_same_state_condition('k', 's')} and coalesce(k.sha256 = s.sha256, 1)"


@dataclass(frozen=True, slots=True)
class OutdatedImage:
    """Image whose metadata must be read again, with its stored metadata and its files.

    sidecars: the paths of the sidecars of each file, by path, highest precedence first.
    file_infos: the metadata of the files, by path, if it differs among them; otherwise empty.
    """

    image_id: int
    info: PictureInfo
    files: tuple[CatalogedFile, ...]
    sidecars: Mapping[str, list[str]]
    file_infos: Mapping[str, PictureInfo]


@dataclass(frozen=True, slots=True)
class RefreshedMetadata:
    """Metadata of an image that was read again; file_infos as in OutdatedImage."""

    info: PictureInfo
    file_infos: dict[str, PictureInfo] = field(default_factory=dict)


class MetadataRefresh:
    """List the images to refresh after a scan, in a temporary table, and save their metadata.

    One transaction writes the last image of a sidecar, and records the sidecar as read.
    Therefore the next run continues an interrupted refresh.
    """

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog on which ScanDiff has completed a scan."""
        self._db = db
        self._first = self._last = 0

    def find_outdated(
        self, version: int, roots: Iterable[str], run_id: int | None = None
    ) -> tuple[int, int]:
        """Find the images to refresh, among the files that the scan has seen.

        version: version of the metadata reader; metadata that an older version read is outdated.
        roots: scanned folders; a known sidecar in them that the scan has not seen was deleted.
        run_id: the index run that has saved new files; known sidecars can belong to them.
        Returns two numbers: the images that an older version read, and the other images, whose
        sidecars changed.
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
            self._save_new_sidecar_states()
            for sidecar in self._list_changed_sidecars():
                self._add_images_of_sidecar(sidecar)
            for root in roots:
                for sidecar in self._list_removed_sidecars(root):
                    if not self._add_images_of_sidecar(sidecar):
                        self._db.execute(
                            "delete from sidecars where path = ?", (encode_path(sidecar),)
                        )
            if run_id is not None:
                self._add_images_of_new_files(run_id)
            (total,) = self._db.execute("select count(distinct image_id) from outdated").fetchone()
            # List each image once; the row with the sidecar stays, to record the sidecar as read.
            self._db.execute(
                "delete from outdated where sidecar is null and image_id in"
                " (select image_id from outdated where sidecar is not null)"
            )
        return outdated_count, total - outdated_count

    def _save_new_sidecar_states(self) -> None:
        """Store the change times and hashes of sidecars that an older version has read."""
        self._db.execute(
            f"insert or replace into sidecars ({SIDECAR_COLUMNS})"
            " select s.path, s.size, s.mtime_ns, s.ctime_ns, s.sha256 from sidecars k"
            f" join seen_sidecars s on s.path = k.path and {SAME_SIDECAR_SQL}"
            " where k.ctime_ns is null and s.ctime_ns is not null"
            " or k.sha256 is null and s.sha256 is not null"
        )

    def _list_changed_sidecars(self) -> list[str]:
        rows = self._db.execute(
            "select path from seen_sidecars except select k.path from sidecars k"
            f" join seen_sidecars s on s.path = k.path and {SAME_SIDECAR_SQL}"
        )
        return [decode_path(row[0]) for row in rows]

    def _list_removed_sidecars(self, root: str) -> list[str]:
        where, parameters = build_subtree_condition(root)
        rows = self._db.execute(
            f"select path from sidecars where {where}"
            " and path not in (select path from seen_sidecars) and not is_unreadable(path)",
            parameters,
        )
        return [decode_path(row[0]) for row in rows]

    def _add_images_of_sidecar(self, sidecar: str) -> bool:
        """Add the images of a sidecar to the refresh; return whether the sidecar has images."""
        ids = {image_id for _, image_id in find_pictures(self._db, sidecar)}
        self._db.conn.executemany(
            "insert into outdated values (?, ?)",
            ((image_id, encode_path(sidecar)) for image_id in ids),
        )
        return bool(ids)

    def _add_images_of_new_files(self, run_id: int) -> None:
        """Add the images of new files if a sidecar that was read before belongs to their files.

        The new file can be a changed picture, or a copy of a picture that has a sidecar.
        """
        (has_sidecars,) = self._db.execute("select exists (select 1 from sidecars)").fetchone()
        if not has_sidecars:
            return
        rows = self._db.execute(
            "select distinct g.image_id, g.path from files f"
            " join files g on g.image_id = f.image_id where f.run_id = ?",
            (run_id,),
        ).fetchall()
        ids = {image_id for image_id, path in rows if self._find_sidecars(decode_path(path))}
        self._db.conn.executemany("insert into outdated values (?, null)", ((id,) for id in ids))

    def _find_sidecars(self, picture: str) -> list[str]:
        """Return the known and seen sidecars of a picture's file, highest precedence first."""
        return find_sidecars(self._db, picture, "sidecars", "seen_sidecars")

    def read_pages(self) -> Iterator[list[OutdatedImage]]:
        """Yield the images to refresh in pages; call save_metadata() before the next page."""
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
        file_infos = FileMetadataTable(self._db).load_infos(image_ids)
        outdated = []
        for image_id, group in groupby(rows, itemgetter(0)):
            same = list(group)
            files = tuple(CatalogedFile(decode_path(row[1]), *row[2:4]) for row in same)
            outdated.append(
                OutdatedImage(
                    image_id,
                    without_place(row_to_info(same[0][4 : 4 + INFO_COLUMN_COUNT])),
                    files,
                    {file.path: self._find_sidecars(file.path) for file in files},
                    {
                        path: without_place(info)
                        for path, info in file_infos.get(image_id, {}).items()
                    },
                )
            )
        return outdated

    def save_metadata(self, metadata: Mapping[int, RefreshedMetadata]) -> None:
        """Write the new metadata of the current page, and record its sidecars as read.

        metadata: by image id. The metadata of a video is copied to its frames.
        """
        frames = self._db.execute(
            "select image_id, video_id from frames where image_id <> video_id"
            " and video_id in (select value from json_each(?))",
            (json.dumps(list(metadata)),),
        )
        infos = {image_id: each.info for image_id, each in metadata.items()}
        infos |= {frame: infos[video] for frame, video in frames}
        columns = ", ".join(f"{name} = ?" for name in REFRESHED_COLUMNS)
        with self._db.atomic():
            self._db.conn.executemany(
                f"update images set {columns} where id = ?",
                ((*info_to_values(info, REFRESHED_COLUMNS), id) for id, info in infos.items()),
            )
            self._db.conn.executemany(
                "delete from keywords where image_id = ?", ((id,) for id in infos)
            )
            save_keywords(
                self._db, ((id, word) for id, info in infos.items() for word in info.keywords)
            )
            FileMetadataTable(self._db).replace_infos(
                {image_id: each.file_infos for image_id, each in metadata.items()}
            )
            self._db.execute("update changes set images = images + 1")
            read_sidecars_sql = (
                "(select sidecar from outdated group by sidecar having max(rowid) > ?"
                " and max(rowid) <= ? and sidecar is not null)"
            )
            bounds = (self._first, self._last)
            self._db.execute(f"delete from sidecars where path in {read_sidecars_sql}", bounds)
            self._db.execute(
                f"insert into sidecars ({SIDECAR_COLUMNS}) select {SIDECAR_COLUMNS}"
                f" from seen_sidecars where path in {read_sidecars_sql}",
                bounds,
            )
