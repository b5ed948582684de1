"""A function in a process of its own: its result, its errors, and the processes that it leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import psutil
import pytest
from support.paths import TESTS

from searchapp.bench.subprocess_call import call_in_subprocess
from searchapp.errors import EngineError

MODULE_PATH = {"PYTHONPATH": f"{TESTS / 'bench'}:{TESTS}:{TESTS.parent}"}


def add(one: int, other: int) -> dict[str, Any]:
    return {"sum": one + other}


def leave_a_process() -> dict[str, Any]:
    """Start a process that inherits stderr and does not end, as vLLM's engine process does."""
    return {"pid": subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]).pid}


def fail() -> dict[str, Any]:
    raise ValueError("out of luck")


def test_the_result_is_returned() -> None:
    assert call_in_subprocess(add, {"one": 1, "other": 2}, MODULE_PATH) == {"sum": 3}


def test_a_failure_is_an_error_with_the_end_of_the_log() -> None:
    with pytest.raises(EngineError, match=r"fail ended with exit code 1:[\s\S]*out of luck"):
        call_in_subprocess(fail, {}, MODULE_PATH)


def test_a_process_that_outlives_the_function_is_ended() -> None:
    """The call returns although that process keeps stderr open."""
    pid = call_in_subprocess(leave_a_process, {}, MODULE_PATH)["pid"]
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
