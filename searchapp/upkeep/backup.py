"""Write a backup of a library: a copy of its catalog."""

from __future__ import annotations

from pathlib import Path

from searchapp.catalog import Catalog, CatalogError
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error, write_atomically


def write_backup(catalog: Catalog, file: Path) -> None:
    """Copy a catalog to a file, consistently, even while other processes write.

    Raises LibraryError if reading or writing fails.
    """
    try:
        with write_atomically(file) as temporary:
            catalog.get_maintenance().copy_to_file(temporary)
    except (OSError, CatalogError) as error:
        raise LibraryError(
            f"The backup {file} cannot be written: {explain_disk_error(error)}"
        ) from error
