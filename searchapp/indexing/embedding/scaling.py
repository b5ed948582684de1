"""Find the number of engines with the highest rate, by measuring while they embed.

More engines keep the GPU busier, until the cores or the GPU are full. Then each further engine only
adds switching. No formula knows this number: it depends on the model, the pictures and the machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

logger = logging.getLogger(__name__)

# Batches of each engine in one measurement. The first ones after a change are not counted: some
# batches of stopped engines are still in progress.
SETTLING_BATCHES, MEASURED_BATCHES = 4, 12
MIN_GAIN = 0.03  # of the rate, that more engines must bring
STEP_SHARE = 0.25  # engines to add or to pause at once, as a share of the running ones
CHANGED_RATE = 0.25  # A lasting change of the rate: other pictures, other programs. Search again.
# A trial that starts engines takes half a minute, and must pay in the time that remains.
MIN_REMAINING_S = 150.0


class _Phase(Enum):
    BASE = "measure the present number"
    UP = "try more engines"
    DOWN = "try fewer engines"
    SETTLED = "keep the best number"


@dataclass(slots=True)
class _Measured:
    """A number of engines with its rate."""

    count: int
    rate: float  # pictures per second


class EngineScaler:
    """Climbs to the number of engines with the highest rate, and stays there.

    The caller reports its progress to `observe`, and runs `count` engines.
    """

    def __init__(
        self,
        start: int,
        limit: int,
        total: int,
        is_gpu_busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with `start` of at most `limit` engines, for `total` pictures.

        is_gpu_busy: asked before more engines are tried, because a busy GPU gains nothing.
        """
        self.count, self.limit = start, limit
        self._total, self._is_gpu_busy, self._clock = total, is_gpu_busy, clock
        self._phase = _Phase.BASE
        self._best = _Measured(start, 0.0)
        self._has_climbed = False
        self._deviations = 0  # measurements in a row that differ from the best one
        self._settled_at: int | None = None  # pictures done when the measurement settles
        self._begun: tuple[float, int] | None = None  # time and pictures done

    def lower_limit(self, limit: int) -> None:
        """Use at most `limit` engines from now on, because more do not start."""
        self.limit = max(1, min(self.limit, limit))
        if self.count > self.limit:
            self._run(min(self.limit, self._best.count))
            self._phase = _Phase.SETTLED

    def observe(self, done: int, ready: int, batch_size: int) -> int:
        """Report the progress of all engines; return how many should run.

        done: pictures embedded until now. ready: engines that embed. batch_size: pictures.
        """
        if ready < self.count:  # Engines start, which takes cores from the others.
            self._forget_measurement()
        elif self._settled_at is None:
            self._settled_at = done + SETTLING_BATCHES * batch_size * self.count
        elif self._begun is None:
            if done >= self._settled_at:
                self._begun = self._clock(), done
        elif done - self._begun[1] >= MEASURED_BATCHES * batch_size * self.count:
            seconds = self._clock() - self._begun[0]
            rate = (done - self._begun[1]) / max(seconds, 1e-9)
            self._forget_measurement()
            self._decide(rate, is_worthwhile=self._total - done > MIN_REMAINING_S * rate)
        return self.count

    def _forget_measurement(self) -> None:
        self._settled_at = self._begun = None

    def _decide(self, rate: float, *, is_worthwhile: bool) -> None:
        """Choose the next number of engines from the rate of the present one."""
        logger.debug("%d engines embed %.1f pictures/s", self.count, rate)
        match self._phase:
            case _Phase.BASE:
                self._best = _Measured(self.count, rate)
                if is_worthwhile:
                    self._try_more()
            case _Phase.UP if rate >= self._best.rate * (1 + MIN_GAIN):
                self._best, self._has_climbed = _Measured(self.count, rate), True
                if is_worthwhile:
                    self._try_more()
            case _Phase.UP:
                self._run(self._best.count)
                if self._has_climbed or not is_worthwhile:
                    self._settle()
                else:
                    self._try_fewer()
            case _Phase.DOWN if rate >= self._best.rate:
                self._best = _Measured(self.count, rate)
                self._try_fewer()
            case _Phase.DOWN:
                self._settle()
            case _Phase.SETTLED:
                self._check_rate(rate)

    def _check_rate(self, rate: float) -> None:
        """Search again if the rate has changed for long."""
        if abs(rate - self._best.rate) <= CHANGED_RATE * self._best.rate:
            self._deviations = 0
            return
        self._deviations += 1
        if self._deviations >= 2:
            self._phase, self._deviations, self._has_climbed = _Phase.BASE, 0, False

    def _try_more(self) -> None:
        if self.count < self.limit and not self._is_gpu_busy():
            self._phase = _Phase.UP
            self._run(min(self.limit, self.count + self._step))
        elif self._has_climbed:
            self._settle()
        else:
            self._try_fewer()

    def _try_fewer(self) -> None:
        if self.count > 1:
            self._phase = _Phase.DOWN
            self._run(max(1, self.count - self._step))
        else:
            self._settle()

    def _settle(self) -> None:
        self._phase = _Phase.SETTLED
        self._run(self._best.count)
        logger.info(
            "%d engines are the fastest: %.1f pictures/s", self._best.count, self._best.rate
        )

    def _run(self, count: int) -> None:
        self.count = count
        self._forget_measurement()

    @property
    def _step(self) -> int:
        return max(1, round(STEP_SHARE * self.count))
