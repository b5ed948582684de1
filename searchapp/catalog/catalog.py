"""Open the SQLite catalog of a library, and read or write its collections and images."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.calibrations import CalibrationTable
from searchapp.catalog.collection_info import read_collection_info
from searchapp.catalog.companions import CompanionTable
from searchapp.catalog.connection import connect
from searchapp.catalog.duplicate_reviews import DuplicateReviews
from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.catalog.example_images import ExampleImages
from searchapp.catalog.filters.matching import FilterMatcher
from searchapp.catalog.filters.pushdown import filter_to_conditions
from searchapp.catalog.fingerprints import Fingerprints
from searchapp.catalog.foreign_wal import OPEN_FILES, FileId
from searchapp.catalog.image_files import LocatedImage, locate_images
from searchapp.catalog.known_roots import KnownRoots
from searchapp.catalog.maintenance import CatalogMaintenance
from searchapp.catalog.outdated_metadata import MetadataRefresh
from searchapp.catalog.path_keys import decode_path
from searchapp.catalog.places import PlaceTable
from searchapp.catalog.recognized_texts import RecognizedTexts
from searchapp.catalog.saved_searches import SavedSearchTable
from searchapp.catalog.scan_diff import ScanDiff
from searchapp.catalog.schema_upgrade import upgrade_schema
from searchapp.catalog.text_search import TextSearch
from searchapp.catalog.transactions import CatalogDatabase, begin_transaction, write_transaction
from searchapp.catalog.vector_stores import VectorStores
from searchapp.catalog.writer import CatalogWriter, format_utc_now
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error
from searchapp.files.enter_path import find_entered
from searchapp.files.library_folder import missing_library_error
from searchapp.types import (
    Between,
    Collection,
    CollectionInfo,
    Failure,
    Filter,
    OneOf,
)
from searchapp.types.valid_text import check_text

CatalogError = sqlite3.Error
VECTOR_PAGE_ROWS = 10_000


class Catalog:
    """Read and write the catalog of one library. Not thread-safe.

    Methods raise sqlite3.Error if SQLite fails; see wrap_sqlite_errors().
    """

    def __init__(self, connection: sqlite3.Connection, file: Path | None = None) -> None:
        """Read and write a catalog through an SQLite connection in autocommit mode.

        file: the path of the catalog file; None: the catalog is in memory. SQLite returns paths
        as text, and cannot return a path that is not valid UTF-8.
        """
        self.file = file
        self._db = CatalogDatabase(connection)
        self._file_id: FileId | None = None
        self._db.execute("pragma foreign_keys = on")
        # 32,000 KiB hold the inner B-tree pages of several million rows.
        self._db.execute("pragma cache_size = -32000")
        self.filters = FilterMatcher(self._db)
        self.writer = CatalogWriter(self._db)
        self.texts = TextSearch(self._db)
        self.recognized_texts = RecognizedTexts(self._db)

    @classmethod
    def open(
        cls,
        file: Path,
        *,
        create: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> Catalog:
        """Open a catalog, and upgrade its schema if it is old.

        create: create the file if it is missing.
        report: receives a message before an upgrade that takes long.
        Raises LibraryError if the file is missing, is not a catalog, or was emptied.
        """
        state = find_entered(file, LibraryError)
        if state is None and not create:
            raise missing_library_error(file.parent)
        if state is not None and not state.st_size and any(file.parent.glob("*.faiss")):
            raise LibraryError(
                f"{file} is empty, but the library has an index: the catalog was lost, perhaps in "
                f"a power cut or on a full disk. Restore a backup with `searchapp restore`, or "
                f"delete {file.parent} and index your folders again."
            )
        file_id = OPEN_FILES.add(file)
        try:
            catalog = cls(connect(file), file.absolute())
            upgrade_schema(catalog._db, file, report)
        except BaseException as error:
            OPEN_FILES.remove(file_id)
            if not isinstance(error, sqlite3.Error):
                raise
            raise LibraryError(
                f"{file} cannot be opened as a catalog: {explain_disk_error(error)}"
            ) from error
        catalog._file_id = file_id
        if not file.exists():  # Another process has just discarded the library.
            catalog.close()
            return cls.open(file, create=create, report=report)
        catalog._file_id = file_id or OPEN_FILES.add_new(file)
        return catalog

    @classmethod
    def in_memory(cls) -> Catalog:
        """Create an empty catalog in memory."""
        catalog = cls(sqlite3.connect(":memory:", isolation_level=None))
        upgrade_schema(catalog._db, Path(":memory:"), lambda line: None)
        return catalog

    def close(self) -> None:
        """Close the connection to the catalog file."""
        self._db.conn.close()
        OPEN_FILES.remove(self._file_id)
        self._file_id = None

    def write_transaction(self) -> AbstractContextManager[Database]:
        """Return a context manager that runs the with block in a write transaction."""
        return write_transaction(self._db)

    def begin_transaction(self, dry_run: bool) -> AbstractContextManager[None]:
        """Return a context manager for a transaction, which a dry run rolls back."""
        return begin_transaction(self._db, dry_run)

    def _fetch_value(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:
        row = self._db.execute(sql, parameters or {}).fetchone()
        return row[0] if row else None

    # Collections and runs

    def list_collections(self) -> list[Collection]:
        """Return all collections; the one with the latest complete index run comes first."""
        columns = ", ".join(f"c.{column.name}" for column in fields(Collection))
        # By id, not by time: two runs can end in the same second, and a clock can be set back.
        rows = self._db.execute(
            f"select {columns} from collections c left join runs r on r.collection_id = c.id"
            " and r.finished_at is not null"
            " group by c.id order by max(r.id) desc nulls last, c.id"
        )
        return [Collection(*row) for row in rows]

    def add_collection(
        self, name: str, model: str, revision: str, dimensions: int, settings: str
    ) -> Collection:
        """Add a collection of embeddings to the catalog, and return it.

        Raises QueryError if the name is not valid UTF-8.
        """
        check_text("the name of the collection", name)
        self._db.execute(
            "insert into collections (name, model, revision, dimensions, settings, created_at)"
            " values (?, ?, ?, ?, ?, ?)",
            (name, model, revision, dimensions, settings, format_utc_now()),
        )
        return next(c for c in self.list_collections() if c.name == name)

    def set_settings(self, collection: Collection, settings: str) -> Collection:
        """Replace a collection's settings. Settings that affect vectors must keep their values."""
        self._db.execute(
            "update collections set settings = ? where id = ?", (settings, collection.id)
        )
        return replace(collection, settings=settings)

    def get_embeddings(self, collection: Collection) -> CollectionEmbeddings:
        """Return an object that reads a collection's embeddings and the record of its index."""
        return CollectionEmbeddings(self._db, collection)

    def get_calibrations(self, collection: Collection) -> CalibrationTable:
        """Return the table of a collection's calibration sentences."""
        return CalibrationTable(self._db, collection)

    def get_vector_stores(self, collection: Collection) -> VectorStores:
        """Return the records of the Milvus collections that hold a collection's vectors."""
        return VectorStores(self._db, collection)

    def get_fingerprints(self, kind: int) -> Fingerprints:
        """Return the table of image fingerprints. kind: version of the fingerprint algorithm."""
        return Fingerprints(self._db, kind)

    def get_saved_searches(self) -> SavedSearchTable:
        """Return the table of saved searches."""
        return SavedSearchTable(self._db)

    def get_duplicate_reviews(self) -> DuplicateReviews:
        """Return the table of the choices in reviews of duplicates."""
        return DuplicateReviews(self._db)

    def get_companions(self) -> CompanionTable:
        """Return the table of companion files, such as the RAW file of a JPEG."""
        return CompanionTable(self._db)

    def get_maintenance(self) -> CatalogMaintenance:
        """Return the maintenance operations: check, repair, prune, copy."""
        return CatalogMaintenance(self._db)

    # Index runs

    def begin_scan(self) -> ScanDiff:
        """Return a new comparison of scanned files with the catalog."""
        return ScanDiff(self._db)

    def get_known_roots(self) -> KnownRoots:
        """Return the folders that index runs were asked for."""
        return KnownRoots(self._db)

    def get_metadata_refresh(self) -> MetadataRefresh:
        """Return the object that finds images with outdated metadata after a scan."""
        return MetadataRefresh(self._db)

    def get_places(self) -> PlaceTable:
        """Return the object that reads and writes the names of places."""
        return PlaceTable(self._db)

    # Search

    def filter_to_conditions(
        self, image_filter: Filter
    ) -> tuple[tuple[Between | OneOf, ...], bool]:
        """Translate a filter to conditions for a vector store; see filters.pushdown."""
        return filter_to_conditions(self._db, image_filter)

    def read_vectors(self, ids: list[int]) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield the stored vectors of embeddings, in pages of (ids, vectors)."""
        for start in range(0, len(ids), VECTOR_PAGE_ROWS):
            rows = self._db.execute(
                "select id, vector from embeddings where id in (select value from json_each(?))",
                (json.dumps(ids[start : start + VECTOR_PAGE_ROWS]),),
            ).fetchall()
            yield [row[0] for row in rows], [row[1] for row in rows]

    def locate_images(self, ids: list[int]) -> dict[int, LocatedImage]:
        """Return the images of embeddings by embedding id; leave out images without a file."""
        return locate_images(
            self._db, "e.id in (select value from json_each(:ids))", ids=json.dumps(ids)
        )

    def find_image(self, image_id: int) -> LocatedImage | None:
        """Return an image of any collection; None if it does not exist or has no file."""
        return self.find_images([image_id]).get(image_id)

    def find_images(self, image_ids: list[int]) -> dict[int, LocatedImage]:
        """Return images of any collection by image id; leave out images without a file."""
        found = locate_images(
            self._db, "i.id in (select value from json_each(:ids))", ids=json.dumps(image_ids)
        )
        return {image.image_id: image for image in found.values()}

    def read_vector(self, collection: Collection, image_id: int) -> bytes | None:
        """Return an image's stored vector; None if the collection has no vector for the image."""
        found: bytes | None = self._fetch_value(
            "select vector from embeddings where collection_id = :collection and image_id = :image",
            {"collection": collection.id, "image": image_id},
        )
        return found

    def get_example_images(self, collection: Collection) -> ExampleImages:
        """Return an object that finds pictures of a collection by id, path or content."""
        return ExampleImages(self._db, collection)

    # Statistics and failures

    def count_images_and_files(self) -> tuple[int, int]:
        """Return the number of images that have files, and the number of files."""
        return (
            self._fetch_value("select count(distinct image_id) from files"),
            self._fetch_value("select count(*) from files"),
        )

    def read_last_image_id(self) -> int:
        """Return the highest id of an image; 0 if there are no images."""
        return int(self._fetch_value("select coalesce(max(id), 0) from images"))

    def describe_collection(self, collection: Collection) -> CollectionInfo:
        """Return the statistics of a collection."""
        return read_collection_info(self._db, collection)

    def list_failures(self, collection: Collection) -> list[Failure]:
        """Return the files that could not be indexed, sorted by path.

        The last files are those in which no text could be recognized.
        """
        rows = self._db.execute(
            "select path, stage, message from failures where collection_id = ? order by path",
            (collection.id,),
        )
        failures = [Failure(decode_path(path), stage, message) for path, stage, message in rows]
        return failures + self.recognized_texts.list_failures()
