"""What several iterators yield, as one: each is asked by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TypeVar

LOOK = 0.2  # seconds between two looks at whether all is over

Item = TypeVar("Item")


def merged(iterators: Iterable[Callable[[], Iterator[Item]]], threads: int) -> Iterator[Item]:
    """Yield what all iterators yield, in no order; so many of them are asked at once.

    No more than a few items wait to be taken. What one raises is raised here.
    """
    waiting: Queue[Item] = Queue(maxsize=2 * threads)
    over = threading.Event()

    def run(start: Callable[[], Iterator[Item]]) -> None:
        for item in start():
            while not over.is_set():
                try:
                    waiting.put(item, timeout=LOOK)
                    break
                except Full:
                    continue
            if over.is_set():
                return

    with ThreadPoolExecutor(threads, "listing") as pool:
        runs = [pool.submit(run, start) for start in iterators]
        try:
            while not (all(each.done() for each in runs) and waiting.empty()):
                try:
                    yield waiting.get(timeout=LOOK)
                except Empty:
                    continue
            for each in runs:
                each.result()
        finally:
            over.set()
            for each in runs:
                each.cancel()
