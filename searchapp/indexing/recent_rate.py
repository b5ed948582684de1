"""Measure how fast a count grows now, for the rate and the remaining time of long work."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 20.0  # Older samples do not count, so that a pause is forgotten soon.
MIN_SAMPLES = 8  # They count in any case: a batch of a large model on a CPU can take a minute.
MIN_SPAN_S = 2.0  # Several engines answer together; the rate between two answers says nothing.


class RecentRate:
    """Rate of a count over the last WINDOW_S seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without samples. clock: returns the time in seconds."""
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()  # time and count

    def restart(self) -> None:
        """Forget all samples, before a pause that says nothing about the rate."""
        self._samples.clear()

    def add_sample(self, count: int) -> None:
        """Record the present count; a smaller count than before begins other work."""
        now = self._clock()
        if self._samples and count < self._samples[-1][1]:
            self.restart()
        self._samples.append((now, count))
        while len(self._samples) > MIN_SAMPLES and self._samples[1][0] < now - WINDOW_S:
            self._samples.popleft()

    @property
    def per_second(self) -> float | None:
        """Return the rate; None while the samples span less than MIN_SPAN_S."""
        if not self._samples:
            return None
        (first_at, first_count), (last_at, last_count) = self._samples[0], self._samples[-1]
        if last_at - first_at < MIN_SPAN_S:
            return None
        return (last_count - first_count) / (last_at - first_at)
