"""Let several processes use a GPU at the same time, with NVIDIA MPS.

Without MPS, a GPU runs one process after the other, in time slices. With MPS, a process needs more
than twice the time to decode a batch of JPEGs on the GPU (nvJPEG). So MPS is for other runs.
https://docs.nvidia.com/deploy/mps/index.html
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from searchapp.engines.gpu_jpeg import may_decode_jpegs
from searchapp.models import ModelSpec
from searchapp.types import DecodeDevice

logger = logging.getLogger(__name__)

CONTROL_PROGRAM = "nvidia-cuda-mps-control"  # comes with the driver, on Linux only
PIPE_VARIABLE, LOG_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
SHARED_PIPE_FOLDER = Path("/tmp/nvidia-mps")  # of a daemon that an administrator has started
STARTED_LINE = "started"
START_TIMEOUT_S, PROBE_TIMEOUT_S, QUIT_TIMEOUT_S = 10, 60, 10

# The shell ends the daemon as soon as its standard input is closed: when MpsDaemon.close() is
# called, or when this process ends in any other way.
DAEMON_SCRIPT = f"""
{CONTROL_PROGRAM} -d >&2 || exit 1
echo {STARTED_LINE}
read -r _
echo quit -t 1 | {CONTROL_PROGRAM} >/dev/null 2>&1
"""

# Fails if a process cannot use a GPU through the daemon, for example in some containers. Then all
# engines would fail.
PROBE_CODE = """
import ctypes, sys
cuda, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
sys.exit(bool(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)))
"""


class MpsDaemon:
    """A private MPS daemon. It ends with this object, or with this process."""

    def __init__(self, shell: subprocess.Popen[str], folder: Path) -> None:
        """shell: runs DAEMON_SCRIPT. folder: the daemon's, which close() deletes."""
        self._shell, self._folder = shell, folder
        self.environment: Mapping[str, str] = make_environment(folder)  # of processes that use it

    @classmethod
    def start(cls) -> MpsDaemon | None:
        """Start a daemon; return None without MPS, or where a daemon runs already."""
        if shutil.which(CONTROL_PROGRAM) is None:
            logger.info("Not using MPS: %s is not installed", CONTROL_PROGRAM)
            return None
        if PIPE_VARIABLE in os.environ or SHARED_PIPE_FOLDER.exists():
            logger.info("Not starting MPS: this machine has a daemon of its own")
            return None
        folder = Path(tempfile.mkdtemp(prefix="searchapp-mps-"))
        # The daemon must see all GPUs: each process chooses one of those by its number.
        environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
        shell = subprocess.Popen(
            ["/bin/sh", "-c", DAEMON_SCRIPT],
            env=environment | make_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C must reach this process only.
        )
        daemon = cls(shell, folder)
        if problem := daemon._find_problem():
            logger.info("Not using MPS: %s", problem)
            daemon.close()
            return None
        logger.info("Started MPS, so that engines use a GPU at the same time")
        return daemon

    def _find_problem(self) -> str | None:
        """Return why processes cannot use this daemon, which is starting; None if they can."""
        stdout = self._shell.stdout
        assert stdout is not None
        is_readable, _, _ = select.select([stdout], [], [], START_TIMEOUT_S)
        if not is_readable or stdout.readline().strip() != STARTED_LINE:
            return f"{CONTROL_PROGRAM} does not start"
        probe = [sys.executable, "-I", "-c", PROBE_CODE]
        try:
            subprocess.run(
                probe,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PROBE_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"a process cannot use the GPU through it ({error})"
        return None

    def close(self) -> None:
        """End the daemon. All processes that use it must have ended."""
        assert self._shell.stdin is not None
        with suppress(OSError):
            self._shell.stdin.close()
        try:
            self._shell.wait(QUIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def make_environment(folder: Path) -> dict[str, str]:
    """Return the variables of processes that use the daemon in a folder."""
    return {PIPE_VARIABLE: str(folder), LOG_VARIABLE: str(folder)}


def needs_mps(
    environments: Iterable[Mapping[str, str]], spec: ModelSpec, decode: DecodeDevice
) -> bool:
    """Return whether engines share a GPU that decodes no JPEGs.

    environments: the variables of each engine process. decode: where JPEGs are decoded.
    """
    if may_decode_jpegs(spec, decode):
        return False
    counts = Counter(each.get("CUDA_VISIBLE_DEVICES") for each in environments)
    return any(count > 1 for gpu, count in counts.items() if gpu is not None)
