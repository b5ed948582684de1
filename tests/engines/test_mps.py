"""NVIDIA MPS: a private daemon, which ends with the process that has started it.

A shell script stands for NVIDIA's program. The daemon was tried with real engines on a GPU, before
PROBE_CODE was added.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import ROOT

from searchapp.engines import mps
from searchapp.engines.mps import LOG_VARIABLE, PIPE_VARIABLE, MpsDaemon, needs_mps
from searchapp.models import MODELS

# Writes what it is asked to do, and in which environment, to a file beside it.
PROGRAM = """#!/bin/sh
if [ "$1" = -d ]; then
    echo "started in $CUDA_MPS_PIPE_DIRECTORY for ${CUDA_VISIBLE_DEVICES-all}" >> "$0.log"
else
    echo "$(cat) in $CUDA_MPS_PIPE_DIRECTORY" >> "$0.log"
fi
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in place of nvidia-cuda-mps-control; its log is in `PROGRAM.log`."""
    path = tmp_path / "bin" / mps.CONTROL_PROGRAM
    path.parent.mkdir()
    path.write_text(PROGRAM)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv(PIPE_VARIABLE, raising=False)
    monkeypatch.setattr(mps, "SHARED_PIPE_FOLDER", tmp_path / "none")
    monkeypatch.setattr(mps, "PROBE_CODE", "")  # This machine has no GPU.
    return path


def read_log(program: Path) -> list[str]:
    log = program.with_name(f"{program.name}.log")
    return log.read_text().splitlines() if log.exists() else []


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_daemon_is_private_and_ends(program: Path) -> None:
    """It sees all GPUs; engines find it by its folder, which is deleted at the end."""
    daemon = MpsDaemon.start()
    assert daemon is not None
    folder = daemon.environment[PIPE_VARIABLE]
    assert daemon.environment == {PIPE_VARIABLE: folder, LOG_VARIABLE: folder}
    assert Path(folder).stat().st_mode & 0o077 == 0
    assert read_log(program) == [f"started in {folder} for all"]
    daemon.close()
    assert read_log(program)[1:] == [f"quit -t 1 in {folder}"]
    assert not Path(folder).exists()


def test_a_daemon_ends_with_a_killed_process(program: Path) -> None:
    """Nothing stays behind, however the process ends."""
    code = (
        "from searchapp.engines import mps\n"
        "mps.PROBE_CODE = ''; daemon = mps.MpsDaemon.start(); print('up', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert len(read_log(program)) == 1
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: len(read_log(program)) == 2)
    assert read_log(program)[1].startswith("quit -t 1 in ")


def test_a_daemon_that_does_not_start(program: Path) -> None:
    """Engines run without MPS if the program fails, and no folder stays behind."""
    program.write_text(f"#!/bin/sh\necho $CUDA_MPS_PIPE_DIRECTORY > {program}.log\nexit 1\n")
    assert MpsDaemon.start() is None
    (folder,) = read_log(program)
    assert not Path(folder).exists()


def test_a_daemon_that_processes_cannot_use(
    program: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process tries it before all engines depend on it; then the daemon ends."""
    monkeypatch.setattr(mps, "PROBE_CODE", f"import os; assert not os.environ[{PIPE_VARIABLE!r}]")
    with caplog.at_level(logging.INFO):
        assert MpsDaemon.start() is None
    assert "Not using MPS: a process cannot use the GPU through it" in caplog.text
    assert [line.split(" in ")[0] for line in read_log(program)] == ["started", "quit -t 1"]


def test_a_daemon_that_hangs(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines start without MPS."""
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr(mps, "START_TIMEOUT_S", 0.2)
    monkeypatch.setattr(mps, "QUIT_TIMEOUT_S", 0.2)
    assert MpsDaemon.start() is None


def test_no_daemon_beside_another(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon of the user or of the administrator is used as it is."""
    (tmp_path / "none").mkdir()
    assert MpsDaemon.start() is None
    (tmp_path / "none").rmdir()
    monkeypatch.setenv(PIPE_VARIABLE, "/run/mps")
    assert MpsDaemon.start() is None
    assert read_log(program) == []


def test_no_daemon_without_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert MpsDaemon.start() is None


def test_mps_is_for_engines_that_share_a_gpu_and_decode_no_jpegs() -> None:
    tower = MODELS["clip-vit-b-32"]
    language_model = replace(tower, pooling="LAST")
    shared = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("0", "1", "0")]
    assert needs_mps(shared, tower, "cpu")
    assert needs_mps(shared, language_model, "auto")
    assert not needs_mps(shared, tower, "auto")
    assert not needs_mps(shared, language_model, "gpu")
    assert not needs_mps(shared[:2], tower, "cpu")
    assert not needs_mps([{}, {}], tower, "cpu"), "engines on the CPU"
