"""Keep a collection's stored vectors in a file beside its index, to compute exact cosines fast.

The file is a cache of the catalog. A header of HEADER_BYTES has MAGIC_BYTES, the number of
dimensions (32 bits) and the first id (64 bits). Then each id has a row at its own place. A row
begins with a head of HEAD_BYTES: the norm of the vector (float32), a checksum of id, norm and
vector (32 bits), and zeros. The vector follows as the catalog stores it, padded with zeros to a
multiple of 32 bytes. The rows of ids that the collection lacks are holes. All numbers are
little-endian.

Every row that is read is compared with its checksum. So damage costs time, but never gives a wrong
cosine: the vectors of damaged rows are read from the catalog.

Ids are never used again, and vectors never change. So a new file can share the rows of the old one:
it is a hard link to the old file, and only the rows of new ids are written.
"""

from __future__ import annotations

import os
import shutil
import struct
import threading
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from searchapp.files.atomic import write_atomically
from searchapp.vectors.faiss_files.threads import limit_threads
from searchapp.vectors.packing import Ids, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

INDEX_SUFFIX, SUFFIX = ".faiss", ".vectors"
MAGIC_BYTES = b"SA-VEC01"
HEADER = struct.Struct("<8sIq")
HEADER_BYTES = 64
SUM_FACTOR, ID_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd
LOW_HALF = np.uint64(0xFFFFFFFF)  # of a word of 64 bits
# FAISS has faster code for vectors of a multiple of 32 bytes.
HEAD_BYTES = 32
HEAD_WORDS = HEAD_BYTES // 8
ROWS_PER_STEP = 512  # Their vectors stay in the processor's cache.
SAMPLE_ROWS = 64  # compared with their checksums before a new file shares them

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
        self._rows, self._first_id, self._dimensions = rows, first_id, dimensions
        self._scratch = threading.local()

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
        cosines = self._compute_cosines(query, ids) if len(ids) else np.empty(0, np.float32)
        is_known = ~np.isnan(cosines)
        missing_ids = ids[~is_known]
        ids, cosines = ids[is_known], cosines[is_known]
        if len(ids) > 2 * count:  # Sorting all would take as long as computing them.
            is_near = cosines >= np.partition(cosines, -count)[-count]
            ids, cosines = ids[is_near], cosines[is_near]
        return (ids, cosines), missing_ids

    def _compute_cosines(self, query: Vectors, ids: Ids) -> Vectors:
        """Return the cosines of a query with the vectors of ids; NaN: the id has no valid row.

        FAISS multiplies float16 several times as fast as numpy converts it to float32. The rows are
        copied to where a FAISS index keeps its vectors. Their heads are parts of these vectors, and
        are multiplied by zero.
        """
        index, all_rows = self._get_scratch_index()
        padded_query = np.zeros((1, index.d), np.float32)
        padded_query[0, HEAD_BYTES // 2 :][: self._dimensions] = query[0]
        cosines = np.full(len(ids), np.nan, np.float32)
        positions = ids - self._first_id
        is_inside = (positions >= 0) & (positions < len(self._rows))
        for start in range(0, len(ids), ROWS_PER_STEP):
            part = slice(start, start + ROWS_PER_STEP)
            rows = all_rows[: len(ids[part])]
            # Without mode, numpy would copy the rows once more.
            np.take(self._rows, positions[part], axis=0, out=rows, mode="clip")
            heads = rows[:, 0].copy()
            is_valid = is_inside[part] & _are_valid(ids[part], rows)
            rows[:, :HEAD_WORDS] = 0
            index.ntotal = len(rows)
            with limit_threads(padded_query.size * len(rows)):
                products, order = index.search(padded_query, len(rows))
            is_used = order[0] >= 0  # FAISS leaves out vectors with NaN.
            is_used[is_used] = is_valid[order[0][is_used]]
            chosen = order[0][is_used]
            cosines[part][chosen] = products[0][is_used] / _get_norms(heads[chosen])
        return cosines

    def _get_scratch_index(self) -> tuple[Any, Words]:
        """Return this thread's FAISS index for ROWS_PER_STEP rows, and the memory of its rows."""
        if not hasattr(self._scratch, "index"):
            import faiss

            words = self._rows.shape[1]
            index = faiss.IndexScalarQuantizer(
                4 * words, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            size = 8 * words * ROWS_PER_STEP
            index.codes.resize(size)
            memory = faiss.rev_swig_ptr(index.codes.data(), size)
            self._scratch.index = index
            self._scratch.rows = memory.view("<u8").reshape(ROWS_PER_STEP, words)
        return self._scratch.index, self._scratch.rows

    def has_damage(self) -> bool:
        """Return whether some rows, evenly spread, are neither holes nor valid."""
        step = max(1, len(self._rows) // SAMPLE_ROWS)
        rows = self._rows[::step][:SAMPLE_ROWS]
        ids = self._first_id + step * np.arange(len(rows))
        is_valid = _are_valid(ids, rows)
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
    vector_bytes, row_bytes = 2 * dimensions, 8 * _count_words(dimensions)
    sound = [(n, blob) for n, blob in zip(numbers, blobs, strict=True) if len(blob) == vector_bytes]
    ids = np.array([number for number, _ in sound], np.int64)
    joined = np.frombuffer(b"".join(blob for _, blob in sound), "<f2").reshape(-1, dimensions)
    vectors = joined.astype(np.float32)
    rows = np.zeros((len(ids), row_bytes), np.uint8)
    rows[:, HEAD_BYTES : HEAD_BYTES + vector_bytes] = joined.view(np.uint8)
    rows[:, :4] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None].view(np.uint8)
    words = rows.view("<u8")
    words[:, 0] |= _compute_checksums(ids, words)
    return ids, words


def _split_runs(ids: Ids, rows: Words) -> Iterator[tuple[int, Words]]:
    """Yield the rows of successive ids, as (first id, rows)."""
    if len(ids):
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        for part_ids, part in zip(np.split(ids, breaks), np.split(rows, breaks), strict=True):
            yield int(part_ids[0]), part


def _compute_checksums(ids: Ids, rows: Words) -> Words:
    """Return the checksums of rows, in the upper half of a word.

    A CRC would take ten times as long as the cosines. Integers wrap around at 64 bits. The factors
    are odd, so a change of a single word changes the upper half of the product.
    """
    sums = rows[:, 1:].sum(axis=1) + (rows[:, 0] & LOW_HALF)
    checksums: Words = sums * SUM_FACTOR + ids.astype(np.uint64) * ID_FACTOR
    return checksums & ~LOW_HALF


def _are_valid(ids: Ids, rows: Words) -> NDArray[np.bool_]:
    """Return which rows have the right checksum and are not holes."""
    checksums = _compute_checksums(ids, rows)
    are_valid: NDArray[np.bool_] = (rows[:, 0] & ~LOW_HALF == checksums) & (rows[:, 0] != 0)
    return are_valid


def _get_norms(heads: Words) -> Vectors:
    norms: Vectors = (heads & LOW_HALF).astype(np.uint32).view(np.float32)
    return norms


def _count_words(dimensions: int) -> int:
    """Return the size of a row in words of 64 bits: the head, and the padded vector."""
    return HEAD_WORDS + 4 * -(-dimensions // 16)
