"""Where a library is."""

from __future__ import annotations

from pathlib import Path


def default_folder() -> Path:
    """Return where the library is when nobody says otherwise: in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("searchapp")


def library_folder(given: str | Path | None) -> Path:
    """Return the absolute path of the library that is meant."""
    return default_folder() if given is None else Path(given).expanduser().absolute()
