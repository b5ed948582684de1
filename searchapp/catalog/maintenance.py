"""Check, repair, prune, compact, export and copy a catalog."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from sqlite_utils import Database

from searchapp.catalog.file_metadata import FileMetadataTable
from searchapp.catalog.metadata_rows import SELECT_INFO_SQL, row_to_info
from searchapp.catalog.path_keys import decode_path, encode_path
from searchapp.catalog.text_check import find_text_damage, rebuild_texts
from searchapp.files.file_state import MAX_INTEGER, FileState
from searchapp.types import CatalogedFile, CatalogedImage, Collection

logger = logging.getLogger(__name__)
TEXT_INDEX_FAULT = "for FTS5 table main.texts"
MIN_UNUSED_SHARE = 0.25  # share of unused pages from which compacting the file pays off
# An image is unused if it has no file, is not a frame of a video with a file, and is not the
# metadata of a file.
UNUSED_IMAGE_SQL = (
    "not exists (select 1 from {files} f where f.image_id = i.id) and not exists (select 1 from"
    " frames r join {files} f on f.image_id = r.video_id where r.image_id = i.id) and not exists"
    " (select 1 from file_metadata m where m.metadata_id = i.id)"
)


class CatalogMaintenance:
    """Check, repair, prune, compact, read and copy the tables of a catalog."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    # Check and repair

    def check_integrity(self) -> list[str]:
        """Return the faults that SQLite finds in the catalog file; searchapp cannot repair them."""
        try:
            rows = [row[0] for row in self._db.execute("pragma integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        # New versions of SQLite check this index, too; find_text_damage() reports it.
        rows = [row for row in rows if TEXT_INDEX_FAULT not in row]
        return [] if rows in (["ok"], []) else rows

    def find_text_damage(self) -> str | None:
        """Return how the full-text index differs from the rows; None if it does not."""
        return find_text_damage(self._db)

    def rebuild_texts(self) -> None:
        """Build the full-text index again."""
        rebuild_texts(self._db)

    def count_orphaned_rows(self) -> list[tuple[str, int]]:
        """Return the number of orphaned rows per table: rows that refer to a missing row."""
        counts: dict[str, int] = {}
        for row in self._db.execute("pragma foreign_key_check"):
            counts[row[0]] = counts.get(row[0], 0) + 1
        return sorted(counts.items())

    def delete_orphaned_rows(self) -> None:
        """Delete the rows that count_orphaned_rows() counts."""
        # foreign_key_check reports no rowid for tables without one, so compare the references.
        with self._db.atomic():
            self._db.execute("delete from files where image_id not in (select id from images)")
            self._db.execute("delete from files where run_id not in (select id from runs)")
            for table in ("embeddings", "runs", "failures", "calibrations", "stores"):
                self._db.execute(
                    f"delete from {table} where collection_id not in (select id from collections)"
                )
            for table in ("embeddings", "keywords", "fingerprints", "recognized_texts"):
                self._db.execute(
                    f"delete from {table} where image_id not in (select id from images)"
                )
            self._db.execute("delete from failures where run_id not in (select id from runs)")
            self._db.execute(
                "delete from inspections where first_id not in (select id from images)"
                " or second_id not in (select id from images)"
            )
            self._db.execute(
                "delete from file_metadata where image_id not in (select id from images)"
                " or metadata_id not in (select id from images)"
            )
            self._db.execute(
                "delete from frames where image_id not in (select id from images)"
                " or video_id not in (select id from images)"
            )

    def find_miscounted_collections(self) -> list[tuple[str, int, int]]:
        """Return collections whose counter of embeddings is wrong: (name, counter, real count)."""
        rows = self._db.execute(
            "select c.name, c.embedded, count(e.id) from collections c"
            " left join embeddings e on e.collection_id = c.id group by c.id"
        ).fetchall()
        return [(name, counter, count) for name, counter, count in rows if counter != count]

    def recount_embeddings(self) -> None:
        """Correct the counter of embeddings of every collection."""
        self._db.execute(
            "update collections set deletions = deletions + 1, (embedded, last_embedding) = ("
            " select count(*), max(coalesce(max(e.id), 0), collections.last_embedding)"
            " from embeddings e where e.collection_id = collections.id)"
        )

    def delete_embeddings(self, ids: list[int]) -> None:
        """Delete embeddings, so that the next index run embeds their images again.

        For a video frame, the embedding of its video is deleted too: frames are embedded only
        together with their video.
        """
        with self._db.atomic():
            self._db.conn.executemany(
                "delete from embeddings where id in (select v.id from embeddings e"
                " join frames r on r.image_id = e.image_id join embeddings v"
                " on v.image_id = r.video_id and v.collection_id = e.collection_id where e.id = ?)",
                ((id,) for id in ids),
            )
            self._db.conn.executemany("delete from embeddings where id = ?", ((id,) for id in ids))

    def sample_files(self, count: int | None) -> list[tuple[str, FileState, str]]:
        """Return count random files, or all if count is None.

        Each file is a tuple: (path, state when it was read, SHA-256).
        """
        rows = self._db.execute(
            "select f.path, f.size, f.mtime_ns, f.ctime_ns, i.sha256 from files f"
            " join images i on i.id = f.image_id"
            + (" order by random() limit :count" if count is not None else ""),
            {"count": None if count is None else min(count, MAX_INTEGER)},
        )
        return [(decode_path(path), FileState(*state), sha256) for path, *state, sha256 in rows]

    def mark_for_reread(self, paths: list[str]) -> None:
        """Make the next index run read files again even if size and time are unchanged."""
        with self._db.atomic():
            self._db.conn.executemany(
                "update files set mtime_ns = -1 where path = ?",
                ((encode_path(path),) for path in paths),
            )

    def read_hashes(self) -> Iterator[str]:
        """Yield the SHA-256 of every image."""
        for row in self._db.execute("select sha256 from images"):
            yield row[0]

    def read_images(self, collection: Collection) -> Iterator[list[CatalogedImage]]:
        """Yield the images of a collection with metadata, files and vectors, in pages.

        The images are sorted by embedding id.
        """
        last = 0
        while rows := self._db.execute(
            "select e.id, i.id, i.sha256, e.vector, v.sha256, r.seconds,"
            f" {SELECT_INFO_SQL} from embeddings e not indexed"
            " join images i on i.id = e.image_id left join frames r on r.image_id = i.id"
            " left join images v on v.id = r.video_id"
            " where e.id > ? and e.collection_id = ? order by e.id limit 1000",
            (last, collection.id),
        ).fetchall():
            files: dict[int, list[CatalogedFile]] = {row[1]: [] for row in rows}
            infos = FileMetadataTable(self._db).load_infos(files)
            for image_id, path, size, mtime_ns in self._db.execute(
                "select image_id, path, size, mtime_ns from files"
                " where image_id in (select value from json_each(?)) order by path",
                (json.dumps(list(files)),),
            ):
                info = infos.get(image_id, {}).get(decode_path(path))
                files[image_id].append(CatalogedFile(decode_path(path), size, mtime_ns, info))
            yield [
                CatalogedImage(row[2], row_to_info(row[6:]), tuple(files[row[1]]), *row[3:6])
                for row in rows
            ]
            last = rows[-1][0]

    # Discard

    def is_unused(self) -> bool:
        """Return whether the catalog has no image and no complete index run."""
        (is_used,) = self._db.execute(
            "select exists (select 1 from images)"
            " or exists (select 1 from runs where finished_at is not null)"
        ).fetchone()
        return not is_used

    def lock_exclusively(self) -> bool:
        """Lock the catalog until it is closed; return False if another connection is open.

        Until then, a process that opens the catalog waits.
        """
        self._db.execute("pragma busy_timeout = 0")
        try:
            # Only the last connection can end WAL mode, which deletes the other two files.
            self._db.execute("pragma journal_mode = delete")
            self._db.execute("begin exclusive")
        except sqlite3.OperationalError:
            with suppress(sqlite3.OperationalError):
                self._db.execute("pragma journal_mode = wal")
            return False
        return True

    # Prune and compact

    def list_paths(self) -> Iterator[str]:
        """Yield the path of every file, and of every file that could not be indexed."""
        sql = "select path from files union select path from failures"
        for row in self._db.execute(sql).fetchall():
            yield decode_path(row[0])

    def forget_files(self, paths: Iterable[str]) -> None:
        """Delete the rows of files, their failures and companions; keep images and embeddings."""
        keys = [(encode_path(path),) for path in paths]
        with self._db.atomic():
            self._db.conn.executemany("delete from files where path = ?", keys)
            self._db.conn.executemany("delete from failures where path = ?", keys)
            self._db.execute("delete from companions where of_path not in (select path from files)")

    def find_unused_images(self, missing_paths: list[str]) -> tuple[int, list[str], int]:
        """Return what a prune removes: number of files, SHA-256 of images, number of embeddings.

        missing_paths: files that count as removed. A dry run must not delete their rows: the
        library may be read-only, or another process may write to it. A temporary table works there.
        """
        self._db.execute("create temp table if not exists missing (path)")
        self._db.execute("delete from temp.missing")
        self._db.conn.executemany(
            "insert into temp.missing values (?)", ((encode_path(path),) for path in missing_paths)
        )
        (missing_files,) = self._db.execute(
            "select count(*) from files where path in (select path from temp.missing)"
        ).fetchone()
        existing_files = "(select * from files where path not in (select path from temp.missing))"
        condition = UNUSED_IMAGE_SQL.format(files=existing_files)
        images = self._db.execute(f"select i.sha256 from images i where {condition}").fetchall()
        (embeddings,) = self._db.execute(
            f"select count(*) from embeddings where image_id in"
            f" (select i.id from images i where {condition})"
        ).fetchone()
        return missing_files, [row[0] for row in images], embeddings

    def delete_unused_images(self) -> None:
        """Delete images without a file, and their embeddings."""
        condition = UNUSED_IMAGE_SQL.format(files="files")
        with self._db.atomic():
            self._db.executescript(f"drop table if exists temp.unused;"
                                   f" create temp table unused as select i.id from images i"
                                   f" where {condition};")  # fmt: skip
            self._db.execute("delete from embeddings where image_id in (select id from unused)")
            self._db.execute("delete from frames where image_id in (select id from unused)")
            self._db.execute("delete from images where id in (select id from unused)")

    def compact_file(self) -> bool:
        """Rewrite the catalog file without its unused pages; return False if it has too few.

        The file is rewritten only if more than MIN_UNUSED_SHARE of its pages are unused.
        """
        (free,) = self._db.execute("pragma freelist_count").fetchone()
        (pages,) = self._db.execute("pragma page_count").fetchone()
        if free <= MIN_UNUSED_SHARE * pages:
            logger.debug("Did not compact the catalog: %d of %d pages are unused.", free, pages)
            return False
        logger.info("Compacting the catalog: %d of %d pages are unused.", free, pages)
        self._db.execute("vacuum")
        self._db.execute("pragma wal_checkpoint(truncate)")
        return True

    def copy_to_file(self, file: Path) -> None:
        """Copy the catalog with SQLite's online backup, while other processes may write.

        https://www.sqlite.org/backup.html
        """
        target = sqlite3.connect(file)
        try:
            self._db.conn.backup(target, pages=1000)
            # The copy has no index files and must not own collections in Milvus.
            with target:
                target.execute("delete from stores")
                target.execute("delete from restated")
                target.execute(
                    "update collections set index_file = null, index_size = 0, index_count = 0,"
                    " index_last_id = 0, index_deletions = 0, index_trained = 0,"
                    " index_kind = 'exact', index_made_for = 'auto'"
                )
            # The header of the copy says that it has no log: see foreign_wal.py.
            target.execute("pragma journal_mode = delete")
        finally:
            target.close()
