"""Hide the output of vLLM and its libraries, but keep its last lines for error messages."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def capture_output(verbose: bool) -> Iterator[IO[bytes]]:
    """Redirect this process's stdout and stderr, C code included, to a temporary file.

    verbose: hide nothing, but redirect stdout to stderr, because stdout is reserved for data.
    Log lines written to stderr inside the `with` block are hidden, too: log before or after it.
    """
    with tempfile.TemporaryFile() as captured:
        sys.stdout.flush()
        sys.stderr.flush()
        saved_descriptors = [os.dup(1), os.dup(2)]
        try:
            os.dup2(2 if verbose else captured.fileno(), 1)
            if not verbose:
                os.dup2(captured.fileno(), 2)
            yield captured
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, saved in enumerate(saved_descriptors, start=1):
                os.dup2(saved, number)
                os.close(saved)


def read_last_lines(captured_file: IO[bytes], count: int = 5) -> str:
    """Return the last `count` lines of captured output, indented, for an error message."""
    captured_file.seek(0)
    lines = captured_file.read().decode("utf-8", "replace").strip().splitlines()
    return "\n".join(f"  {line[:300]}" for line in lines[-count:])
