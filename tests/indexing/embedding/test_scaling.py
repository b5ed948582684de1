"""The number of engines follows the measured rate: simulated machines, without waiting."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from searchapp.indexing.embedding.scaling import EngineScaler

BATCH_SIZE = 128
START_S = 20.0  # until an additional engine is ready
START_COST = 0.9  # rate of the others meanwhile
# Pictures per second by engines, as measured on one H200 with 16 cores.
CLIP_SMALL = {1: 254, 5: 1795, 8: 2094, 10: 1990, 14: 1984}
CLIP_CAMERA = {1: 60, 6: 285, 8: 344, 14: 346}
SO400M = {1: 210, 6: 510, 10: 485, 14: 470}
CPU_BOUND = {1: 100, 14: 1400}


class Machine:
    """Embeds pictures at the rate of its number of engines; its clock runs with the pictures."""

    def __init__(self, rates: Mapping[int, float], noise: float = 0.0, seed: int = 0) -> None:
        self.rates, self.noise, self.random = rates, noise, random.Random(seed)
        self.now, self.done = 0.0, 0

    def find_rate(self, count: int) -> float:
        below = max(n for n in self.rates if n <= count)
        above = min((n for n in self.rates if n >= count), default=below)
        share = (count - below) / (above - below) if above > below else 0.0
        return self.rates[below] + share * (self.rates[above] - self.rates[below])

    def embed_batch(self, count: int, factor: float = 1.0) -> None:
        rate = factor * self.find_rate(count) * self.random.gauss(1, self.noise)
        self.now += BATCH_SIZE / max(rate, 1.0)
        self.done += BATCH_SIZE


def run(
    machine: Machine,
    total: int,
    start: int = 8,
    limit: int = 14,
    is_gpu_busy: Callable[[], bool] = lambda: False,
    change: tuple[int, Mapping[int, float]] | None = None,
) -> tuple[float, list[int]]:
    """Embed `total` pictures; return the mean rate, and the numbers of engines one after another.

    change: from this number of pictures on, these rates.
    """
    scaler = EngineScaler(start, limit, total, is_gpu_busy, lambda: machine.now)
    counts, started, ready_at = [start], start, 0.0
    while machine.done < total:
        if change is not None and machine.done >= change[0]:
            machine.rates = change[1]
        if scaler.count > started:
            started, ready_at = scaler.count, machine.now + START_S
        is_starting = machine.now < ready_at
        ready = min(scaler.count, counts[-2]) if is_starting else scaler.count
        machine.embed_batch(ready, START_COST if is_starting else 1.0)
        count = scaler.observe(machine.done, ready, BATCH_SIZE)
        if count != counts[-1]:
            counts.append(count)
    return machine.done / machine.now, counts


@pytest.mark.parametrize("rates", [CLIP_SMALL, CLIP_CAMERA, SO400M, CPU_BOUND])
@pytest.mark.parametrize("start", [6, 8])
def test_a_long_run_is_at_most_3_percent_below_the_best_number(
    rates: Mapping[int, float], start: int
) -> None:
    best = max(Machine(rates).find_rate(count) for count in range(1, 15))
    for seed in range(5):
        mean, _ = run(Machine(rates, noise=0.05, seed=seed), int(3600 * best), start)
        assert mean >= 0.97 * best


@pytest.mark.parametrize("rates", [CLIP_SMALL, CLIP_CAMERA, SO400M, CPU_BOUND])
def test_the_best_number_is_found_from_afar(rates: Mapping[int, float]) -> None:
    machine = Machine(rates)
    best = max(machine.find_rate(count) for count in range(1, 15))
    _, counts = run(machine, int(1800 * best), start=2)
    assert machine.find_rate(counts[-1]) >= 0.97 * best


def test_a_short_run_keeps_the_number_it_starts_with() -> None:
    """To start engines would take longer than it saves."""
    _, counts = run(Machine(CPU_BOUND), 60_000)
    assert counts == [8]


def test_a_busy_gpu_gets_no_more_engines() -> None:
    _, counts = run(Machine(CPU_BOUND), 3_000_000, is_gpu_busy=lambda: True)
    assert max(counts) == 8


def test_fewer_engines_are_kept_if_they_are_as_fast() -> None:
    _, counts = run(Machine({1: 500, 14: 100}), 1_000_000, start=3)
    assert counts[-1] == 1


def test_a_lasting_change_of_the_rate_starts_another_search() -> None:
    """A folder of camera photos after one of small pictures."""
    total = 4_000_000
    machine = Machine({1: 100, 8: 800, 14: 700})
    _, counts = run(machine, total, change=(total // 2, CPU_BOUND | {8: 400}))
    assert counts[-1] == 14


def test_engines_that_do_not_start_are_the_limit() -> None:
    scaler = EngineScaler(8, 14, 10**9)
    scaler.count = 10
    scaler.lower_limit(8)
    assert (scaler.count, scaler.limit) == (8, 8)
    scaler.lower_limit(0)
    assert scaler.count == 1
