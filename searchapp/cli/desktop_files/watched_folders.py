"""List the folders that a library has indexed, to watch them."""

from __future__ import annotations

from pathlib import Path

from searchapp.catalog import Catalog, wrap_sqlite_errors
from searchapp.files.library_folder import catalog_file
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.storage import is_url


def list_indexed_folders(library: Path) -> list[str]:
    """Return the outermost folders on this computer that were indexed and have pictures.

    Raises LibraryError if the catalog cannot be read.
    """
    with wrap_sqlite_errors(library):
        catalog = Catalog.open(catalog_file(library))
        try:
            roots = catalog.get_known_roots().list_roots()
        finally:
            catalog.close()
    local = sorted(root for root in roots if not is_url(root))
    return [root for root in local if not any(is_exactly_below(root, outer) for outer in local)]
