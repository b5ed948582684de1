"""The rate of a count, as work speeds up, slows down and starts anew."""

import pytest
from support.clock import Clock

from searchapp.indexing.recent_rate import RecentRate


def add_samples(rate: RecentRate, clock: Clock, steps: list[tuple[float, int]]) -> None:
    """Add counts. steps: the seconds before each count, and the count."""
    for seconds, count in steps:
        clock.now_s += seconds
        rate.add_sample(count)


def test_a_rate_needs_some_seconds() -> None:
    """Two engines may answer at the same moment."""
    rate = RecentRate(clock := Clock())
    assert rate.per_second is None
    add_samples(rate, clock, [(0, 16), (0.001, 32)])
    assert rate.per_second is None
    add_samples(rate, clock, [(3.999, 48)])
    assert rate.per_second == pytest.approx(8)


def test_a_rate_follows_the_last_seconds() -> None:
    """Known files are fast; then each picture is embedded."""
    rate = RecentRate(clock := Clock())
    add_samples(rate, clock, [(0.1, 1000 * number) for number in range(100)])
    assert rate.per_second == pytest.approx(10_000)
    add_samples(rate, clock, [(1.0, 99_000 + 5 * number) for number in range(1, 23)])
    assert rate.per_second == pytest.approx(5)


def test_a_slow_batch_counts_however_old_it_is() -> None:
    """A batch of a large model takes longer than the window."""
    rate = RecentRate(clock := Clock())
    add_samples(rate, clock, [(48, 16 * number) for number in range(5)])
    assert rate.per_second == pytest.approx(1 / 3)


def test_a_pause_is_forgotten_soon() -> None:
    rate = RecentRate(clock := Clock())
    steps = [(0.5, 16 * number) for number in range(20)]
    add_samples(rate, clock, [*steps, (300, 320)])
    add_samples(rate, clock, [(0.5, 320 + 16 * number) for number in range(1, 45)])
    assert rate.per_second == pytest.approx(32)


def test_a_smaller_count_begins_other_work() -> None:
    rate = RecentRate(clock := Clock())
    add_samples(rate, clock, [(0, 0), (10, 1000), (10, 1), (10, 2)])
    assert rate.per_second == pytest.approx(0.1)
