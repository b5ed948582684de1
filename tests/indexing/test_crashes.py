"""Kills and disk errors at any moment of an index run lose or damage nothing.

TEST_EFFORT=10 tries ten times as many points; a few hundred a case are all there are.
"""

import json
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.effort import scale
from support.fake_engine import FakeEngine
from support.fault_preload import build_faults, needs_preload, run_preloaded
from support.library import RunCommand, library_environment
from support.paths import TESTS
from support.processes import slow_command
from support.sample_pictures import save_picture

from searchapp.engines import EngineInput
from searchapp.errors import LibraryError
from searchapp.library import Library
from searchapp.models import resolve_model
from searchapp.pictures import decode
from searchapp.types import Query, SearchOptions


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_faults(tmp_path_factory.mktemp("faults"))


def run_crash_case(faults: Path, folder: Path, case: str, points: int) -> dict[str, Any]:
    """Run a case of crash_runner.py, and check that nothing is lost or damaged."""
    script = TESTS / "support" / "crash_runner.py"
    ran = run_preloaded(faults, script, folder, case, scale(points))
    assert ran.returncode == 0, ran.stderr
    count: dict[str, Any] = json.loads(ran.stdout)
    assert not count["wrong"], count["wrong"][0]
    assert (count["hung"], count["lost"]) == (0, 0)
    return count


@needs_preload
@pytest.mark.parametrize(
    ("case", "tried"),
    [
        ("kill-first", 10), ("kill-more", 8), ("kill-prune", 5),
        ("kill-trained-first", 4), ("kill-trained-more", 4), ("kill-trained-prune", 5),
    ],
)  # fmt: skip
def test_a_kill_at_any_call_that_changes_files(
    faults: Path, tmp_path: Path, case: str, tried: int
) -> None:
    """Writes (whole and torn), fsyncs, renames, deletions: the next run goes on and completes.

    Search equals brute force, before and after; nothing that was done is embedded again. A first
    and a later run are also killed at the first call of each kind for each file.
    """
    count = run_crash_case(faults, tmp_path, case, tried)
    assert count["killed"] >= 0.75 * count["points"]  # the last may lie beyond this run's end
    assert min(count["calls"][kind] for kind in ("write", "sync", "rename", "unlink")) >= 1
    calls = ", ".join(f"{number} {kind}s" for kind, number in count["calls"].items())
    print(f"{case}: {count['killed']} kill points tried of {calls}; lost 0, wrong 0, hung 0")


@needs_preload
def test_a_kill_at_any_moment(faults: Path, tmp_path: Path) -> None:
    """The process is killed at random moments, also between system calls."""
    count = run_crash_case(faults, tmp_path, "moments-more", 8)
    assert count["killed"] >= 2
    print(f"moments: {count['killed']} killed at random; lost 0, wrong 0, hung 0")


@needs_preload
@pytest.mark.parametrize(
    ("case", "tried", "message"),
    [
        ("full-first", 4, "full"),
        ("full-more", 8, "full"),
        ("full-prune", 4, "full"),
        ("full-trained-more", 6, "full"),
        ("eio-more", 8, "I/O error"),
    ],
)
def test_disk_errors_lose_nothing(
    faults: Path, tmp_path: Path, case: str, tried: int, message: str
) -> None:
    """A full or failing disk, once or permanently, gives one clear line, and loses nothing."""
    count = run_crash_case(faults, tmp_path, case, tried)
    assert count["faults"] >= 0.75 * count["points"]
    assert any(message in line and "run this again" in line for line in count["said"])
    assert all("\n" not in line and ". " in line for line in count["said"])
    reported = sum(count["said"].values())
    print(f"{case}: {count['faults']} faults, {reported} reported; lost 0, wrong 0, hung 0")


@needs_preload
@pytest.mark.parametrize(
    "case", ["read-only-more", "read-only-journal-more", "read-only-copy-more"]
)
def test_a_read_only_library_can_be_searched(faults: Path, tmp_path: Path, case: str) -> None:
    """A read-only library can be searched; a dry prune works; index says why it cannot write."""
    ran = run_preloaded(faults, TESTS / "support" / "crash_runner.py", tmp_path, case, 0)
    assert ran.returncode == 0, ran.stderr
    for file in tmp_path.glob("library"):
        file.chmod(0o755)
    status, (found, prunable, stated, asked) = json.loads(ran.stdout)
    assert found == {"hits": [3, 3], "journal": case != "read-only-more"}
    assert prunable == {"prunable": 2}
    assert "cannot be written: Permission denied. Searches work" in stated["stated"]
    assert (status, asked) == (0, {"query": 10, "code": 0})


def test_the_command_reports_a_full_disk(tmp_path: Path, model: Path) -> None:
    """A file size limit of the system during a run gives one line, and exit status 1."""
    for mark in range(12):
        save_picture(tmp_path / f"photos/{mark:02}.png", "red", mark=mark + 1)
    arguments = slow_command(
        "index", tmp_path / "photos", "--model", model, "--batch-size", 1, seconds_per_picture=0
    )
    options = {
        "env": os.environ | library_environment(tmp_path) | {"PYTHONDONTWRITEBYTECODE": "1"},
        "capture_output": True,
        "text": True,
    }
    limit = (resource.RLIMIT_FSIZE, (500_000, 500_000))
    full = subprocess.run(
        arguments, check=False, preexec_fn=lambda: resource.setrlimit(*limit), **options
    )
    assert (full.returncode, full.stdout) == (1, "")
    (message,) = [line for line in full.stderr.splitlines() if line.startswith("searchapp: ")]
    assert full.stderr.endswith(f"{message}\n")
    assert "Traceback" not in full.stderr
    assert "full. Check it and run this again" in message
    again = subprocess.run([*arguments, "--json"], check=True, **options)
    done = json.loads(again.stdout)
    assert (done["added"] + done["unchanged"], done["failed"]) == (12, 0)
    assert done["unchanged"] > 0
    print(f"{done['unchanged']} of 12 kept: {message}")


WRITES = {  # each more than there is room for
    "query --html": """
        from searchapp.pages.contact_sheet import Section, write_contact_sheet
        write_contact_sheet(file, [Section("x" * 9000, [])])
    """,
    "duplicates --html": """
        from searchapp.pages.duplicates_review import write_review
        from searchapp.types import Duplicates
        write_review(file, Duplicates((), (), 0, 0))
    """,
    "duplicates --script": """
        from searchapp.duplicates import move_script
        move_script.write_script(file, [])
    """,
    "map --html": """
        import numpy as np
        from searchapp.pages.map.write_map import PictureMap, write_map
        write_map(file, PictureMap([], np.zeros((0, 2), np.int32), "x", "x", 0))
    """,
}


def writing(code: str, file: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a process that writes no compiled modules: a limit of the disk would cut them."""
    start = f"from pathlib import Path\nfile = Path({str(file)!r})\n"
    return subprocess.run(
        [sys.executable, "-B", "-c", start + textwrap.dedent(code)],
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("name", WRITES)
def test_a_full_disk_leaves_no_partial_page(tmp_path: Path, name: str) -> None:
    """If the disk is full, the old page or script stays, and no partial file is left."""
    file = tmp_path / "written"
    file.write_text("as it was")
    full = writing(
        WRITES[name], file, stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )  # fmt: skip
    assert f"SearchAppError: {file} cannot be written: File too large" in full.stderr
    assert file.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [file]
    assert writing(WRITES[name], file).returncode == 0
    assert len(file.read_text()) > 2000


def test_a_page_is_written_to_pipes_and_links(tmp_path: Path) -> None:
    """A page can be written to a pipe, to a redirected standard output, and through a link."""
    code = WRITES["query --html"]
    page = writing(code, "/dev/fd/1", stdout=subprocess.PIPE).stdout
    assert page.startswith("<!doctype html>")
    with (tmp_path / "page.html").open("w") as output:
        assert writing(code, "/dev/fd/1", stdout=output).returncode == 0
    assert (tmp_path / "page.html").read_text() == page
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert writing(code, tmp_path / "pipe").returncode == 0
        assert reader.stdout
        assert reader.stdout.read() == page
    assert (tmp_path / "pipe").is_fifo()
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "behind.html")
    assert writing(code, link).returncode == 0
    assert link.is_symlink()
    assert (tmp_path / "behind.html").read_text() == page


def test_a_second_index_names_the_writer_and_readers_continue(tmp_path: Path, model: Path) -> None:
    """It ends at once and names the writing process; readers see only saved batches."""
    for mark in range(16):
        save_picture(tmp_path / f"photos/{mark:02}.png", "red", mark=mark + 1)
    environment = os.environ | library_environment(tmp_path)
    gate = tmp_path / "gate"
    gate.touch()
    arguments = slow_command(
        "index", tmp_path / "photos", "--model", model, "--batch-size", 2, gate=gate
    )
    first = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)
    assert first.stderr
    assert any("2/16 done" in line for line in first.stderr)
    second = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)
    message = second.communicate(timeout=300)[1]
    assert second.returncode == 1
    assert f"is being written by searchapp index (process {first.pid} on" in message
    counts, spec = [], resolve_model(str(model))
    (exact,) = FakeEngine(spec).embed([EngineInput("red")])
    while first.poll() is None:
        with Library.open(tmp_path / "library", start=FakeEngine) as library:
            hits = library.search(Query("red"), SearchOptions(count=100))
        gate.touch()  # lets the first process embed the next batch
        counts.append(len(hits))
        for hit in hits:
            picture = decode.prepare_picture(Path(hit.path).read_bytes(), spec.image).image
            (vector,) = FakeEngine(spec).embed([EngineInput("", picture)])
            assert hit.score == pytest.approx(float(vector @ exact), abs=2e-3)
    assert counts == sorted(counts)
    assert counts[0] >= 2
    assert len(set(counts)) > 2
    assert (first.returncode, message.count("\n")) == (0, 1)
    print(f"{len(counts)} searches while another process wrote; wrong 0")


@pytest.mark.parametrize("page", range(1, 12))
def test_a_damaged_catalog_is_reported(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path, page: int
) -> None:
    """Any overwritten page gives a result, or one line with the remedy, but no traceback."""
    run("index", photos, "--model", model)
    file = tmp_path / "library" / "catalog.db"
    data = bytearray(file.read_bytes())
    data[4096 * page : 4096 * (page + 1)] = b"\xff" * 4096
    file.write_bytes(data)
    for arguments in (["query", "red", "--where", "width > 1"], ["info"], ["index", photos]):
        result = run(*arguments)
        assert result.exit_code in (0, 1)
        if result.exit_code:
            assert isinstance(result.exception, LibraryError)
            assert "The file is damaged. Restore a backup with `searchapp restore FILE`." in str(
                result.exception
            )
