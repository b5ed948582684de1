"""Where a library is."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def default_folder() -> Path:
    """Return where the library is when nobody says otherwise: in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("searchapp")


def library_folder(given: str | Path | None) -> Path:
    """Return the absolute path of the library that is meant."""
    return default_folder() if given is None else Path(given).expanduser().absolute()


def may_be_resident(library: Path) -> bool:
    """Tell whether a process can be left behind for a library: not where it cannot be written."""
    return hasattr(socket, "AF_UNIX") and (not library.exists() or os.access(library, os.W_OK))
