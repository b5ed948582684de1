"""Whenever a run is killed, and whatever the disk refuses: nothing is lost, and nothing wrong.

FAULT_POINTS=10 tries ten times as many points; a few hundred a case are all there are.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from preload import TESTS, built, needs_preload, preloaded


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("faults"))


def shown(faults: Path, folder: Path, case: str, points: int) -> dict[str, Any]:
    """Run a case of crashes.py; nothing must be wrong afterwards."""
    points = round(points * float(os.environ.get("FAULT_POINTS", "1")))
    ran = preloaded(faults, TESTS / "crashes.py", folder, case, points)
    assert ran.returncode == 0, ran.stderr
    count: dict[str, Any] = json.loads(ran.stdout)
    assert not count["wrong"], count["wrong"][0]
    assert (count["hung"], count["lost"]) == (0, 0)
    return count


@needs_preload
@pytest.mark.parametrize(("case", "tried"), [("kill-first", 30), ("kill-more", 60)])
def test_a_kill_at_any_call_that_changes_files(
    faults: Path, tmp_path: Path, case: str, tried: int
) -> None:
    """Writes (whole and torn), fsyncs, renames, deletions: the next run goes on and completes.

    Search equals brute force, before and after; nothing that was done is embedded again.
    """
    count = shown(faults, tmp_path, case, tried)
    assert count["killed"] >= 0.9 * count["points"]  # the last may lie beyond this run's end
    assert min(count["calls"][kind] for kind in ("write", "sync", "rename", "unlink")) >= 1
    calls = ", ".join(f"{number} {kind}s" for kind, number in count["calls"].items())
    print(f"{case}: {count['killed']} kill points tried of {calls}; lost 0, wrong 0, hung 0")


@needs_preload
def test_a_kill_at_any_moment(faults: Path, tmp_path: Path) -> None:
    """Between the calls, too."""
    count = shown(faults, tmp_path, "moments-more", 30)
    assert count["killed"] >= 10
    print(f"moments: {count['killed']} killed at random; lost 0, wrong 0, hung 0")


@needs_preload
@pytest.mark.parametrize(
    ("case", "tried", "said"),
    [("full-first", 15, "full"), ("full-more", 30, "full"), ("eio-more", 30, "I/O error")],
)
def test_a_disk_that_refuses(
    faults: Path, tmp_path: Path, case: str, tried: int, said: str
) -> None:
    """Full, or failing, at any call, for once or from then on: one clear line, and all is kept."""
    count = shown(faults, tmp_path, case, tried)
    assert count["faults"] >= 0.9 * count["points"]
    assert any(said in line and "run this again" in line for line in count["said"])
    assert all("\n" not in line and "; " in line for line in count["said"])
    told = sum(count["said"].values())
    print(f"{case}: {count['faults']} faults injected, {told} stated; lost 0, wrong 0, hung 0")
