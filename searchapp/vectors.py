"""The FAISS index of a collection: a cache of its vectors, keyed by embedding id."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Vectors = NDArray[np.float32]


class VectorIndex:
    """Vectors of length one, searched by cosine, exactly."""

    def __init__(self, dimensions: int) -> None:
        """Make an empty index."""
        import faiss

        self.dimensions = dimensions
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))

    @classmethod
    def open(cls, file: Path | None, dimensions: int) -> VectorIndex:
        """Read an index file; a missing, broken or foreign one gives an empty index."""
        import faiss

        index = cls(dimensions)
        if file is not None:
            try:
                read = faiss.read_index(str(file))
            except RuntimeError:  # FAISS's word for any file that it cannot use
                return index
            if isinstance(read, faiss.IndexIDMap2) and read.d == dimensions:
                index._index = read
        return index

    @property
    def ids(self) -> Ids:
        """Return the ids held, in no order, as a copy."""
        import faiss

        held: Ids = faiss.vector_to_array(self._index.id_map)
        return held

    @property
    def extent(self) -> tuple[int, int]:
        """Return how many vectors there are, and the highest id (0: none).

        Ids only grow and are never used twice, so an index is in step with the catalogue exactly
        when their extents are equal.
        """
        return len(self), int(self.ids.max(initial=0))

    def __len__(self) -> int:
        """Count the vectors."""
        return int(self._index.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, [n, dimensions], under ids, [n], that the index does not hold yet."""
        if len(ids):
            self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: Ids) -> None:
        """Remove vectors; ids that are not there do no harm."""
        if len(ids):
            self._index.remove_ids(ids)

    def search(
        self, vector: Vectors, count: int, among: Ids | None = None
    ) -> list[tuple[int, float]]:
        """Return the count nearest of all vectors, or of those among some ids: (id, cosine)."""
        import faiss

        parameters = None
        if among is not None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(among))  # type: ignore[call-arg]
        count = min(count, len(self))
        if count == 0:
            return []
        scores, ids = self._index.search(vector.reshape(1, -1), count, params=parameters)
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(id, min(1.0, score)) for id, score in found if id != -1]  # -1 pads the answer

    def save(self, folder: Path, name: str) -> Path:
        """Write the index to a new file NAME-TOKEN.faiss, durably, and return its path."""
        import faiss

        file = folder / f"{name}-{secrets.token_hex(4)}.faiss"
        temporary = file.with_suffix(".tmp")
        try:
            faiss.write_index(self._index, str(temporary))
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.rename(file)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(folder)
        return file


def fsync_folder(folder: Path) -> None:
    """Make renames in a folder durable, on systems where folders can be opened."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def pack(vector: Vectors) -> bytes:
    """Return a vector as the catalogue stores it: little-endian float16."""
    return vector.astype("<f2").tobytes()


def unpack(blobs: Iterable[bytes], dimensions: int) -> Vectors:
    """Return stored vectors as float32, [n, dimensions], of length one again."""
    joined = np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32)
    vectors = joined.reshape(-1, dimensions)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Vectors = vectors / lengths
    return normalised
