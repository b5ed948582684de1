"""A child process has a socket to its parent, and cannot block its parent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from support.paths import ROOT, TESTS

from searchapp.indexing import child_process
from searchapp.indexing.child_process import describe_exit, start_module


@pytest.fixture
def stopped_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Connection]]:
    """A child that has sent half a message, started in a folder with a hostile module."""
    monkeypatch.setattr(child_process, "MESSAGE_TIMEOUT_S", 0.3)
    (tmp_path / "struct.py").write_text("raise SystemExit('a module of the current folder')")
    monkeypatch.chdir(tmp_path)
    path = {"PYTHONPATH": os.pathsep.join(map(str, [TESTS, ROOT]))}
    process, connection = start_module("support.half_message", path, shows_errors=True)
    yield process, connection
    process.kill()
    process.wait()
    connection.close()


def test_half_a_message_does_not_block_the_parent(
    stopped_child: tuple[subprocess.Popen[bytes], Connection],
) -> None:
    """The child imports no module of the current folder: then it would send nothing."""
    process, connection = stopped_child
    assert connection.poll(None)
    with pytest.raises(OSError, match="temporarily unavailable"):
        connection.recv_bytes()
    process.kill()
    process.wait()
    assert describe_exit(process.returncode) == "killed by SIGKILL"


def test_an_exit_is_a_signal_or_a_code() -> None:
    assert describe_exit(-6) == "killed by SIGABRT"
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-999) == "exit code -999"
