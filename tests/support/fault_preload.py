"""Build faults.c, and run Python with it preloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import TESTS

C_COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_preload = pytest.mark.skipif(
    C_COMPILER is None or sys.platform != "linux",
    reason="no C compiler is installed (apt-get install gcc libc6-dev)",
)


def build_faults(folder: Path) -> Path:
    """Build faults.c into a folder; return the shared library."""
    assert C_COMPILER
    library_file = folder / "faults.so"
    command = [
        C_COMPILER,
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        library_file,
        TESTS / "support" / "faults.c",
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return library_file


def run_preloaded(
    library_file: Path, *arguments: object, timeout: float = 300, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with the library preloaded and more environment variables."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "LD_PRELOAD": str(library_file), "PYTHONPATH": path, **variables}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment, text=True, capture_output=True, timeout=timeout, check=False,
    )  # fmt: skip
