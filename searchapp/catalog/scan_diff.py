"""Compare the files of a scan with the catalog, to plan an index run and find vanished files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.companions import CompanionTable
from searchapp.catalog.known_roots import KnownRoots
from searchapp.catalog.outdated_colors import last_outdated_sql
from searchapp.catalog.path_keys import (
    build_subtree_condition,
    decode_path,
    encode_path,
)
from searchapp.catalog.same_state import build_same_state_condition
from searchapp.files.companions import is_adjustments
from searchapp.files.file_state import MAX_INTEGER, FileState
from searchapp.files.scan import ScannedFile, is_video
from searchapp.types import Collection

PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class FileTask:
    """File that an index run must process."""

    path: str
    size: int
    mtime_ns: int
    image_id: int | None  # set if the file's content is known, but not embedded yet
    ctime_ns: int | None = None  # None: unknown

    @property
    def state(self) -> FileState:
        """Return the size and times of the file."""
        return FileState(self.size, self.mtime_ns, self.ctime_ns)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Number of files in a scan, by what the index run does with them."""

    seen_files: int
    unchanged_files: int
    failed_before: int  # skipped: they failed before and have not changed since
    pending_files: int
    skipped_videos: int = 0  # new or changed videos that the plan excludes


class ScanDiff:
    """Compare the files of one scan with the catalog, in temporary tables of the connection."""

    def __init__(self, db: Database) -> None:
        """Create empty temporary tables for the files of one scan."""
        self._db = db
        self._db.executescript(
            """
            drop table if exists temp.seen;
            create temp table seen (
                path text primary key, size integer, mtime_ns integer, picture integer,
                ctime_ns integer
            ) without rowid;
            drop table if exists temp.seen_sidecars;
            create temp table seen_sidecars (
                path text primary key, size integer, mtime_ns integer, ctime_ns integer,
                sha256 text
            ) without rowid;
            drop table if exists temp.seen_adjustments;
            create temp table seen_adjustments (path text primary key, size integer) without rowid;
            drop table if exists temp.found_companions;
            create temp table found_companions (
                path text primary key, of_path text, kind text
            ) without rowid;
            """
        )
        self.companions = CompanionTable(db)
        self.known_roots = KnownRoots(db)
        self.protect_paths(())

    def protect_paths(
        self, paths: Iterable[str], is_kept: Callable[[str], bool] = lambda path: False
    ) -> None:
        """Set the paths that the scan could not read: no file at or below them counts as vanished.

        is_kept: whether another file does not count as vanished, although the scan did not see it.
        Defines the SQL function is_unreadable(path), which all deletions after a scan ask.
        """
        prefixes = tuple(path.rstrip(os.sep) + os.sep for path in paths)

        def is_unreadable(key: str | bytes) -> bool:
            path = decode_path(key)
            return (path + os.sep).startswith(prefixes) or is_kept(path)

        self._db.conn.create_function("is_unreadable", 1, is_unreadable)

    def add_files(self, found: Iterable[ScannedFile]) -> None:
        """Add scanned files to the temporary table seen, or to that of their kind."""
        files: list[tuple[Any, ...]] = []
        sidecars: list[tuple[Any, ...]] = []
        adjustments: list[tuple[Any, ...]] = []
        for file in found:
            if file.is_sidecar:
                state = (file.size, file.mtime_ns, file.ctime_ns)
                sidecars.append((encode_path(file.path), *state, file.sha256))
            elif is_adjustments(file.path):
                adjustments.append((encode_path(file.path), file.size))
            else:
                state = (file.size, file.mtime_ns, file.has_known_suffix)
                files.append((encode_path(file.path), *state, file.ctime_ns))
        with self._db.atomic():
            self._db.conn.executemany("insert or ignore into seen values (?, ?, ?, ?, ?)", files)
            self._db.conn.executemany(
                "insert or ignore into seen_sidecars values (?, ?, ?, ?, ?)", sidecars
            )
            self._db.conn.executemany(
                "insert or ignore into seen_adjustments values (?, ?)", adjustments
            )

    def list_undecided_files(self, collection: Collection | None) -> list[str]:
        """Return scanned files of unknown type: no known suffix, and not in the catalog."""
        rows = self._db.execute(
            "select s.path from seen s where not s.picture"
            " and not exists (select 1 from files f where f.path = s.path)"
            " and not exists (select 1 from failures x where x.path = s.path"
            "                 and x.collection_id = :collection)",
            {"collection": collection.id if collection else None},
        )
        return [decode_path(row[0]) for row in rows]

    def remove_files(self, paths: Iterable[str]) -> None:
        """Remove files that are not pictures from the scan."""
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from seen where path = ?", ((encode_path(path),) for path in paths)
            )

    def plan_work(
        self,
        collection: Collection | None,
        *,
        retry_failed: bool,
        limit: int | None,
        retry_stages: Iterable[str] = (),
        include_videos: bool = True,
        update_colors: bool = False,
    ) -> ScanPlan:
        """Find the files to process: new, changed, or not embedded in the collection yet.

        limit: maximum number of files. retry_stages: failures in these stages are always retried.
        update_colors: also process files whose embedding was made with other colors.
        """
        self._db.executescript("drop table if exists temp.work")
        self._db.execute(
            f"""
            create temp table work as
            select s.path, s.size, s.mtime_ns, s.ctime_ns, f.image_id,
                   x.path is not null and x.stage not in
                   (select value from json_each(:again)) as failed,
                   e.id is not null and not (:update_colors
                       and e.id <= {last_outdated_sql("f.image_id")}) as embedded,
                   s.ctime_ns is not null and (f.path is not null and f.ctime_ns is null
                   or x.path is not null and x.ctime_ns is null) as is_change_time_new
            from seen s
            left join files f on f.path = s.path and {build_same_state_condition("f", "s")}
            left join embeddings e on e.image_id = f.image_id and e.collection_id = :collection
            left join failures x on x.path = s.path and {build_same_state_condition("x", "s")}
                 and x.collection_id = :collection
            order by s.path
            """,
            {
                "collection": collection.id if collection else None,
                "again": json.dumps([*retry_stages]),
                "update_colors": update_colors,
            },
        )
        self._db.executescript(
            """
            drop table if exists temp.new_change_times;
            create temp table new_change_times as
            select path, size, mtime_ns, ctime_ns from work where is_change_time_new;
            """
        )
        seen = self._fetch_count("select count(*) from work")
        unchanged = self._fetch_count("select count(*) from work where embedded")
        self._db.execute("delete from work where embedded")
        failed_before = 0
        if not retry_failed:
            failed_before = self._fetch_count("select count(*) from work where failed")
            self._db.execute("delete from work where failed")
        videos = list[int]()
        if not include_videos:
            rows = self._db.execute("select rowid, path from work").fetchall()
            videos = [rowid for rowid, path in rows if is_video(decode_path(path))]
            self._db.conn.executemany(
                "delete from work where rowid = ?", ((rowid,) for rowid in videos)
            )
        if limit is not None:
            self._db.execute(
                "delete from work where rowid not in"
                " (select rowid from work order by rowid limit :limit)",
                {"limit": min(limit, MAX_INTEGER)},
            )
        pending = self._fetch_count("select count(*) from work")
        return ScanPlan(seen, unchanged, failed_before, pending, len(videos))

    def save_new_change_times(self) -> None:
        """Store the change times of unchanged files that an older version has read."""
        if not self._fetch_count("select count(*) from new_change_times"):
            return
        with self._db.atomic():
            for table in ("files", "failures"):
                rows = self._db.execute(
                    "select ctime_ns, path, size, mtime_ns from new_change_times"
                )
                self._db.conn.executemany(
                    f"update {table} set ctime_ns = ?"
                    " where path = ? and size = ? and mtime_ns = ? and ctime_ns is null",
                    rows.fetchall(),
                )

    def read_tasks(self) -> Iterator[FileTask]:
        """Yield the files that plan_work() found; the caller may write to the catalog meanwhile.

        Each page is a new query, so that such writes do not disturb the iteration.
        """
        last = 0
        while rows := self._db.execute(
            "select rowid, path, size, mtime_ns, image_id, ctime_ns from work where rowid > ?"
            " order by rowid limit ?",
            (last, PAGE_ROWS),
        ).fetchall():
            for rowid, path, *values in rows:
                last = rowid
                yield FileTask(decode_path(path), *values)

    def compute_share(self, suffixes: Iterable[str], min_bytes: int) -> float:
        """Return which share of the files that plan_work() found have such a suffix and size.

        suffixes: in lower case, with the dot.
        """
        conditions = " or ".join(f"lower(path) like '%{suffix}'" for suffix in sorted(suffixes))
        share = self._db.execute(
            f"select avg(size >= ? and ({conditions})) from work", (min_bytes,)
        ).fetchone()[0]
        return share or 0.0

    def count_known_below(self, folder: str) -> int:
        """Return the number of cataloged files at or below a path."""
        where, parameters = build_subtree_condition(folder)
        return int(self._fetch_count(f"select count(*) from files where {where}", parameters))

    def count_seen_below(self, folder: str) -> int:
        """Return the number of scanned files at or below a path."""
        where, parameters = build_subtree_condition(folder)
        return int(self._fetch_count(f"select count(*) from seen where {where}", parameters))

    def find_vanished_files(self, folder: str) -> list[tuple[str, int]]:
        """Return cataloged files at or below a path that the scan has not seen: (path, image id).

        Companions that were cataloged as pictures before do not count as vanished.
        """
        where, parameters = build_subtree_condition(folder)
        rows = self._db.execute(
            # The order of a case is fixed; is_unreadable() can ask the file system.
            f"select path, image_id from files where {where} and case"
            " when exists (select 1 from seen s where s.path = files.path)"
            " or exists (select 1 from found_companions c where c.path = files.path) then 0"
            " else not is_unreadable(path) end",
            parameters,
        )
        return [(decode_path(path), image_id) for path, image_id in rows]

    def forget_files(self, paths: Iterable[str], roots: Iterable[str]) -> None:
        """Delete the rows of vanished files, and failures of files that the scan has not seen."""
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from files where path = ?", ((encode_path(path),) for path in paths)
            )
            for root in roots:
                where, parameters = build_subtree_condition(root)
                self._db.execute(
                    f"delete from failures where {where}"
                    " and not exists (select 1 from seen s where s.path = failures.path)"
                    " and not is_unreadable(path)",
                    parameters,
                )

    def _fetch_count(self, sql: str, parameters: dict[str, Any] | None = None) -> int:
        return int(self._db.execute(sql, parameters or {}).fetchone()[0])
