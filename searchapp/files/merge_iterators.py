"""Merge several iterators into one; run the iterators in parallel threads."""

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
    """Run iterators in the given number of threads; yield their items in no particular order.

    At most 2 items per thread wait in memory. Exceptions of the iterators are raised to the
    caller.
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
