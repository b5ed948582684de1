"""Call a function in a process of its own: what it loads is gone when it has answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from searchapp.errors import EngineError, SearchAppError


def call_in_subprocess(
    function: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what module:function returns of JSON arguments; EngineError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", __name__, function, json.dumps(arguments), str(answer)]
        process = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        if not answer.exists():
            log_tail = "\n".join(f"  {line}" for line in process.stderr.strip().splitlines()[-8:])
            raise EngineError(f"{function} ended with exit code {process.returncode}:\n{log_tail}")
        result: dict[str, Any] = json.loads(answer.read_text())
    if "error" in result:
        raise EngineError(result["error"])
    return result


def main() -> None:
    """Call the function that the arguments name, and write its answer to a file."""
    function, arguments, answer = sys.argv[1:]
    module, name = function.split(":")
    try:
        result = getattr(import_module(module), name)(**json.loads(arguments))
    except SearchAppError as error:
        result = {"error": str(error)}
    Path(answer).write_text(json.dumps(result))
    sys.stderr.flush()
    os._exit(0)  # torch's own end takes seconds


if __name__ == "__main__":
    main()
