"""Merge several iterators into one, and run them in parallel threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TypeVar

POLL_INTERVAL_S = 0.2  # how often blocked threads check whether the work has ended

Item = TypeVar("Item")


def merge_iterators(
    iterators: Iterable[Callable[[], Iterator[Item]]], threads: int
) -> Iterator[Item]:
    """Yield the items of all iterators in no particular order, with the given number of threads.

    At most 2 items per thread wait in memory. An exception of an iterator is raised here.
    """
    items: Queue[Item] = Queue(maxsize=2 * threads)
    stopped = threading.Event()

    def fill_queue(start: Callable[[], Iterator[Item]]) -> None:
        for item in start():
            while not stopped.is_set():
                try:
                    items.put(item, timeout=POLL_INTERVAL_S)
                    break
                except Full:
                    continue
            if stopped.is_set():
                return

    with ThreadPoolExecutor(threads, "listing") as pool:
        runs = [pool.submit(fill_queue, start) for start in iterators]
        try:
            while not (all(each.done() for each in runs) and items.empty()):
                try:
                    yield items.get(timeout=POLL_INTERVAL_S)
                except Empty:
                    continue
            for each in runs:
                each.result()
        finally:
            stopped.set()
            for each in runs:
                each.cancel()
