"""Kinds of index: exact, or what a FAISS factory string names; which suits how many vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from searchapp.errors import LibraryError

EXACT = "exact"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class IndexPolicy:
    """When an index is changed for another, trained anew, and saved."""

    max_exact_vectors: int = 200_000  # vectors; beyond, auto takes a trained index
    retrain_growth: float = 2.0  # times the vectors that it was trained for
    min_unsaved_vectors: int = (
        20_000  # unsaved vectors during a run, and at least save_share of the saved
    )
    min_unsaved_share: float = 0.125
    sample_vectors_per_list: int = 40  # vectors to train with
    max_sample_vectors: int = 250_000


def validate_kind(requested: str, dimensions: int) -> None:
    """Raise LibraryError where a user asks for an index that FAISS cannot make."""
    if requested in (EXACT, AUTO):
        return
    try:
        make_index(requested, dimensions)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()[-1].rpartition("Error: ")[2].rpartition(".cpp")[2]
        raise LibraryError(
            f"FAISS makes no index of {requested!r} for {dimensions} dimensions "
            f"({reason.partition(': ')[2] or reason}); --index takes exact, auto, or a factory "
            "string like IVF4096,SQ8"
        ) from error


def choose_kind(requested: str, kind: str, count: int, policy: IndexPolicy) -> str:
    """Return the kind that a collection should have.

    wanted: exact, auto or a factory string; kind: what it has now. Going back to exact waits until
    half the vectors are gone, so that it does not swing.
    """
    if requested != AUTO:
        return requested
    bound = policy.max_exact_vectors if kind == EXACT else policy.max_exact_vectors / 2
    return EXACT if count <= bound else choose_trained_kind(count)


def choose_trained_kind(count: int) -> str:
    """Return the trained kind for so many vectors: one bit a dimension, in about 4 sqrt(n) lists.

    The vectors are turned at random first, which RaBitQ's bound on the error rests on.
    """
    lists = 2 ** max(3, round(math.log2(4 * math.sqrt(count))))
    return f"RR,IVF{lists}_HNSW32,RaBitQ"


def make_index(kind: str, dimensions: int) -> Any:
    """Make an empty FAISS index that takes ids of our own; raise RuntimeError where it cannot."""
    import faiss

    if kind == EXACT:
        return faiss.IndexIDMap(faiss.IndexFlatIP(dimensions))
    if kind.startswith("RR,"):
        kind = f"RR{dimensions},{kind[3:]}"
    # Of vectors of length one, those nearest by L2 are those nearest by cosine.
    index = faiss.index_factory(dimensions, kind, faiss.METRIC_L2)
    ivf = find_ivf(index)
    if ivf is None:
        own_ids = isinstance(index, faiss.IndexIDMap | faiss.IndexIDMap2)
        return index if own_ids else faiss.IndexIDMap(index)
    if isinstance(ivf, faiss.IndexIVFRaBitQ):
        ivf.qb = 8
    quantizer = faiss.downcast_index(ivf.quantizer)
    if isinstance(quantizer, faiss.IndexHNSW):
        quantizer.hnsw.efConstruction = 80
        quantizer.hnsw.efSearch = 64
    return index


def find_ivf(index: Any) -> Any:
    """Return the part of an index that keeps inverted lists; None where it has none on top."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index if isinstance(index, faiss.IndexIVF) else None


def list_transforms(index: Any) -> list[Any]:
    """Return what an index does to vectors before all else."""
    import faiss

    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(n)) for n in range(chain.size())]
