"""Builds faults.c, and runs Python with it preloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import TESTS

COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_preload = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux",
    reason="no C compiler is installed (apt-get install gcc libc6-dev)",
)


def built(folder: Path) -> Path:
    """Build faults.c."""
    assert COMPILER
    made = folder / "faults.so"
    command = [
        COMPILER,
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        made,
        TESTS / "support" / "faults.c",
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return made


def preloaded(
    made: Path, *arguments: object, timeout: float = 300, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with what was built; more: variables."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "LD_PRELOAD": str(made), "PYTHONPATH": path, **more}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment, text=True, capture_output=True, timeout=timeout, check=False,
    )  # fmt: skip
