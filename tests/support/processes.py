"""Run Python code and commands in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from support.paths import TESTS

HEAVY_MODULES = (
    "vllm", "torch", "faiss", "fastapi", "jinja2", "PIL", "numpy", "sqlite_utils", "httpx", "rich",
)  # fmt: skip


def run_python(
    code: str, *arguments: object, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        text=True, capture_output=True, timeout=60, check=False, **options,
    )  # fmt: skip


def slow_command(*arguments: object, seconds_per_picture: float = 0.2) -> list[str]:
    """The command line with a fake engine that is slow: so many seconds a picture, none a text."""
    code = f"""
        import sys, time
        sys.path.insert(0, sys.argv.pop(1))
        from support.fake_engine import FakeEngine
        from searchapp import engines
        from searchapp.cli import main
        class Slow(FakeEngine):
            def embed(self, inputs):
                time.sleep({seconds_per_picture} * sum(item.image is not None for item in inputs))
                return super().embed(inputs)
        engines.start_engine = lambda spec, **_: Slow(spec)
        main()
    """
    return [sys.executable, "-c", textwrap.dedent(code), str(TESTS), *map(str, arguments)]
