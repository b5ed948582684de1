"""Find the folders that were indexed by name, and the files that the run of each has seen.

A folder inside another folder can be indexed by its own name, because a scan of the outer folder
leaves it out: it is hidden, excluded, or has other options. Its files belong to the last run that
has seen them, so a run of the outer folder does not forget files that it never sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.path_keys import build_subtree_condition
from searchapp.files.path_forms import is_exactly_below

OWNED_TABLES = ("files", "failures")
_ROOTS_SQL = "roots in (select value from json_each(:roots))"


class KnownRoots:
    """Read the roots of index runs, and record which run has seen the files of an inner root."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def list_roots(self) -> list[str]:
        """Return the roots of index runs that have files, those of the latest run first."""
        rows = self._db.execute("select roots from runs group by roots order by max(id) desc")
        roots = dict.fromkeys(root for (each,) in rows.fetchall() for root in json.loads(each))
        return [root for root in roots if self._has_rows("files", root)]

    def find_inner_roots(self, root: str) -> list[str]:
        """Return the roots below a root that have files which no run of the root has seen."""
        inner_runs = self._list_inner_runs(root)
        owner = f"run_id in (select id from runs where {_ROOTS_SQL})"
        owners = {"roots": json.dumps(inner_runs)}
        roots = {each for run_roots in inner_runs for each in json.loads(run_roots)}
        inner_roots = sorted(each for each in roots if is_exactly_below(each, root))
        return [
            inner
            for inner in inner_roots
            if any(self._has_rows(table, inner, owner, owners) for table in OWNED_TABLES)
        ]

    def adopt_seen_files(self, roots: Iterable[str], run_id: int) -> None:
        """Give the files of inner roots that this scan has seen to a run of the outer roots."""
        outer_roots = [root for root in roots if self.find_inner_roots(root)]
        inner_runs = [each for root in outer_roots for each in self._list_inner_runs(root)]
        for table in OWNED_TABLES if inner_runs else ():
            self._db.execute(
                f"update {table} set run_id = :run_id where path in (select path from seen)"
                f" and run_id in (select id from runs where {_ROOTS_SQL})",
                {"run_id": run_id, "roots": json.dumps(inner_runs)},
            )

    def _list_inner_runs(self, root: str) -> list[str]:
        """Return the roots of runs with a root below a root, and none at or above it, as JSON."""
        rows = self._db.execute("select distinct roots from runs").fetchall()
        runs = {each: json.loads(each) for (each,) in rows}
        return [
            each
            for each, roots in runs.items()
            if any(is_exactly_below(other, root) for other in roots)
            and not any(other == root or is_exactly_below(root, other) for other in roots)
        ]

    def _has_rows(
        self, table: str, path: str, condition: str = "1", parameters: Mapping[str, Any] = {}
    ) -> bool:
        """Return whether a table has a row at or below a path that meets an SQL condition."""
        where, bounds = build_subtree_condition(path)
        (has_rows,) = self._db.execute(
            f"select exists (select 1 from {table} where {where} and {condition})",
            {**bounds, **parameters},
        ).fetchone()
        return bool(has_rows)
