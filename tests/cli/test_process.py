"""searchapp as a process: imports, signals, exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.library import library_environment
from support.processes import HEAVY_MODULES, run_python, slow_command
from support.sample_pictures import save_picture


@pytest.mark.parametrize(
    "arguments", [["--help"], ["query", "--help"], ["index", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help is fast, because it imports no heavy module."""
    code = f"""
        import sys
        from searchapp.cli import main
        sys.argv = ["searchapp", *{arguments!r}]
        try:
            main()
        except SystemExit as done:
            assert not done.code, done.code
        print([name for name in {HEAVY_MODULES!r} if name in sys.modules])
    """
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_the_package_imports_nothing_heavy() -> None:
    """`import searchapp` is fast; Library is imported at its first use."""
    result = run_python(f"""
        import sys
        import searchapp
        searchapp.Query, searchapp.Hit
        print([name for name in {HEAVY_MODULES!r} if name in sys.modules])
        assert searchapp.Library.open
    """)
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)]
)
def test_a_stopped_index_continues_in_the_next_run(
    tmp_path: Path, model: Path, number: signal.Signals, code: int
) -> None:
    """After Ctrl-C, SIGTERM or SIGKILL, finished work is kept; Ctrl-C prints one line."""
    for mark in range(20):
        save_picture(tmp_path / f"photos/{mark:02}.png", "red", mark=mark + 1)
    environment = os.environ | library_environment(tmp_path)
    arguments = ["index", tmp_path / "photos", "--model", model, "--batch-size", 2]
    gate = tmp_path / "gate"
    gate.touch()  # for one batch; the next batch waits
    process = subprocess.Popen(
        slow_command(*arguments, seconds_per_picture=0, gate=gate),
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if "done" in line:
            break
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(timeout=300) == code
    assert "Traceback" not in rest
    if number == signal.SIGINT:
        assert "run the same command again to continue" in rest
    again = subprocess.run(
        slow_command(*arguments, "--json", seconds_per_picture=0),
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert '"failed": 0' in again.stdout
    unchanged = int(again.stdout.split('"unchanged": ')[1].split(",")[0])
    added = int(again.stdout.split('"added": ')[1].split(",")[0])
    assert (unchanged, added) == (2, 18)


def test_a_closed_pipe_is_no_error_message(tmp_path: Path, photos: Path, model: Path) -> None:
    """`searchapp query ... | head` prints no traceback."""
    environment = os.environ | library_environment(tmp_path)
    subprocess.run(
        slow_command("index", photos, "--model", model, seconds_per_picture=0),
        env=environment,
        check=True,
    )
    process = subprocess.Popen(
        slow_command("query", "red", "--paths", seconds_per_picture=0),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout and process.stderr
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait(timeout=300)


def test_errors_are_one_line(tmp_path: Path) -> None:
    """An error is one line that begins with the name of the program."""
    result = subprocess.run(
        [sys.executable, "-m", "searchapp", "query", "x"],
        env=os.environ | library_environment(tmp_path / "none"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("searchapp: no library at ")
    assert result.stderr.count("\n") == 1
