"""Choose the kind of FAISS index for a number of vectors, and create an empty index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from searchapp.errors import LibraryError

EXACT = "exact"
AUTO = "auto"
DIMENSIONS_PER_CODE = 4


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """Thresholds: when an index changes its kind, is trained again, and is saved."""

    max_exact_vectors: int = 200_000  # above this, auto chooses a trained index
    retrain_growth: float = 2.0  # times the vectors of the last training
    # A run saves when both are reached: vectors, and their share of the saved vectors.
    min_unsaved_vectors: int = 20_000
    min_unsaved_share: float = 0.125
    sample_vectors_per_list: int = 40  # to train with
    max_sample_vectors: int = 250_000


def validate_kind(requested: str, dimensions: int) -> None:
    """Raise LibraryError if FAISS cannot build the kind of index that the user requested."""
    if requested in (EXACT, AUTO):
        return
    try:
        make_index(requested, dimensions)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()[-1].rpartition("Error: ")[2].rpartition(".cpp")[2]
        raise LibraryError(
            f"FAISS cannot build an index {requested!r} for {dimensions} dimensions "
            f"({reason.partition(': ')[2] or reason}). Use --index exact, --index auto, or a "
            "factory string such as --index IVF4096,SQ8."
        ) from error


def choose_kind(requested: str, kind: str, count: int, dimensions: int, policy: IndexPolicy) -> str:
    """Return the kind of index that suits a collection of count vectors.

    requested: exact, auto or a factory string. kind: the present kind. Auto changes a trained index
    back to exact only below half of max_exact_vectors. So small changes rarely rebuild the index.
    """
    if requested != AUTO:
        return requested
    bound = policy.max_exact_vectors if kind == EXACT else policy.max_exact_vectors / 2
    return EXACT if count <= bound else choose_trained_kind(count, dimensions)


def choose_trained_kind(count: int, dimensions: int) -> str:
    """Return the kind of trained index for count vectors, as a FAISS factory string.

    Each kind stores one bit per dimension. PQ stores 4 bits for each DIMENSIONS_PER_CODE, and FAISS
    compares a query with 32 such codes at once. https://arxiv.org/abs/1812.09162

    RR first rotates the vectors at random. The error bound of RaBitQ requires it
    (https://arxiv.org/abs/2405.12497), and it spreads the variance over the codes of PQ. Measured
    with 100,000 real vectors: recall .991 instead of .950.
    """
    if dimensions % DIMENSIONS_PER_CODE:
        return f"RR,IVF{_round_lists(4 * math.sqrt(count))}_HNSW32,RaBitQ"
    lists = _round_lists(2 * math.sqrt(count))
    return f"RR,IVF{lists}_HNSW32,PQ{dimensions // DIMENSIONS_PER_CODE}x4fs"


def _round_lists(count: float) -> int:
    return int(2 ** max(3, round(math.log2(count))))


def make_index(kind: str, dimensions: int) -> Any:
    """Create an empty FAISS index that stores an id with each vector.

    Raises RuntimeError if FAISS cannot build this kind.
    """
    import faiss

    if kind == EXACT:
        return faiss.IndexIDMap(faiss.IndexFlatIP(dimensions))
    if kind.startswith("RR,"):
        kind = f"RR{dimensions},{kind[3:]}"
    # For vectors with norm 1, L2 distance and cosine give the same order.
    index = faiss.index_factory(dimensions, kind, faiss.METRIC_L2)
    ivf = find_ivf(index)
    if ivf is None:
        has_id_map = isinstance(index, faiss.IndexIDMap | faiss.IndexIDMap2)
        return index if has_id_map else faiss.IndexIDMap(index)
    if isinstance(ivf, faiss.IndexIVFRaBitQ):
        ivf.qb = 8
    if isinstance(ivf, faiss.IndexIVFPQFastScan):
        ivf.pq.cp.min_points_per_centroid = 1  # Otherwise FAISS prints a warning.
    quantizer = faiss.downcast_index(ivf.quantizer)
    if isinstance(quantizer, faiss.IndexHNSW):
        quantizer.hnsw.efConstruction = 80
        quantizer.hnsw.efSearch = 64
    return index


def find_ivf(index: Any) -> Any:
    """Return the part of a FAISS index that has inverted lists (IVF); None if it has no lists."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index if isinstance(index, faiss.IndexIVF) else None


def list_transforms(index: Any) -> list[Any]:
    """Return the transforms that a FAISS index applies to vectors before its lists, in order."""
    import faiss

    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(n)) for n in range(chain.size())]
