"""Find the sidecars of a picture, and the pictures of a sidecar, in tables of the catalog."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from searchapp.catalog.path_keys import build_prefix_condition, decode_path, encode_path
from searchapp.files.sidecars import (
    Candidates,
    is_sidecar_of,
    list_picture_candidates,
    list_sidecar_candidates,
)


def find_pictures(db: Database, sidecar: str) -> list[tuple[str, int]]:
    """Return the cataloged files to which a sidecar belongs: (path, image id)."""
    rows = _select_candidates(db, "files", "path, image_id", list_picture_candidates(sidecar))
    found = {decode_path(path): image_id for path, image_id in rows}
    return [item for item in found.items() if is_sidecar_of(sidecar, item[0])]


def find_sidecars(db: Database, picture: str, *tables: str) -> list[str]:
    """Return the sidecars of a picture in tables of sidecars, highest precedence first."""
    candidates = list_sidecar_candidates(picture)
    rank = {path: number for number, path in enumerate(candidates.paths)}
    found = {
        decode_path(path)
        for table in tables
        for (path,) in _select_candidates(db, table, "path", candidates)
    }
    own = (path for path in found if is_sidecar_of(path, picture))
    return sorted(own, key=lambda path: (rank.get(path, len(rank)), path))


def _select_candidates(
    db: Database, table: str, columns: str, candidates: Candidates
) -> list[tuple[Any, ...]]:
    """Return the rows of a table whose path is a candidate."""
    placeholders = ", ".join("?" for _ in candidates.paths)
    rows = db.execute(
        f"select {columns} from {table} where path in ({placeholders})",
        [encode_path(path) for path in candidates.paths],
    ).fetchall()
    for prefix in candidates.prefixes:
        where, parameters = build_prefix_condition(prefix)
        rows += db.execute(f"select {columns} from {table} where {where}", parameters).fetchall()
    return rows
