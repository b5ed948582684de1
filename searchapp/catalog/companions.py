"""Which files belong to a picture, and are none of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from sqlite_utils import Database

from searchapp.catalog.path_keys import build_subtree_condition, decode_path, encode_path
from searchapp.files import companions
from searchapp.types import Collection


class CompanionTable:
    """The companions of a catalogue, through its connection."""

    def __init__(self, db: Database) -> None:
        """Do nothing yet."""
        self._db = db

    def find_companions(self, collection: Collection | None) -> None:
        """Find those among the files that a scan has seen, which are not seen as pictures then.

        What belongs to a file that failed before, and has not changed, is a picture of its own.
        """
        seen_sql = "select path, size from seen s where picture"
        files = ((decode_path(path), size) for path, size in self._db.execute(seen_sql))
        candidates = [
            (path, kind)
            for path, size in files
            if (kind := companions.classify_companion(path, size))
        ]
        failed_sql = (
            " and not exists (select 1 from failures x where x.path = s.path and x.size = s.size"
            " and x.mtime_ns = s.mtime_ns and x.collection_id = :collection)"
        )
        parameters = {"collection": collection.id if collection else None}
        pictures = (
            decode_path(path)
            for path, _ in self._db.execute(seen_sql + failed_sql, parameters)
            if companions.can_have_companions(decode_path(path))
        )
        found = companions.match_companions(candidates, pictures)
        rows = ((encode_path(it.path), encode_path(it.picture_path), it.kind) for it in found)
        with self._db.atomic():
            self._db.conn.executemany("insert into temp.companion values (?, ?, ?)", rows)
            self._db.execute("delete from seen where path in (select path from temp.companion)")

    def save_companions(self, roots: Iterable[str]) -> None:
        """Keep what was found, where its picture is known; below roots all else is forgotten."""
        with self._db.atomic():
            for root in roots:
                where, parameters = build_subtree_condition(root)
                self._db.execute(f"delete from companions where {where}", parameters)
            self._db.execute(
                "insert or replace into companions select path, of_path, kind from temp.companion"
                " where of_path in (select path from files)"
            )
            self._db.execute(
                "delete from files where path in"
                " (select c.path from temp.companion c join companions on companions.path = c.path)"
            )

    def load_by_file(self, image_ids: Iterable[int]) -> dict[str, list[str]]:
        """Return the companions of the files of some images, by those files' paths."""
        found: dict[str, list[str]] = {}
        for path, companion in self._db.execute(
            "select c.of_path, c.path from files f join companions c on c.of_path = f.path"
            " where f.image_id in (select value from json_each(?)) order by c.path",
            (json.dumps([*image_ids]),),
        ):
            found.setdefault(decode_path(path), []).append(decode_path(companion))
        return found

    def list_files_to_move(self, path: str) -> list[str]:
        """Return what goes where a file goes: its companions, and its sidecars.

        What bears the name of another picture, too, belongs to that as well, and stays: IMG_1.xmp
        of IMG_1.jpg and IMG_1.png.
        """
        base = _strip_suffix(path)
        rows = self._db.execute(
            "select path, 'file' from files where path >= :start and path < :end"
            " union all select path, 'sidecar' from sidecars where path >= :start and path < :end"
            " union all select path, kind from companions where of_path = :path order by path",
            {
                "start": encode_path(f"{base}."),
                "end": encode_path(f"{base}/"),
                "path": encode_path(path),
            },
        )
        beside = [(decode_path(other), kind) for other, kind in rows]
        is_name_shared = any(
            kind == "file" and other != path and _strip_suffix(other) == base
            for other, kind in beside
        )
        found = []
        for other, kind in beside:
            is_own_sidecar = kind == "sidecar" and _strip_suffix(other) == path
            is_same_name = kind in ("raw", "film") or (
                kind == "sidecar" and _strip_suffix(other) == base
            )
            if is_own_sidecar or (is_same_name and not is_name_shared):
                found.append(other)
        return found


def _strip_suffix(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122 (speed)
