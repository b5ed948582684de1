"""Which files belong to a picture, and are none of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from sqlite_utils import Database

from searchapp.catalog.path_keys import key, path_of, within
from searchapp.files import companions
from searchapp.types import Collection


class Companions:
    """The companions of a catalogue, through its connection."""

    def __init__(self, db: Database) -> None:
        """Do nothing yet."""
        self._db = db

    def find(self, collection: Collection | None) -> None:
        """Find those among the files that a scan has seen, which are not seen as pictures then.

        What belongs to a file that failed before, and has not changed, is a picture of its own.
        """
        seen = "select path, size from seen s where picture"
        files = ((path_of(path), size) for path, size in self._db.execute(seen))
        those = [(path, kind) for path, size in files if (kind := companions.kind_of(path, size))]
        failed = (
            " and not exists (select 1 from failures x where x.path = s.path and x.size = s.size"
            " and x.mtime_ns = s.mtime_ns and x.collection_id = :collection)"
        )
        of = {"collection": collection.id if collection else None}
        pictures = (
            path_of(path)
            for path, _ in self._db.execute(seen + failed, of)
            if companions.may_have_companions(path_of(path))
        )
        found = companions.found(those, pictures)
        rows = ((key(it.path), key(it.of_path), it.kind) for it in found)
        with self._db.atomic():
            self._db.conn.executemany("insert into temp.companion values (?, ?, ?)", rows)
            self._db.execute("delete from seen where path in (select path from temp.companion)")

    def save(self, roots: Iterable[str]) -> None:
        """Keep what was found, where its picture is known; below roots all else is forgotten."""
        with self._db.atomic():
            for root in roots:
                where, parameters = within(root)
                self._db.execute(f"delete from companions where {where}", parameters)
            self._db.execute(
                "insert or replace into companions select path, of_path, kind from temp.companion"
                " where of_path in (select path from files)"
            )
            self._db.execute(
                "delete from files where path in"
                " (select c.path from temp.companion c join companions on companions.path = c.path)"
            )

    def of(self, image_ids: Iterable[int]) -> dict[str, list[str]]:
        """Return the companions of the files of some images, by those files' paths."""
        found: dict[str, list[str]] = {}
        for path, companion in self._db.execute(
            "select c.of_path, c.path from files f join companions c on c.of_path = f.path"
            " where f.image_id in (select value from json_each(?)) order by c.path",
            (json.dumps([*image_ids]),),
        ):
            found.setdefault(path_of(path), []).append(path_of(companion))
        return found

    def along(self, path: str) -> list[str]:
        """Return what goes where a file goes: its companions, and its sidecars.

        What bears the name of another picture, too, belongs to that as well, and stays: IMG_1.xmp
        of IMG_1.jpg and IMG_1.png.
        """
        base = _stem(path)
        rows = self._db.execute(
            "select path, 'file' from files where path >= :start and path < :end"
            " union all select path, 'sidecar' from sidecars where path >= :start and path < :end"
            " union all select path, kind from companions where of_path = :path order by path",
            {"start": key(f"{base}."), "end": key(f"{base}/"), "path": key(path)},
        )
        beside = [(path_of(other), kind) for other, kind in rows]
        shared = any(
            kind == "file" and other != path and _stem(other) == base for other, kind in beside
        )
        found = []
        for other, kind in beside:
            own = kind == "sidecar" and _stem(other) == path
            by_name = kind in ("raw", "film") or (kind == "sidecar" and _stem(other) == base)
            if own or (by_name and not shared):
                found.append(other)
        return found


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122 (speed)
