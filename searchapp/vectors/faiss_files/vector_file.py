"""Keep a collection's stored vectors in a file beside its index, to compute exact cosines fast.

The file is a cache of the catalog. A header of HEADER_BYTES has MAGIC_BYTES, the number of
dimensions (32 bits) and the first id (64 bits). Then each id has a row at its own place: a checksum
of the id and the vector (64 bits), and the vector as the catalog stores it, padded with zeros to a
multiple of 8 bytes. The rows of ids that the collection lacks are holes in the file. All numbers
are little-endian.

Every row that is read is compared with its checksum. So damage costs time, but never gives a wrong
cosine: the vectors of damaged rows are read from the catalog.

Ids are never used again, and vectors never change. So a new file can share the rows of the old one:
it is a hard link to the old file, and only the rows of new ids are written.
"""

from __future__ import annotations

import logging
import os
import shutil
import struct
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from searchapp.files.atomic import write_atomically
from searchapp.vectors.packing import MAX_NORM_ERROR, Ids, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Codes = NDArray[np.uint8]  # vectors as the catalog stores them, [n, bytes]

logger = logging.getLogger(__name__)

INDEX_SUFFIX, SUFFIX = ".faiss", ".vectors"
MAGIC_BYTES = b"SA-VEC01"
HEADER = struct.Struct("<8sIq")
HEADER_BYTES = 64
# An odd factor gives each id another checksum. A row of zeros has no valid checksum.
ID_FACTOR = np.uint64(0x9E3779B97F4A7C15)
SAMPLE_ROWS = 64  # compared with their checksums before a new file shares them
MIN_PRESELECTED_VECTORS = 200  # With fewer, it is faster to convert all to float32.
ROUNDING = 1e-5  # of a product of two vectors of norm 1 in float32, and more

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

    def __init__(self, rows: Words, first_id: int, dimensions: int) -> None:
        """Store mapped rows; `open` calls this method."""
        import faiss

        self._rows, self._first_id, self._dimensions = rows, first_id, dimensions
        # FAISS converts float16 about ten times as fast as numpy.
        self._codec = faiss.IndexScalarQuantizer(
            dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )

    @classmethod
    def open(cls, file: Path, dimensions: int, last_id: int) -> VectorFile | None:
        """Map a vector file; return None if it is missing, too short, or has another header.

        last_id: of the embeddings in the index. Rows behind it are ignored, because they can belong
        to a catalog that a backup has replaced. The size is checked, because reading a mapped file
        beyond its end would kill the process.
        """
        try:
            with file.open("rb") as opened:
                header = opened.read(HEADER_BYTES)
                size = opened.seek(0, os.SEEK_END)
            if len(header) < HEADER_BYTES:
                return None
            magic_bytes, stored_dimensions, first_id = HEADER.unpack(header[: HEADER.size])
            words, count = _count_words(dimensions), last_id - first_id + 1
            if (magic_bytes, stored_dimensions) != (MAGIC_BYTES, dimensions) or count < 1:
                return None
            if size < HEADER_BYTES + 8 * words * count:
                return None
            rows = np.memmap(file, "<u8", "r", HEADER_BYTES, (count, words)).view(np.ndarray)
        except (OSError, ValueError):
            return None
        return cls(rows, first_id, dimensions)

    def select_nearest(
        self, query: Vectors, ids: Ids, count: int
    ) -> tuple[tuple[Ids, Vectors], Ids]:
        """Return the ids nearest to a query, with exact cosines; and the ids without a valid row.

        query has the shape [1, dimensions]. At least the count nearest ids are returned.
        """
        ids, codes, missing_ids = self._read_rows(ids)
        if len(ids) >= max(MIN_PRESELECTED_VECTORS, 16 * count):
            chosen = _preselect(query, codes, count)
            ids, codes = ids[chosen], codes[chosen]
        vectors = self._codec.sa_decode(codes)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        return (ids, (vectors @ query[0]) / lengths), missing_ids

    def has_damage(self) -> bool:
        """Return whether some rows, evenly spread, are neither holes nor valid."""
        step = max(1, len(self._rows) // SAMPLE_ROWS)
        rows = self._rows[::step][:SAMPLE_ROWS]
        ids = self._first_id + step * np.arange(len(rows))
        is_valid = rows[:, 0] == _compute_checksums(ids, rows[:, 1:])
        return not bool((is_valid | ~rows.any(axis=1)).all())

    def count_damaged_rows(self, pages: Pages) -> int:
        """Return how many vectors of the catalog are not in this file as they are in the pages."""
        damaged_count = 0
        for numbers, blobs in pages:
            ids, rows = _make_rows(numbers, blobs, self._dimensions)
            positions = ids - self._first_id
            is_inside = (positions >= 0) & (positions < len(self._rows))
            found = self._rows[positions[is_inside]]
            damaged_count += int((found != rows[is_inside]).any(axis=1).sum())
            damaged_count += len(ids) - len(found)
        return damaged_count

    def _read_rows(self, ids: Ids) -> tuple[Ids, Codes, Ids]:
        """Return the ids that have a valid row, their stored vectors, and the other ids."""
        positions = ids - self._first_id
        is_inside = (positions >= 0) & (positions < len(self._rows))
        if not is_inside.all():
            outside, positions, ids = ids[~is_inside], positions[is_inside], ids[is_inside]
        else:
            outside = ids[:0]
        words = self._rows[:, 1:][positions]
        is_valid = self._rows[:, 0][positions] == _compute_checksums(ids, words)
        if not is_valid.all():
            outside = np.concatenate([outside, ids[~is_valid]])
            ids, words = ids[is_valid], words[is_valid]
        codes = words.view(np.uint8)[:, : 2 * self._dimensions]
        return ids, np.ascontiguousarray(codes), outside


def _preselect(query: Vectors, codes: Codes, count: int) -> NDArray[np.int64]:
    """Return the positions of the vectors that can be among the count nearest to a query.

    FAISS computes their products with the query. The norm of a stored vector differs from 1 by up
    to MAX_NORM_ERROR, so the products differ from the cosines.
    """
    import faiss

    index = faiss.IndexScalarQuantizer(
        query.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.add_sa_codes(codes)
    products, order = index.search(query, 10 * count)
    best = products[0][count - 1]
    bound = best - 2.1 * MAX_NORM_ERROR * abs(best) - ROUNDING
    if products[0][-1] < bound:
        chosen: NDArray[np.int64] = order[0][products[0] >= bound]
        return chosen
    return np.arange(len(codes))


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
    row_bytes = 8 * _count_words(dimensions)
    for numbers, blobs in pages:
        ids, rows = _make_rows(numbers, blobs, dimensions)
        for start, part in _split_runs(ids, rows):
            opened.seek(HEADER_BYTES + (start - first_id) * row_bytes)
            opened.write(part.tobytes())
    end = HEADER_BYTES + (last_id - first_id + 1) * row_bytes
    if opened.seek(0, os.SEEK_END) < end:  # The last ids were deleted.
        opened.truncate(end)


def _make_rows(numbers: list[int], blobs: list[bytes], dimensions: int) -> tuple[Ids, Words]:
    """Return ids and their rows, without the vectors whose length is wrong."""
    vector_bytes, words = 2 * dimensions, _count_words(dimensions)
    sound = [(n, blob) for n, blob in zip(numbers, blobs, strict=True) if len(blob) == vector_bytes]
    ids = np.array([number for number, _ in sound], np.int64)
    joined = b"".join(blob.ljust(8 * (words - 1), b"\0") for _, blob in sound)
    rows = np.empty((len(ids), words), "<u8")
    rows[:, 1:] = np.frombuffer(joined, "<u8").reshape(-1, words - 1)
    rows[:, 0] = _compute_checksums(ids, rows[:, 1:])
    return ids, rows


def _split_runs(ids: Ids, rows: Words) -> Iterator[tuple[int, Words]]:
    """Yield the rows of successive ids, as (first id, rows)."""
    if len(ids):
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part_ids, part in zip(np.split(ids, breaks), np.split(rows, breaks), strict=True):
            yield int(part_ids[0]), part


def _compute_checksums(ids: Ids, words: Words) -> Words:
    """Return the checksum of each row: the sum of its words and of a multiple of its id.

    A CRC would take ten times as long as the cosines. Integers wrap around at 64 bits.
    """
    checksums: Words = words.sum(axis=1) + (ids.astype(np.uint64) + np.uint64(1)) * ID_FACTOR
    return checksums


def _count_words(dimensions: int) -> int:
    """Return the size of a row in words of 64 bits: the checksum, and the padded vector."""
    return 1 + -(-dimensions // 4)
