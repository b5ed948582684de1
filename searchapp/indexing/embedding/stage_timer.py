"""Measure the seconds that each stage of embedding takes, over all threads."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class StageTimer:
    """Sums the time of each stage over all threads.

    The reader threads read, decode and prepare; the embedding thread starts the engine, embeds,
    and waits for the reader threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of a `with` block to a stage; any thread may call this method."""
        started_at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.seconds_by_stage[stage] += time.monotonic() - started_at

    def take_seconds(self) -> Mapping[str, float]:
        """Return the seconds that each stage took since the last call."""
        with self._lock:
            taken, self.seconds_by_stage = self.seconds_by_stage, defaultdict(float)
        return taken
