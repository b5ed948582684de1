"""Explain why a filter by folder matches nothing: the library knows no file below the folder."""

from __future__ import annotations

import os

from searchapp.catalog import Catalog
from searchapp.files import storage
from searchapp.files.presence import Presence, check_presence
from searchapp.files.roots import name_roots_once


def explain_unknown_folder(catalog: Catalog, folder: str) -> str | None:
    """Return why the library knows no file below a folder; None if it knows one.

    folder: an absolute path or URL, as normalize_folder() returns it.
    """
    if catalog.filters.has_files_below(folder):
        return None
    if storage.is_url(folder):
        return f"the library knows no file below {folder}; check the URL, or index it"
    if check_presence(folder) is Presence.GONE:
        return f"{folder}: no such folder, and the library knows no file below it; check the path"
    if os.path.isfile(folder):  # noqa: PTH113 (os.path does not raise for any text)
        return f"{folder} is a file; name the folder that contains it"
    real = os.path.realpath(folder)
    known = name_roots_once([real], catalog.get_known_roots().list_roots())[real]
    for name in (real, known):
        if name != folder and catalog.filters.has_files_below(name):
            return f"{folder}: the library knows this folder as {name}; use that path"
    return (
        f"the library knows no file below {folder}; to index it, run `searchapp index` with this "
        "folder"
    )
