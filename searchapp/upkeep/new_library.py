"""Open the catalog of a library, or create the library, and remove it if its command fails."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from searchapp.catalog import Catalog, CatalogError
from searchapp.errors import LibraryError
from searchapp.files.enter_path import find_entered
from searchapp.files.library_folder import catalog_file
from searchapp.files.lock import LOCK_FILE_NAME, hold_writer_lock
from searchapp.files.presence import Presence, check_presence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewLibrary:
    """A library that this process creates."""

    folder: Path
    created_folders: tuple[Path, ...]  # the innermost first

    @classmethod
    def create_folder(cls, folder: Path) -> Self:
        """Create the folder of a library and the folders above; raise LibraryError on failure."""
        missing = tuple(each for each in (folder, *folder.parents) if _is_missing(each))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(
                f"The library at {folder} cannot be created: {error.strerror}. "
                "Name another folder with --library DIR."
            ) from error
        return cls(folder, missing)

    def discard_unused(self, catalog: Catalog) -> None:
        """Remove the library unless it holds images or a complete run, or is open elsewhere."""
        with suppress(LibraryError, CatalogError, OSError):
            upkeep = catalog.get_maintenance()
            with hold_writer_lock(self.folder, "searchapp"):
                if not upkeep.is_unused() or not upkeep.lock_exclusively():
                    return
                catalog_file(self.folder).unlink()
            (self.folder / LOCK_FILE_NAME).unlink(missing_ok=True)
            logger.info("Removed the new library %s: the command failed", self.folder)
        self.remove_folders()

    def remove_folders(self) -> None:
        """Remove the folders that create_folder() has created, as far as they are empty."""
        with suppress(OSError):
            for folder in self.created_folders:
                folder.rmdir()


def open_catalog(
    folder: Path, report: Callable[[str], None], *, create: bool, dry: bool
) -> tuple[Catalog, NewLibrary | None]:
    """Open the catalog of a library; also return the library if it is new.

    create: create the library if it is missing. dry: use an empty catalog in memory if it is.
    report: see Catalog.open. Raises LibraryError.
    """
    state = find_entered(folder, LibraryError)
    if state is not None and not stat.S_ISDIR(state.st_mode):
        raise LibraryError(
            f"{folder} is a file, but a library is a folder. Choose a folder with --library DIR."
        )
    if dry and find_entered(catalog_file(folder), LibraryError) is None:
        return Catalog.in_memory(), None
    if create:
        return _create_catalog(folder, report)
    return Catalog.open(catalog_file(folder), report=report), None


def _create_catalog(
    folder: Path, report: Callable[[str], None]
) -> tuple[Catalog, NewLibrary | None]:
    """Open a catalog, or create its library; after an error, no new folder is left."""
    file = catalog_file(folder)
    new = NewLibrary.create_folder(folder) if _is_missing(file) else None
    try:
        return Catalog.open(file, create=True, report=report), new
    except BaseException:
        if new is not None:
            new.remove_folders()
        raise


def _is_missing(path: Path) -> bool:
    return check_presence(str(path)) is Presence.GONE
