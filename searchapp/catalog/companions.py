"""Store the companions of pictures: RAW files, Live Photo videos and edits of the same name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from sqlite_utils import Database

from searchapp.catalog.path_keys import (
    build_prefix_condition,
    build_subtree_condition,
    decode_path,
    encode_path,
)
from searchapp.catalog.same_state import build_same_state_condition
from searchapp.catalog.sidecar_rows import find_pictures, find_sidecars
from searchapp.files import companions
from searchapp.types import Collection


class CompanionTable:
    """Read and write the table of companion files."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def find_companions(self, collection: Collection | None) -> None:
        """Move companion files from the table temp.seen to the table temp.found_companions.

        If the picture of a companion failed before and has not changed since, the companion stays
        in temp.seen and is indexed as a picture.
        """
        seen_sql = "select path, size from seen s where picture"
        candidates_sql = f"{seen_sql} union all select path, size from seen_adjustments"
        files = ((decode_path(path), size) for path, size in self._db.execute(candidates_sql))
        candidates = [
            (path, kind)
            for path, size in files
            if (kind := companions.classify_companion(path, size))
        ]
        failed_sql = (
            " and not exists (select 1 from failures x where x.path = s.path"
            f" and {build_same_state_condition('x', 's')} and x.collection_id = :collection)"
        )
        parameters = {"collection": collection.id if collection else None}
        pictures = (
            decode_path(path)
            for path, _ in self._db.execute(seen_sql + failed_sql, parameters)
            if companions.can_have_companions(decode_path(path))
        )
        rows = (
            (encode_path(found.path), encode_path(found.picture_path), found.kind)
            for found in companions.match_companions(candidates, pictures)
        )
        with self._db.atomic():
            self._db.conn.executemany("insert into temp.found_companions values (?, ?, ?)", rows)
            self._db.execute(
                "delete from seen where path in (select path from temp.found_companions)"
            )

    def save_companions(self, roots: Iterable[str]) -> None:
        """Replace the stored companions in roots by those that find_companions() found.

        A companion is stored only if its picture is in the catalog. If the companion was cataloged
        as a picture before, its row in the table files is deleted.
        """
        with self._db.atomic():
            for root in roots:
                where, parameters = build_subtree_condition(root)
                self._db.execute(
                    f"delete from companions where {where} and (path in (select path from seen)"
                    " or path in (select path from temp.found_companions)"
                    " or not is_unreadable(path))",
                    parameters,
                )
            self._db.execute(
                "insert or replace into companions"
                " select path, of_path, kind from temp.found_companions"
                " where of_path in (select path from files)"
            )
            self._db.execute(
                "delete from files where path in (select c.path from temp.found_companions c"
                " join companions on companions.path = c.path)"
            )

    def load_by_file(self, image_ids: Iterable[int]) -> dict[str, list[str]]:
        """Return the paths of the companions of images, by the path of the picture file."""
        found: dict[str, list[str]] = {}
        for path, companion in self._db.execute(
            "select c.of_path, c.path from files f join companions c on c.of_path = f.path"
            " where f.image_id in (select value from json_each(?)) order by c.path",
            (json.dumps([*image_ids]),),
        ):
            found.setdefault(decode_path(path), []).append(decode_path(companion))
        return found

    def list_files_to_move(self, path: str) -> list[str]:
        """Return the companions and sidecars to move together with a file.

        A file that belongs to two pictures is left out: IMG_1.xmp next to IMG_1.jpg and IMG_1.png.
        """
        base = _strip_suffix(path)
        where, parameters = build_prefix_condition(f"{base}.")
        rows = self._db.execute(f"select path from files where {where}", parameters)
        others = (decode_path(other) for (other,) in rows)
        is_name_shared = any(other != path and _strip_suffix(other) == base for other in others)
        rows = self._db.execute(
            "select path from companions where of_path = ?", (encode_path(path),)
        )
        found = [] if is_name_shared else [decode_path(companion) for (companion,) in rows]
        found += [
            sidecar
            for sidecar in find_sidecars(self._db, path, "sidecars")
            # A sidecar with the whole name of the file is its own.
            if sidecar.startswith(path) or len(find_pictures(self._db, sidecar)) == 1
        ]
        return sorted(found)


def _strip_suffix(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122 (speed)
