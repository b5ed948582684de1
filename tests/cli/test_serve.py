"""`searchapp serve` and `searchapp stop`: what listens, and who ends whom."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand, index_folder, library_environment
from support.processes import slow_command

from searchapp.cli import serve as serve_command
from searchapp.library import Library


def test_one_server_runs_until_stop_names_it(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    run: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second `serve` names the first, or opens its page. `stop` and the server say what ended."""
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
    opened: list[str] = []
    monkeypatch.setattr(serve_command, "open_in_viewer", opened.append)
    again = run("serve", "--port", 0, "--open")
    assert (again.exit_code, opened) == (0, [url])
    assert again.stderr == f"the library is already served by {server}\n"
    assert run("stop").stderr == f"stopped {server}\n"
    assert process.stderr.read() == "stopped: another command asked for it\n"
    assert process.wait(30) == 0
