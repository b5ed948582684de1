"""Write a backup of a library, which is a copy of its catalog, and restore it."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from searchapp.catalog import Catalog, CatalogError, open_backup, replace_catalog
from searchapp.errors import LibraryError
from searchapp.files.atomic import WRITE_REMEDY, explain_disk_error, write_atomically
from searchapp.files.enter_path import enter_path, find_entered
from searchapp.files.library_folder import catalog_file
from searchapp.files.lock import hold_writer_lock
from searchapp.types import RestoreResult
from searchapp.vectors.faiss_files.vector_file import list_unused_files

logger = logging.getLogger(__name__)


def write_backup(catalog: Catalog, file: Path) -> None:
    """Copy a catalog to a file, consistently, even while other processes write.

    Raises LibraryError if reading or writing fails, or if file is the catalog itself: replacing it
    would separate it from its log, which holds the latest changes.
    """
    if catalog.file is not None and _is_same_file(file, catalog.file):
        raise LibraryError(
            f"{file} is the catalog of the library itself. Choose another name for the backup."
        )
    try:
        with write_atomically(file) as temporary:
            catalog.get_maintenance().copy_to_file(temporary)
    except OSError as error:
        raise LibraryError(
            f"The backup {file} cannot be written: {error.strerror or error}. {WRITE_REMEDY}."
        ) from error
    except CatalogError as error:
        raise LibraryError(
            f"The backup {file} cannot be written: {explain_disk_error(error)}"
        ) from error


def _is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths that a user may have entered lead to one existing file."""
    one, other = find_entered(first, LibraryError), find_entered(second, LibraryError)
    return one is not None and other is not None and os.path.samestat(one, other)


def restore_backup(folder: Path, file: Path) -> RestoreResult:
    """Replace the catalog of a library with a backup, or create the library from it.

    The backup is checked first. After a kill, the library has the old or the new catalog.
    Raises LockedError if a process uses the library, and LibraryError if the backup is not usable
    or writing fails.
    """
    file, target = enter_path(file, LibraryError), catalog_file(folder)
    is_new = find_entered(target, LibraryError) is None
    if _is_same_file(file, target):
        raise LibraryError(f"{file} is the catalog of the library itself. Name a backup of it.")
    with open_backup(file) as backup:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(
                f"The library at {folder} cannot be created: {explain_disk_error(error)}"
            ) from error
        with hold_writer_lock(folder, "searchapp restore"):
            replace_catalog(backup, target)
            catalog = Catalog.open(target)
            try:
                _delete_unused_indexes(folder, catalog)
                images, files = catalog.count_images_and_files()
                collections = len(catalog.list_collections())
            finally:
                catalog.close()
    logger.info("Restored the catalog %s from the backup %s.", target, file)
    return RestoreResult(images, files, collections, is_new=is_new)


def _delete_unused_indexes(folder: Path, catalog: Catalog) -> None:
    """Delete the index files of the replaced catalog. The next `index` makes them again."""
    used = {
        catalog.get_embeddings(collection).read_saved_index().file
        for collection in catalog.list_collections()
    }
    for file in list_unused_files(folder, used):
        with suppress(OSError):  # `check --repair` deletes it later.
            file.unlink()
