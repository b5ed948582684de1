"""`searchapp serve` and `searchapp stop`: what listens, and who ends whom."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from pathlib import Path

from support.library import FakeEngines, RunCommand, index_folder, library_environment
from support.processes import slow_command

from searchapp.library import Library


def test_one_server_runs_until_stop_names_it(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines, run: RunCommand
) -> None:
    """A second `serve` names the first. `stop` says what it ended, and so does the server."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    assert run("stop").stderr == "no resident process is running\n"
    process = subprocess.Popen(
        slow_command("serve", "--port", 0),
        env=os.environ | library_environment(tmp_path), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    word, url, *_ = process.stderr.readline().split()
    assert word == "serving"
    with urllib.request.urlopen(f"{url}healthz") as answer:
        assert answer.status == 200
    second = run("serve", "--port", 0)
    assert second.exit_code == 1
    server = f"`searchapp serve` at {url} (process {process.pid})"
    assert f"the library is already served by {server}." in str(second.exception)
    assert run("stop").stderr == f"stopped {server}\n"
    assert process.stderr.read() == "stopped: another command asked for it\n"
    assert process.wait(30) == 0
