"""The SQLite catalogue of a library: the truth about images, files, collections and runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.companions import CompanionTable
from searchapp.catalog.connection import connect, wait_for_writers, write_transaction
from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.catalog.filters.columns import Ids
from searchapp.catalog.filters.matching import FilterMatcher
from searchapp.catalog.filters.pushdown import filter_to_conditions
from searchapp.catalog.fingerprints import Fingerprints
from searchapp.catalog.image_files import LocatedImage, locate_images
from searchapp.catalog.known_content import EmbeddedImageLookup
from searchapp.catalog.maintenance import CatalogMaintenance
from searchapp.catalog.migrations import MIGRATIONS
from searchapp.catalog.outdated_metadata import MetadataRefresh
from searchapp.catalog.path_keys import decode_path
from searchapp.catalog.scan_diff import ScanDiff
from searchapp.catalog.vector_stores import VectorStores
from searchapp.catalog.writer import CatalogWriter, format_utc_now
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error
from searchapp.files.extras import upgrade_hint
from searchapp.files.library_folder import missing_library_error
from searchapp.types import (
    Between,
    Collection,
    CollectionInfo,
    Facets,
    Failure,
    Filter,
    OneOf,
    Overview,
)

CatalogError = sqlite3.Error
APPLICATION_ID = 0x53726368  # in the file's header: a catalogue, and not any SQLite file
PAGE_ROWS = 1000  # rows
SLOW_MIGRATION_IMAGES = (
    50_000  # images: on a slow disk it takes a second to bring so many up to date
)


class Catalog:
    """All SQL is here. Not for use by several threads at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take over a connection in autocommit mode."""
        self._db = Database(connection)
        self._db.execute("pragma foreign_keys = on")
        self._db.execute("pragma cache_size = -32000")  # kB: the inner pages of some million rows
        self._filters = FilterMatcher(self._db)
        self.writer = CatalogWriter(self._db)

    @classmethod
    def open(
        cls,
        file: Path,
        *,
        create: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> Catalog:
        """Open a catalogue; raise LibraryError where there is none, or none of ours.

        tell: told what takes a while, before it does.
        """
        if not create and not file.exists():
            raise missing_library_error(file.parent)
        try:
            catalog = cls(connect(file))
            catalog._verify_and_migrate(file, report)
            return catalog
        except sqlite3.Error as error:
            raise LibraryError(
                f"{file} cannot be used as a catalogue: {explain_disk_error(error)}"
            ) from error

    @classmethod
    def in_memory(cls) -> Catalog:
        """Make an empty catalogue that vanishes when closed."""
        catalog = cls(sqlite3.connect(":memory:", isolation_level=None))
        catalog._verify_and_migrate(Path(":memory:"), lambda line: None)
        return catalog

    def _verify_and_migrate(self, file: Path, report: Callable[[str], None]) -> None:
        """Make a new file a catalogue, bring an old one up to date, refuse any other."""
        application_id = self._fetch_value("pragma application_id")
        tables = self._fetch_value("select count(*) from sqlite_master")
        if tables and application_id != APPLICATION_ID:
            raise LibraryError(f"{file} is not a catalogue of searchapp; name another --library")
        if not tables:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute(f"pragma application_id = {APPLICATION_ID}")
        known_migrations = {
            migration.name for migration in MIGRATIONS.pending(Database(memory=True))
        }
        if any(
            migration.name not in known_migrations for migration in MIGRATIONS.applied(self._db)
        ):
            raise LibraryError(
                f"the library at {file.parent} was written by a newer version of searchapp; "
                f"upgrade: {upgrade_hint()}"
            )
        if MIGRATIONS.pending(self._db):
            if (
                tables
                and self._fetch_value("select coalesce(max(id), 0) from images")
                > SLOW_MIGRATION_IMAGES
            ):
                report("bringing the library up to date ...")
            # Of several who find it old at once, one brings it up to date, and the others wait.
            with wait_for_writers(self._db), write_transaction(self._db):
                MIGRATIONS.apply(self._db)

    def close(self) -> None:
        """Close the connection."""
        self._db.conn.close()

    def write_transaction(self) -> AbstractContextManager[Database]:
        """Wrap what follows in one transaction, which may read before it writes."""
        return write_transaction(self._db)

    @contextmanager
    def begin_transaction(self, dry_run: bool) -> Iterator[None]:
        """Wrap what follows in one transaction, which is taken back where dry."""
        self._db.execute("begin immediate" if not dry_run else "begin")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("rollback" if dry_run else "commit")

    def _fetch_value(self, sql: str, parameters: dict[str, Any] | None = None) -> Any:
        row = self._db.execute(sql, parameters or {}).fetchone()
        return row[0] if row else None

    # Collections and runs

    def list_collections(self) -> list[Collection]:
        """Return all collections, the one that was last indexed completely first."""
        columns = ", ".join(f"c.{column.name}" for column in fields(Collection))
        rows = self._db.execute(
            f"select {columns} from collections c left join runs r on r.collection_id = c.id"
            " group by c.id order by max(r.finished_at) desc nulls last, c.id"
        )
        return [Collection(*row) for row in rows]

    def add_collection(
        self, name: str, model: str, revision: str, dimensions: int, settings: str
    ) -> Collection:
        """Make a collection."""
        self._db.execute(
            "insert into collections (name, model, revision, dimensions, settings, created_at)"
            " values (?, ?, ?, ?, ?, ?)",
            (name, model, revision, dimensions, settings, format_utc_now()),
        )
        return next(c for c in self.list_collections() if c.name == name)

    def set_settings(self, collection: Collection, settings: str) -> Collection:
        """Change how a collection's model is used, in what its vectors do not depend on."""
        self._db.execute(
            "update collections set settings = ? where id = ?", (settings, collection.id)
        )
        return replace(collection, settings=settings)

    def get_embeddings(self, collection: Collection) -> CollectionEmbeddings:
        """Return a collection's embeddings as its index sees them."""
        return CollectionEmbeddings(self._db, collection)

    def get_vector_stores(self, collection: Collection) -> VectorStores:
        """Return where a collection's vectors are besides FAISS files."""
        return VectorStores(self._db, collection)

    def get_fingerprints(self, kind: int) -> Fingerprints:
        """Return the images' fingerprints that were made in one way, its number."""
        return Fingerprints(self._db, kind)

    @property
    def file(self) -> Path | None:
        """Return where the catalogue is; None where it is in memory."""
        file = self._fetch_value("select file from pragma_database_list where name = 'main'")
        return Path(file) if file else None

    def get_companions(self) -> CompanionTable:
        """Return which files belong to a picture, and are none of their own."""
        return CompanionTable(self._db)

    def get_maintenance(self) -> CatalogMaintenance:
        """Return what keeps the whole of it in order."""
        return CatalogMaintenance(self._db)

    # What a run of index asks

    def begin_scan(self) -> ScanDiff:
        """Begin to note what is on disk."""
        return ScanDiff(self._db)

    def get_metadata_refresh(self) -> MetadataRefresh:
        """Return what is to be described again, after a scan."""
        return MetadataRefresh(self._db)

    def open_lookup(self, collection: Collection) -> EmbeddedImageLookup:
        """Open another connection, for threads that ask what is embedded already."""
        return EmbeddedImageLookup(str(self.file), collection.id)

    # What a search reads

    def find_embedding_ids(self, collection: Collection, image_filter: Filter) -> Ids:
        """Return the ids of the embeddings of images that fulfil a filter; QueryError."""
        return self._filters.find_embedding_ids(collection.id, image_filter)

    def filter_to_conditions(
        self, image_filter: Filter
    ) -> tuple[tuple[Between | OneOf, ...], bool]:
        """Return a filter as conditions on fields, and whether they say all of it; see pushed."""
        return filter_to_conditions(self._db, image_filter)

    def read_vectors(self, ids: list[int]) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield stored vectors in pages of (ids, blobs)."""
        for start in range(0, len(ids), 10 * PAGE_ROWS):
            rows = self._db.execute(
                "select id, vector from embeddings where id in (select value from json_each(?))",
                (json.dumps(ids[start : start + 10 * PAGE_ROWS]),),
            ).fetchall()
            yield [row[0] for row in rows], [row[1] for row in rows]

    def locate_images(self, ids: list[int]) -> dict[int, LocatedImage]:
        """Return, by embedding id, the images that have files."""
        return locate_images(
            self._db, "e.id in (select value from json_each(:ids))", ids=json.dumps(ids)
        )

    def find_image(self, image_id: int) -> LocatedImage | None:
        """Return an image that has files, of whatever collection."""
        found = locate_images(self._db, "i.id = :image", image=image_id)
        return next(iter(found.values()), None)

    def read_vector(self, collection: Collection, image_id: int) -> bytes | None:
        """Return an image's stored vector."""
        found: bytes | None = self._fetch_value(
            "select vector from embeddings where collection_id = :collection and image_id = :image",
            {"collection": collection.id, "image": image_id},
        )
        return found

    def read_calibration(self, collection: Collection, sentences_hash: str) -> bytes | None:
        """Return the vectors of the sentences of that hash, where they are kept."""
        found: bytes | None = self._fetch_value(
            "select vectors from calibrations where collection_id = :collection"
            " and sentences = :sentences",
            {"collection": collection.id, "sentences": sentences_hash},
        )
        return found

    def save_calibration(self, collection: Collection, sentences_hash: str, vectors: bytes) -> bool:
        """Keep the vectors of sentences; False where nothing can be written just now."""
        try:
            self._db.execute("pragma busy_timeout = 1000")
            self._db.execute(
                "insert or replace into calibrations values (?, ?, ?)",
                (collection.id, sentences_hash, vectors),
            )
        except sqlite3.OperationalError:  # another writes, or the disk is read-only
            return False
        finally:
            self._db.execute("pragma busy_timeout = 30000")
        return True

    # What info and failures tell

    def count_images_and_files(self) -> tuple[int, int]:
        """Return how many images and files there are."""
        return (
            self._fetch_value("select count(distinct image_id) from files"),
            self._fetch_value("select count(*) from files"),
        )

    def count_facets(self, collection: Collection, image_filter: Filter) -> Facets:
        """Return what a collection's images can be filtered by, beside a filter; QueryError."""
        return self._filters.count_facets(collection.id, image_filter)

    def read_overview(self) -> Overview:
        """Return where the library's images are, and of which days."""
        return self._filters.read_overview()

    def describe_collection(self, collection: Collection) -> CollectionInfo:
        """Return what info tells of a collection."""
        parameters = {"collection": collection.id}
        embedded = self.get_embeddings(collection)
        saved, stores = embedded.read_saved_index(), self.get_vector_stores(collection)
        store = stores.find_current()
        return CollectionInfo(
            name=collection.name,
            model=collection.model,
            revision=collection.revision,
            dimensions=collection.dimensions,
            images=embedded.read_extent().count,
            failures=self._fetch_value(
                "select count(*) from failures where collection_id = :collection", parameters
            ),
            last_run=self._fetch_value(
                "select max(finished_at) from runs where collection_id = :collection", parameters
            ),
            index_bytes=saved.size,
            index=saved.kind,
            index_wanted=embedded.read_requested_kind(),
            index_images=saved.count,
            index_trained=saved.trained,
            vectors=store.place if store else "faiss",
            vectors_wanted=stores.read_requested_url() or "faiss",
        )

    def list_failures(self, collection: Collection) -> list[Failure]:
        """Return the files that were left out, by path."""
        rows = self._db.execute(
            "select path, stage, message from failures where collection_id = ? order by path",
            (collection.id,),
        )
        return [Failure(decode_path(path), stage, message) for path, stage, message in rows]
