"""Call a function in a new Python process, so that all its memory is freed afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
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
        command = [sys.executable, "-m", __name__, name, json.dumps(arguments), str(result_file)]
        process = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        if not result_file.exists():
            log_tail = "\n".join(f"  {line}" for line in process.stderr.strip().splitlines()[-8:])
            raise EngineError(f"{name} ended with exit code {process.returncode}:\n{log_tail}")
        result: dict[str, Any] = json.loads(result_file.read_text())
    if "error" in result:
        raise EngineError(result["error"])
    return result


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
