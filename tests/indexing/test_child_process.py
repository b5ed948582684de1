"""A child process has a socket to its parent, and cannot block its parent."""

from __future__ import annotations

import os

import pytest
from support.paths import ROOT, TESTS

from searchapp.indexing import child_process
from searchapp.indexing.child_process import describe_exit, start_module


def test_half_a_message_does_not_block_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "MESSAGE_TIMEOUT_S", 0.3)
    path = {"PYTHONPATH": os.pathsep.join(map(str, [TESTS, ROOT]))}
    process, connection = start_module("support.half_message", path, shows_errors=True)
    try:
        assert connection.poll(None)
        with pytest.raises(OSError, match="temporarily unavailable"):
            connection.recv_bytes()
    finally:
        process.kill()
        process.wait()
        connection.close()
    assert describe_exit(process.returncode) == "killed by SIGKILL"


def test_an_exit_is_a_signal_or_a_code() -> None:
    assert describe_exit(-6) == "killed by SIGABRT"
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-999) == "exit code -999"
