"""Kinds of index: exact, or what a FAISS factory string names; which suits how many vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from searchapp.errors import LibraryError

EXACT = "exact"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Policy:
    """When an index is changed for another, trained anew, and saved."""

    exact_up_to: int = 200_000  # vectors; beyond, auto takes a trained index
    retrain_at: float = 2.0  # times the vectors that it was trained for
    save_every: int = 20_000  # unsaved vectors during a run, and at least save_share of the saved
    save_share: float = 0.125
    sample_per_list: int = 40  # vectors to train with
    largest_sample: int = 250_000


def check(wanted: str, dimensions: int) -> None:
    """Raise LibraryError where a user asks for an index that FAISS cannot make."""
    if wanted in (EXACT, AUTO):
        return
    try:
        make(wanted, dimensions)
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()[-1].rpartition("Error: ")[2].rpartition(".cpp")[2]
        raise LibraryError(
            f"FAISS makes no index of {wanted!r} for {dimensions} dimensions "
            f"({reason.partition(': ')[2] or reason}); --index takes exact, auto, or a factory "
            "string like IVF4096,SQ8"
        ) from error


def fitting(wanted: str, kind: str, count: int, policy: Policy) -> str:
    """Return the kind that a collection should have.

    wanted: exact, auto or a factory string; kind: what it has now. Going back to exact waits until
    half the vectors are gone, so that it does not swing.
    """
    if wanted != AUTO:
        return wanted
    bound = policy.exact_up_to if kind == EXACT else policy.exact_up_to / 2
    return EXACT if count <= bound else trained(count)


def trained(count: int) -> str:
    """Return the trained kind for so many vectors: one bit a dimension, in about 4 sqrt(n) lists.

    The vectors are turned at random first, which RaBitQ's bound on the error rests on.
    """
    lists = 2 ** max(3, round(math.log2(4 * math.sqrt(count))))
    return f"RR,IVF{lists}_HNSW32,RaBitQ"


def make(kind: str, dimensions: int) -> Any:
    """Make an empty FAISS index that takes ids of our own; raise RuntimeError where it cannot."""
    import faiss

    if kind == EXACT:
        return faiss.IndexIDMap(faiss.IndexFlatIP(dimensions))
    if kind.startswith("RR,"):
        kind = f"RR{dimensions},{kind[3:]}"
    # Of vectors of length one, those nearest by L2 are those nearest by cosine.
    index = faiss.index_factory(dimensions, kind, faiss.METRIC_L2)
    ivf = lists_of(index)
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


def lists_of(index: Any) -> Any:
    """Return the part of an index that keeps inverted lists; None where it has none on top."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index if isinstance(index, faiss.IndexIVF) else None


def transforms_of(index: Any) -> list[Any]:
    """Return what an index does to vectors before all else."""
    import faiss

    if not isinstance(index, faiss.IndexPreTransform):
        return []
    chain: Any = index.chain
    return [faiss.downcast_VectorTransform(chain.at(n)) for n in range(chain.size())]
