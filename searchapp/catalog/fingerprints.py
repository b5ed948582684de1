"""Store the fingerprints of images, and read the other data that a duplicate search compares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.path_keys import decode_path
from searchapp.types import CatalogedFile, Collection

Ids = NDArray[np.int64]
PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class ImageWithFiles:
    """An image with all its files, the shortest path first."""

    image_id: int
    sha256: str
    format: str
    width: int  # pixels, upright (orientation applied)
    height: int
    taken_at: str | None
    camera: str | None
    files: tuple[CatalogedFile, ...]
    companions: tuple[tuple[str, str], ...] = ()  # (path of the file, path of its companion)


class Fingerprints:
    """Read and write the fingerprints of one version of the algorithm."""

    def __init__(self, db: Database, kind: int) -> None:
        """Use a connection to the catalog. kind: version of the fingerprint algorithm."""
        self._db = db
        self._kind = kind

    def read_embedding_ids(self, collection: Collection) -> tuple[Ids, Ids]:
        """Return the embedding ids and image ids of a collection's pictures with files.

        Both arrays have the shape [n] and are sorted by image id. Video frames are excluded.
        """
        rows = self._db.execute(
            "select e.id, e.image_id from embeddings e where e.collection_id = ?"
            " and exists (select 1 from files f where f.image_id = e.image_id)"
            " and not exists (select 1 from frames r where r.image_id = e.image_id)"
            " order by e.image_id",
            (collection.id,),
        )
        both = np.fromiter(chain.from_iterable(rows), np.int64)
        return both[0::2], both[1::2]

    def find_images_with_copies(self) -> Ids:
        """Return the ids of images that are contained in more than one file."""
        rows = self._db.execute("select image_id from files group by image_id having count(*) > 1")
        return np.fromiter((row[0] for row in rows), np.int64)

    def read_hashes(self) -> tuple[Ids, NDArray[np.uint64]]:
        """Return the ids of images with a fingerprint, ascending, and the 64-bit hash of each."""
        rows = self._db.execute(
            "select image_id, hash from fingerprints where kind = ? order by image_id",
            (self._kind,),
        )
        both = np.fromiter(chain.from_iterable(rows), np.int64)
        return both[0::2], both[1::2].view(np.uint64)

    def read_content_hashes(self) -> tuple[Ids, NDArray[np.uint64]]:
        """Return the ids of images with a border, ascending, and the hash of each one's content."""
        rows = self._db.execute(
            "select image_id, content_hash from fingerprints"
            " where kind = ? and content_hash is not null order by image_id",
            (self._kind,),
        )
        both = np.fromiter(chain.from_iterable(rows), np.int64)
        return both[0::2], both[1::2].view(np.uint64)

    def save_fingerprints(self, fingerprints: Iterable[tuple[int, int, int | None, bytes]]) -> None:
        """Write fingerprints: (image id, hash, hash of the content, fingerprint)."""
        with self._db.atomic():
            self._db.conn.executemany(
                "insert or replace into fingerprints (image_id, kind, hash, content_hash, copy)"
                " select id, ?, ?, ?, ? from images where id = ?",
                (
                    (self._kind, _to_signed(hash), _to_signed(content_hash), copy, image_id)
                    for image_id, hash, content_hash, copy in fingerprints
                ),
            )

    def read_fingerprints(self, image_ids: Ids) -> list[bytes]:
        """Return the fingerprints of images that have one, in the order of image_ids."""
        found: dict[int, bytes] = dict(self._read_column("copy", image_ids))
        return [found[id] for id in image_ids.tolist()]

    def read_pixel_hashes(self, image_ids: Ids) -> dict[int, str]:
        """Return the known pixel hashes (SHA-256 of the pixels) of images, by image id."""
        return {
            id: pixels
            for id, pixels in self._read_column("pixels", image_ids)
            if pixels is not None
        }

    def save_pixel_hashes(self, pixel_hashes: Iterable[tuple[int, str]]) -> None:
        """Write pixel hashes: (image id, SHA-256 of the pixels)."""
        with self._db.atomic():
            self._db.conn.executemany(
                "update fingerprints set pixels = ? where image_id = ?",
                ((pixels, image_id) for image_id, pixels in pixel_hashes),
            )

    def read_inspections(self, kind: int, image_ids: Ids) -> dict[tuple[int, int], str]:
        """Return the results of detailed comparisons among images, by the ids of each pair.

        kind: version of the comparison.
        """
        rows = self._db.execute(
            "select first_id, second_id, result from inspections where kind = ?"
            " and first_id in (select value from json_each(?))",
            (kind, json.dumps(image_ids.tolist())),
        )
        return {(first, second): result for first, second, result in rows}

    def save_inspections(self, kind: int, results: Iterable[tuple[tuple[int, int], str]]) -> None:
        """Write results of detailed comparisons: (ids of the pair, the lower first, and JSON)."""
        with self._db.atomic():
            self._db.conn.executemany(
                "insert or replace into inspections (first_id, second_id, kind, result)"
                " select a.id, b.id, ?, ? from images a, images b where a.id = ? and b.id = ?",
                ((kind, result, *pair) for pair, result in results),
            )

    def _read_column(self, column: str, image_ids: Ids) -> Iterator[tuple[int, Any]]:
        yield from self._db.execute(
            f"select image_id, {column} from fingerprints"
            " where image_id in (select value from json_each(?))",
            (json.dumps(image_ids.tolist()),),
        )

    def read_sizes(self, image_ids: Ids) -> NDArray[np.int64]:
        """Return the widths and heights of images in pixels, [n, 2]; image_ids must ascend."""
        rows = self._db.execute(
            "select width, height from images where id in (select value from json_each(?))"
            " order by id",
            (json.dumps(image_ids.tolist()),),
        )
        return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2)

    def load_images(self, image_ids: Ids) -> Iterator[ImageWithFiles]:
        """Yield each image that has files, with all its files; reads the catalog in pages."""
        for start in range(0, len(image_ids), PAGE_ROWS):
            ids = json.dumps(image_ids[start : start + PAGE_ROWS].tolist())
            files: dict[int, list[CatalogedFile]] = {}
            for id, path, size, mtime_ns in self._db.execute(
                "select image_id, path, size, mtime_ns from files"
                " where image_id in (select value from json_each(?))"
                " order by image_id, length(path), path",
                (ids,),
            ):
                files.setdefault(id, []).append(CatalogedFile(decode_path(path), size, mtime_ns))
            for row in self._db.execute(
                "select id, sha256, format, width, height, taken_at, camera from images"
                " where id in (select value from json_each(?)) order by id",
                (ids,),
            ).fetchall():
                if row[0] in files:
                    yield ImageWithFiles(*(*row, tuple(files[row[0]])))


def _to_signed(hash: int | None) -> int | None:
    """Return a 64-bit hash as SQLite stores integers."""
    return None if hash is None else int(np.uint64(hash).view(np.int64))
