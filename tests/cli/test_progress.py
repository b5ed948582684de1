"""What the progress display says about the remaining time."""

import pytest
from support.clock import Clock

from searchapp.cli.event_lines import format_event, format_remaining_time, format_summary
from searchapp.cli.progress import LineDisplay
from searchapp.indexing.recent_rate import RecentRate
from searchapp.types import EngineStarting, Progress, RunSummary, ScanFinished


def test_the_remaining_time_is_right_soon_after_all_engines_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The pause until engines run again says nothing about the rate."""
    clock = Clock()
    display = LineDisplay(clock)
    display.show(EngineStarting("model"))
    display.show(Progress(16, 4000, 0.0))
    clock.now_s += 60
    display.show(EngineStarting("model", is_restart=True))
    for number in range(12):
        clock.now_s += 0.5
        display.show(Progress(17 + 16 * number, 4000, 0.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "starting vLLM with model ...",
        "16/4,000 done",
        "all engines ended unexpectedly (-v shows why); starting model again ...",
        "17/4,000 done",
        "177/4,000 done, about 2 min left",
    ]


def test_other_work_has_a_remaining_time_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """`duplicates` counts files, and then pairs of pictures."""
    clock = Clock()
    display = LineDisplay(clock)
    for done, total in ((1, 100), (100, 100), (5, 50), (10, 50)):
        clock.now_s += 10
        display.show(Progress(done, total, 0.0))
    assert capsys.readouterr().err.splitlines()[-1] == "10/50 done, about 80 s left"


@pytest.mark.parametrize(
    ("remaining", "text"),
    [
        (0, ""),
        (89, "about 89 s left"),
        (600, "about 10 min left"),
        (8312, "about 2 h left"),
        (3 * 86400, "about 3 days left"),
    ],
)
def test_a_remaining_time_has_a_readable_unit(remaining: int, text: str) -> None:
    rate = RecentRate(clock := Clock())
    rate.add_sample(0)
    clock.now_s += 10
    rate.add_sample(10)
    assert format_remaining_time(rate, remaining) == text


def test_the_shortest_remaining_time_is_a_second() -> None:
    """It was "about 0 s left"."""
    rate = RecentRate(clock := Clock())
    rate.add_sample(0)
    clock.now_s += 10
    rate.add_sample(180)
    assert format_remaining_time(rate, 8) == "about 1 s left"


def test_without_progress_there_is_no_remaining_time() -> None:
    rate = RecentRate(clock := Clock())
    for _ in range(2):
        rate.add_sample(7)
        clock.now_s += 10
    assert format_remaining_time(rate, 100) == ""


def test_a_rate_that_is_zero_after_rounding_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`watch` said "1 added; 38.4 s, 0.0 images/s": the model had to be loaded first."""
    summary = RunSummary(added=1, seconds=38.4, images_per_second=0.03)
    assert format_summary(summary) == "1 added; 38.4 s"
    LineDisplay(Clock()).show(Progress(1, 2, 0.03))
    assert capsys.readouterr().err == "1/2 done\n"


def test_files_that_failed_before_are_counted() -> None:
    scan = ScanFinished(9, 0, 1, "model", "collection", 0)
    assert format_event(scan) == (
        "9 picture files, 0 to read; skipped 1 unchanged file that failed before "
        "(--retry-failed tries again)"
    )
