"""Run Python code and commands in new processes, or with fewer rights."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

from support.paths import TESTS

HEAVY_MODULES = (
    "vllm", "torch", "faiss", "fastapi", "jinja2", "PIL", "numpy", "sqlite_utils", "httpx", "rich",
)  # fmt: skip


def run_python(
    code: str, *arguments: object, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        text=True, capture_output=True, timeout=300, check=False, **options,
    )  # fmt: skip


def slow_command(
    *arguments: object, seconds_per_picture: float = 0.2, gate: Path | None = None
) -> list[str]:
    """Return the command line with a fake engine that takes time for pictures, none for texts.

    gate: each batch waits until this file exists, and removes it.
    """
    code = f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv.pop(1))
        from support.fake_engine import FakeEngine
        from searchapp import engines
        from searchapp.cli import main
        class Slow(FakeEngine):
            def embed(self, inputs):
                pictures = sum(item.image is not None for item in inputs)
                time.sleep({seconds_per_picture} * pictures)
                if {gate is not None} and pictures:
                    while not Path({str(gate)!r}).exists():
                        time.sleep(0.01)
                    Path({str(gate)!r}).unlink()
                return super().embed(inputs)
        engines.start_engine = lambda spec, **_: Slow(spec)
        main()
    """
    return [sys.executable, "-c", textwrap.dedent(code), str(TESTS), *map(str, arguments)]


def run_without_root_rights(work: Callable[[], None]) -> None:
    """Run a function in a thread in which the permissions of files apply, also to root."""
    errors: list[BaseException] = []

    def run() -> None:
        # On Linux, each thread has its own capabilities: man 2 capset.
        header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        try:
            assert ctypes.CDLL(None).capset(header, none) == 0
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
