"""Choose the number of threads of FAISS by the work: small searches take one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Several threads gain little in a small search. On a busy machine, they wait for each other: 20,000
# vectors of 256 dimensions took 14 ms with two threads, and 1.6 ms with one.
MIN_PARALLEL_PRODUCTS = 20_000_000


@contextmanager
def limit_threads(products: int) -> Iterator[None]:
    """Let FAISS use one thread for calls of this thread, if they multiply few pairs of numbers."""
    import faiss

    if products >= MIN_PARALLEL_PRODUCTS:
        yield
        return
    count = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(count)
