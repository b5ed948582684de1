"""Import sqlite_utils without pandas.

sqlite_utils imports pandas if it is installed, only to map its types to column types. pymilvus
installs pandas. The import takes about one second of CPU time in every process of searchapp.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hide_module(name: str) -> Iterator[None]:
    """Let the import of a module fail, unless this process has already imported it."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # The import system documents None.
    try:
        yield
    finally:
        del sys.modules[name]


with hide_module("pandas"):
    import sqlite_utils as sqlite_utils
