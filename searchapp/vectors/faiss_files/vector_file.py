"""Keep a collection's stored vectors in a file beside its index, to compute exact cosines fast.

The file is a cache of the catalog. A header of HEADER_BYTES has MAGIC_BYTES, the number of
dimensions and the first id. Then each id has a row at its own place: the id (32 bits), and the
vector as the catalog stores it. The rows of ids that the collection lacks are holes in the file.

Ids are never used again, and vectors never change. So a new file can share the rows of the old one:
it is a hard link to the old file, and only the rows of new ids are written.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import struct
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from searchapp.catalog import CollectionEmbeddings
from searchapp.files.atomic import write_atomically
from searchapp.types import EmbeddingExtent, SavedIndex
from searchapp.vectors.packing import MAX_NORM_ERROR, Ids, Vectors, unpack_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

INDEX_SUFFIX, SUFFIX = ".faiss", ".vectors"
MAGIC_BYTES = b"SA-VEC01"
HEADER = struct.Struct("<8sIq")
HEADER_BYTES = 64
ROWS_CHECKED_ON_OPEN = 64
# Rounding of float16 makes the norms of vectors differ by less than this. So the best products of
# a query with vectors that are not normalized include the best cosines.
MAX_ROUNDING = 1e-3

Pages = Iterable[tuple[list[int], list[bytes]]]


def get_vector_file(index_file: Path) -> Path:
    """Return the path of the vector file that belongs to an index file."""
    return index_file.with_suffix(SUFFIX)


def list_unused_files(folder: Path, used_indexes: Container[str | None]) -> list[Path]:
    """Return the index files in a library's folder that are not used, and their vector files."""
    return [
        file
        for file in folder.glob("collection-*")
        if file.suffix in (INDEX_SUFFIX, SUFFIX)
        and file.with_suffix(INDEX_SUFFIX).name not in used_indexes
    ]


class VectorFile:
    """The mapped rows of a vector file; safe to use from any thread."""

    def __init__(self, rows: NDArray[Any], first_id: int, last_id: int, dimensions: int) -> None:
        """Store mapped rows; `open` calls this method."""
        self._rows, self._first_id, self._last_id = rows, first_id, last_id
        self._dimensions = dimensions

    @classmethod
    def open(cls, file: Path, dimensions: int, last_id: int) -> VectorFile | None:
        """Map a vector file; return None if it is missing, too short, or damaged.

        last_id: of the embeddings in the index. Rows behind it are ignored, because they can belong
        to a catalog that a backup has replaced.
        """
        try:
            with file.open("rb") as opened:
                header = opened.read(HEADER_BYTES)
                size = opened.seek(0, os.SEEK_END)
            if len(header) < HEADER_BYTES:
                return None
            magic_bytes, stored_dimensions, first_id = HEADER.unpack(header[: HEADER.size])
            row_type = _make_row_type(dimensions)
            count = last_id - first_id + 1
            if (magic_bytes, stored_dimensions) != (MAGIC_BYTES, dimensions) or count < 1:
                return None
            if size < HEADER_BYTES + count * row_type.itemsize:
                return None
            rows = np.memmap(file, row_type, "r", HEADER_BYTES, (count,))
        except (OSError, ValueError):
            return None
        opened_file = cls(rows, first_id, last_id, dimensions)
        if opened_file._has_damage():
            logger.info("Ignored the vector file %s: it is damaged", file.name)
            return None
        return opened_file

    def select_nearest(
        self, query: Vectors, ids: Ids, count: int
    ) -> tuple[tuple[Ids, Vectors], Ids]:
        """Return the ids nearest to a query, with exact cosines; and the ids without a row.

        query has the shape [1, dimensions]. At least the count nearest ids are returned.
        """
        import faiss

        inside = (ids >= self._first_id) & (ids <= self._last_id)
        rows = self._rows[ids[inside] - self._first_id]
        is_known = rows["id"] == (ids[inside] & 0xFFFFFFFF)
        known_ids, vectors = ids[inside][is_known], rows["vector"][is_known]
        missing_ids = np.concatenate([ids[~inside], ids[inside][~is_known]])
        if 2 * count + 30 < len(known_ids):
            # FAISS computes with float16 faster than numpy converts it.
            index = faiss.IndexScalarQuantizer(
                self._dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            index.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))
            products, order = index.search(query, 2 * count + 30)
            bound = products[0][count - 1] - MAX_ROUNDING
            if products[0][-1] < bound:
                chosen = order[0][products[0] >= bound]
                known_ids, vectors = known_ids[chosen], vectors[chosen]
        if not len(known_ids):
            return (known_ids, np.empty(0, np.float32)), missing_ids
        cosines = unpack_vectors([np.ascontiguousarray(vectors).tobytes()], self._dimensions)
        return (known_ids, cosines @ query[0]), missing_ids

    def _has_damage(self) -> bool:
        """Return whether some rows, evenly spread, are neither holes nor vectors of norm 1."""
        step = max(1, len(self._rows) // ROWS_CHECKED_ON_OPEN)
        rows = self._rows[::step][:ROWS_CHECKED_ON_OPEN]
        numbers = (self._first_id + step * np.arange(len(rows))) & 0xFFFFFFFF
        norms = np.linalg.norm(rows["vector"].astype(np.float32), axis=1)
        is_hole = (rows["id"] == 0) & (norms == 0)
        is_valid = (rows["id"] == numbers) & (np.abs(norms - 1) <= MAX_NORM_ERROR)
        return not bool((is_hole | is_valid).all())


def save_vector_file(
    index_file: Path,
    old: SavedIndex,
    now: EmbeddingExtent,
    embedded: CollectionEmbeddings,
    dimensions: int,
) -> None:
    """Write the vector file of a new index file, durably; share the rows of the old vector file.

    old: the record of the old index. now: the extent of the embeddings in the new index. Raises
    OSError.
    """
    file = get_vector_file(index_file)
    old_file = get_vector_file(index_file.with_name(old.file)) if old.file else None
    is_shared = (
        old_file is not None
        and old.deletions == now.deletions
        and VectorFile.open(old_file, dimensions, old.last_id) is not None
    )
    if old_file is not None and is_shared:
        pages = embedded.read_vectors_after(old.last_id, now.last_id)
        extend_vector_file(file, old_file, dimensions, now.last_id, pages)
        return
    pages = embedded.read_vectors_after(0, now.last_id)
    first_page = next(pages, None)
    if first_page is not None:
        first_id = first_page[0][0]
        all_pages = itertools.chain([first_page], pages)
        write_vector_file(file, dimensions, first_id, now.last_id, all_pages)


def restore_vector_file(
    index_file: Path, saved: SavedIndex, embedded: CollectionEmbeddings, dimensions: int
) -> None:
    """Write the vector file of a saved index if it is missing, too short, or damaged.

    An index that an older version saved has none. Raises OSError.
    """
    if VectorFile.open(get_vector_file(index_file), dimensions, saved.last_id) is None:
        save_vector_file(index_file, SavedIndex(), saved.extent, embedded, dimensions)


def write_vector_file(
    file: Path, dimensions: int, first_id: int, last_id: int, pages: Pages
) -> None:
    """Write a new vector file durably. pages: all ids of the collection, with their vectors.

    Raises OSError.
    """
    with write_atomically(file) as temporary, temporary.open("wb") as opened:
        opened.write(HEADER.pack(MAGIC_BYTES, dimensions, first_id).ljust(HEADER_BYTES, b"\0"))
        _write_rows(opened, dimensions, first_id, last_id, pages)


def extend_vector_file(
    file: Path, old_file: Path, dimensions: int, last_id: int, new_pages: Pages
) -> None:
    """Write a vector file durably that has the rows of an old one, and new rows.

    new_pages: the ids that were embedded since the old file was written, with their vectors.
    Raises OSError.
    """
    with write_atomically(file) as temporary:
        try:
            os.link(old_file, temporary)
        except OSError:  # This file system has no hard links.
            shutil.copyfile(old_file, temporary)
        with temporary.open("r+b") as opened:
            _, _, first_id = HEADER.unpack(opened.read(HEADER.size))
            _write_rows(opened, dimensions, first_id, last_id, new_pages)


def _write_rows(
    opened: BinaryIO, dimensions: int, first_id: int, last_id: int, pages: Pages
) -> None:
    row_type = _make_row_type(dimensions)
    for numbers, blobs in pages:
        ids = np.array(numbers, np.int64)
        rows = np.empty(len(ids), row_type)
        rows["id"] = ids & 0xFFFFFFFF
        rows["vector"] = np.frombuffer(b"".join(blobs), "<f2").reshape(-1, dimensions)
        for start, part in _split_runs(ids, rows):
            opened.seek(HEADER_BYTES + (start - first_id) * row_type.itemsize)
            opened.write(part.tobytes())
    end = HEADER_BYTES + (last_id - first_id + 1) * row_type.itemsize
    if opened.seek(0, os.SEEK_END) < end:  # The last ids were deleted.
        opened.truncate(end)


def _split_runs(ids: Ids, rows: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the rows of successive ids, as (first id, rows)."""
    if len(ids):
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part_ids, part in zip(np.split(ids, breaks), np.split(rows, breaks), strict=True):
            yield int(part_ids[0]), part


def _make_row_type(dimensions: int) -> np.dtype[Any]:
    return np.dtype([("id", "<u4"), ("vector", "<f2", (dimensions,))])
