"""--open: the program of the desktop writes nothing into the output of the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = "from searchapp.cli.open_viewer import open_in_viewer; open_in_viewer('/x/a b.jpg')"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these have no xdg-open")
def test_viewer_is_quiet_and_gets_the_path(tmp_path: Path) -> None:
    """It reads no input, and writes neither to stdout nor to stderr."""
    opener = tmp_path / "xdg-open"
    opener.write_text('#!/bin/sh\necho noise; echo noise >&2; cat; echo "$1" > "$0.done"\n')
    opener.chmod(0o755)
    done_file = tmp_path / "xdg-open.done"
    subprocess.run(["mkfifo", str(done_file)], check=True)  # Its reader waits for the viewer.
    done = subprocess.run(
        [sys.executable, "-c", CODE], input="typed", capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert done_file.read_text() == "/x/a b.jpg\n"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these have no xdg-open")
def test_missing_program_is_a_note(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False,
        env={"PATH": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "no program can be started (No such file or directory); open /x/a b.jpg yourself\n"
    )
