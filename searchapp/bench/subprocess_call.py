"""Call a function in a new Python process, so that all its memory is freed afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from searchapp.errors import EngineError, SearchAppError


def call_in_subprocess(
    function: Callable[..., dict[str, Any]],
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Call a module-level function in a new process; its arguments and result are JSON values.

    environment: environment variables to add.
    Errors: EngineError if the function or its process fails.
    """
    name = f"{function.__module__}:{function.__name__}"
    with tempfile.TemporaryDirectory() as folder:
        result_file = Path(folder) / "result.json"
        command = [
            sys.executable,
            "-P",
            "-m",
            __name__,
            name,
            json.dumps(arguments),
            str(result_file),
        ]
        log_file = Path(folder) / "log.txt"
        exit_code = _run_with_descendants(command, {**os.environ, **(environment or {})}, log_file)
        if not result_file.exists():
            log = log_file.read_text(errors="replace").strip()
            log_tail = "\n".join(f"  {line}" for line in log.splitlines()[-8:])
            raise EngineError(f"{name} ended with exit code {exit_code}:\n{log_tail}")
        result: dict[str, Any] = json.loads(result_file.read_text())
    if "error" in result:
        raise EngineError(result["error"])
    return result


def _run_with_descendants(command: list[str], environment: dict[str, str], log_file: Path) -> int:
    """Run a command until it ends, kill the processes that it left, and return its exit code.

    vLLM's engine process outlives its parent. With a pipe for stderr, it would keep the pipe
    open, and reading the pipe would never end.
    """
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main() -> None:
    """Call the function MODULE:FUNCTION with JSON arguments, and write its result to a file."""
    function, arguments, result_file = sys.argv[1:]
    module, name = function.split(":")
    try:
        result = getattr(import_module(module), name)(**json.loads(arguments))
    except SearchAppError as error:
        result = {"error": str(error)}
    Path(result_file).write_text(json.dumps(result))
    sys.stderr.flush()
    os._exit(0)  # the cleanup of PyTorch takes seconds


if __name__ == "__main__":
    main()
