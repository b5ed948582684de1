"""Write the results of an index run: images, files, embeddings, frames and failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from sqlite_utils import Database

from searchapp.catalog.file_metadata import FileInfos, FileMetadataTable
from searchapp.catalog.metadata_rows import IMAGE_COLUMNS, info_to_values, save_keywords
from searchapp.catalog.outdated_colors import last_outdated_sql
from searchapp.catalog.path_keys import encode_path
from searchapp.catalog.scan_diff import FileTask
from searchapp.files.display_path import display_path
from searchapp.types import Collection, Failure, PictureInfo, RunSummary


class CatalogWriter:
    """Write the rows of an index run; the caller groups calls into transactions."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def start_run(self, collection: Collection, roots: list[str]) -> int:
        """Record the start of an index run; return its id."""
        self._db.execute(
            "insert into runs (collection_id, roots, started_at) values (?, ?, ?)",
            (collection.id, json.dumps(roots), format_utc_now()),
        )
        (run_id,) = self._db.execute("select last_insert_rowid()").fetchone()
        return int(run_id)

    def finish_run(self, run_id: int, summary: RunSummary) -> None:
        """Record the end of a complete index run."""
        self._db.execute(
            "update runs set finished_at = ?, summary = ? where id = ?",
            (format_utc_now(), json.dumps(asdict(summary)), run_id),
        )

    def save_images(self, images: Mapping[str, PictureInfo]) -> dict[str, int]:
        """Write the images that the catalog lacks; return the ids of all images, by SHA-256.

        The id of a deleted image is not used again: browsers keep pictures by the id in the URL.
        """
        (last,) = self._db.execute(
            "select max(last_id, (select coalesce(max(id), 0) from images)) from image_ids"
        ).fetchone()
        placeholders = ", ".join("?" for _ in IMAGE_COLUMNS)
        self._db.conn.executemany(
            f"insert into images (id, sha256, {', '.join(IMAGE_COLUMNS)})"
            f" values (?, ?, {placeholders}) on conflict (sha256) do nothing",
            (
                (id, sha256, *info_to_values(info))
                for id, (sha256, info) in enumerate(images.items(), last + 1)
            ),
        )
        rows = self._db.execute(
            "select sha256, id from images where sha256 in (select value from json_each(?))",
            (json.dumps(list(images)),),
        )
        ids: dict[str, int] = dict(rows.fetchall())
        new = {id: images[sha256].keywords for sha256, id in ids.items() if id > last}
        save_keywords(self._db, ((id, word) for id, words in new.items() for word in words))
        return ids

    def save_embeddings(self, collection: Collection, vectors: Mapping[int, bytes]) -> None:
        """Write the vectors of images, by image id; keep vectors that the collection has.

        A vector that was made with other colors is replaced by one with a new id.
        """
        self._db.conn.executemany(
            "delete from embeddings where collection_id = ? and image_id = ?"
            f" and id <= {last_outdated_sql('embeddings.image_id')}",
            ((collection.id, image_id) for image_id in vectors),
        )
        self._db.conn.executemany(
            "insert into embeddings (collection_id, image_id, vector) values (?, ?, ?)"
            " on conflict (collection_id, image_id) do nothing",
            ((collection.id, image_id, vector) for image_id, vector in vectors.items()),
        )

    def save_files(self, run_id: int, files: Iterable[tuple[FileTask, int]]) -> None:
        """Write files, each with the id of the image that it contains."""
        self._db.conn.executemany(
            "insert into files (path, image_id, size, mtime_ns, ctime_ns, run_id)"
            " values (?, ?, ?, ?, ?, ?) on conflict (path) do update set"
            " image_id = excluded.image_id, size = excluded.size, mtime_ns = excluded.mtime_ns,"
            " ctime_ns = excluded.ctime_ns, run_id = excluded.run_id",
            (
                (encode_path(task.path), id, task.size, task.mtime_ns, task.ctime_ns, run_id)
                for task, id in files
            ),
        )

    def save_file_metadata(self, infos: Mapping[int, FileInfos]) -> None:
        """Write metadata of files that differs from that of their image: by image id and path."""
        FileMetadataTable(self._db).add_infos(infos)

    def has_file(self, task: FileTask, image_id: int) -> bool:
        """Return whether the catalog has a file with this image, size and modification time."""
        row = self._db.execute(
            "select 1 from files where path = ? and (image_id, size, mtime_ns) = (?, ?, ?)",
            (encode_path(task.path), image_id, task.size, task.mtime_ns),
        ).fetchone()
        return row is not None

    def delete_failures(self, collection: Collection, paths: Iterable[str]) -> None:
        """Delete the recorded failures of files that are now indexed."""
        self._db.conn.executemany(
            "delete from failures where collection_id = ? and path = ?",
            ((collection.id, encode_path(path)) for path in paths),
        )

    def save_failure(
        self, collection: Collection, run_id: int, task: FileTask, failure: Failure
    ) -> None:
        """Write why a file was not indexed; if the file has changed, delete its row in files."""
        path, state = encode_path(task.path), (task.size, task.mtime_ns, task.ctime_ns)
        self._db.execute(
            "delete from files where path = ?"
            " and ((size, mtime_ns) <> (?, ?) or coalesce(ctime_ns <> ?, 0))",
            (path, *state),
        )
        self._db.execute(
            "insert or replace into failures"
            " (collection_id, path, size, mtime_ns, ctime_ns, run_id, stage, message)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (collection.id, path, *state, run_id, failure.stage, display_path(failure.message)),
        )

    def save_frames(self, frames: Iterable[tuple[int, int, float]]) -> None:
        """Write the frames of videos: (image id of the frame, image id of the video, seconds)."""
        self._db.conn.executemany(
            "insert into frames values (?, ?, ?) on conflict (image_id) do nothing", frames
        )


def format_utc_now() -> str:
    """Return the current time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
