"""Library: the one door to everything that is kept, and to the engine that fills and asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from searchapp.catalog import Catalog, CatalogError, raise_library_errors, wrap_sqlite_errors
from searchapp.engines import Engine
from searchapp.errors import LibraryError
from searchapp.files.atomic import explain_disk_error, write_atomically
from searchapp.files.library_folder import CATALOG, catalog_file, resolve_library_folder
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.embedding.choose_engines import EngineChoice, RunningEngine, StartEngines
from searchapp.indexing.indexer import Indexer
from searchapp.models import ModelSpec, select_collection
from searchapp.search.library_reader import LibraryReader
from searchapp.search.ranking import resolve_filter_folder
from searchapp.search.search import DirectCalls, QueryPart, run_without_waiting, search
from searchapp.types import (
    ComparisonStarted,
    DuplicateOptions,
    DuplicatesFound,
    Facets,
    Failure,
    Fault,
    FileFailed,
    Filter,
    Hit,
    ImportResult,
    IndexBuilding,
    IndexEvent,
    IndexOptions,
    LibraryInfo,
    MilvusUploading,
    Overview,
    Progress,
    PruneResult,
    Query,
    SearchOptions,
    SearchResult,
    Term,
)
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes


class Library:
    """One directory: the catalogue (SQLite), and an index file (FAISS) for each collection.

    Not for use by several threads at once. Use it as a context manager, or close() it.
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        start: Callable[[ModelSpec], Engine],
        start_many: StartEngines | None = None,
        policy: IndexPolicy = IndexPolicy(),
    ) -> None:
        """Use Library.open()."""
        self.folder = folder
        self._catalog = catalog
        self._engines = RunningEngine(start, start_many)
        self._indexes = Indexes(folder, catalog, policy)
        # Internal: what the server and the map read beside what users ask for.
        self.reader = LibraryReader(folder, catalog, self._indexes)
        self._indexer = Indexer(
            folder, catalog, self._indexes, self.reader.judges, self._engines, policy
        )

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        create: bool = False,
        dry: bool = False,
        start: Callable[[ModelSpec], Engine] | None = None,
        start_many: StartEngines | None = None,
        policy: IndexPolicy = IndexPolicy(),
        tell: Callable[[str], None] = lambda line: None,
    ) -> Library:
        """Open a library; raise LibraryError where there is none, or none that can be used.

        folder: by default the one in the user's data folder. create: make it if it is missing;
        dry: then only pretend to, in memory.
        start: what starts the engine, when one is needed; by default EngineChoice().start.
        start_many: what starts several, in processes of their own, to index many files; by
        default EngineChoice().start_many, and none where start is given.
        policy: when an index is changed for another, trained anew, and saved.
        tell: told that a large library of an earlier version is brought up to date, which takes
        a while.
        """
        path = resolve_library_folder(folder)
        if path.exists() and not path.is_dir():
            raise LibraryError(f"{path} is a file; a library is a folder")
        choice = EngineChoice()
        if start is None and start_many is None:
            start_many = choice.start_many
        start = start or choice.start
        if dry and not catalog_file(path).exists():
            return cls(path, Catalog.in_memory(), start, policy=policy)
        if create:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(f"no library can be made at {path}: {error.strerror}") from error
        catalog = Catalog.open(catalog_file(path), create=create, report=tell)
        return cls(path, catalog, start, start_many, policy)

    def close(self) -> None:
        """Stop the engine and close the catalogue."""
        self._engines.close()
        self._indexes.close()
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def index(
        self, folders: Iterable[str | Path], options: IndexOptions = IndexOptions()
    ) -> Iterator[IndexEvent]:
        """Embed what is new below the folders, and yield events; Finished is the last.

        Stopping it at any moment (closing the iterator, Ctrl-C, a power cut) keeps what was
        saved; the same call goes on from there. Errors: FolderError, ModelError, EngineError,
        LibraryError (another process writes, the disk is full, fails, or is read-only).
        """
        with wrap_sqlite_errors(self.folder):
            yield from self._indexer.index(folders, options)

    def move(
        self, iter_vectors: str, collection: str | None = None
    ) -> Iterator[IndexBuilding | MilvusUploading]:
        """Keep a collection's vectors elsewhere: in a FAISS file ("faiss"), or in Milvus.

        Nothing is embedded. The old place answers until the new one is complete, and is cleared
        then. Stopped at any moment, it goes on when it is called again, and with the next index.
        Errors: VectorsError, LibraryError.
        """
        with wrap_sqlite_errors(self.folder):
            yield from self._indexer.move_vectors(iter_vectors, collection)

    def search(
        self, query: Query | Sequence[Term], options: SearchOptions = SearchOptions()
    ) -> list[Hit]:
        """Return the nearest images, best first; fewer than asked for where there are fewer.

        query: one question, or terms whose vectors are added up by their weights: a picture plus
        the words for what it should have, minus the words for what it should not.
        Only images with a file that exists are returned. Errors: QueryError,
        UnsupportedModality, PictureError, ModelError, EngineError, LibraryError.
        """
        return list(self.find(query, options).hits)

    @raise_library_errors
    def find(
        self, query: Query | Sequence[Term], options: SearchOptions = SearchOptions()
    ) -> SearchResult:
        """Search as search() does, and tell whether the best is a good match."""
        terms = [Term(query)] if isinstance(query, Query) else list(query) or [Term(Query())]
        parts = [QueryPart(term.query, weight=term.weight) for term in terms]
        calls = DirectCalls(self.reader, self._engines.get)
        return run_without_waiting(search(calls, parts, options, one_prompt=True))

    def similar(self, image_id: int, options: SearchOptions = SearchOptions()) -> list[Hit]:
        """Return the images nearest to one that is indexed, itself first; no engine is needed."""
        return list(self.find_similar(image_id, options).hits)

    @raise_library_errors
    def find_similar(self, image_id: int, options: SearchOptions = SearchOptions()) -> SearchResult:
        """Search as similar() does, and tell whether the best is a good match."""
        collection = select_collection.get_collection(self._catalog, options.collection)
        load_vector = self.reader.read_vector(collection, image_id)
        return self.reader.find_nearest(collection, load_vector, options, "image")

    @raise_library_errors
    def count_facets(
        self, image_filter: Filter = Filter(), collection: str | None = None
    ) -> Facets:
        """Return what a collection's images can be filtered by, and how many there are of each.

        wanted: only images that fulfil it count, each kind as if it asked nothing of its own.
        Errors: QueryError, LibraryError.
        """
        return self._catalog.count_facets(
            select_collection.get_collection(self._catalog, collection),
            resolve_filter_folder(image_filter),
        )

    @raise_library_errors
    def load_overview(self) -> Overview:
        """Return where the images are, and of which days."""
        return self._catalog.read_overview()

    @raise_library_errors
    def info(self) -> LibraryInfo:
        """Return what the library holds."""
        images, files = self._catalog.count_images_and_files()
        return LibraryInfo(
            path=self.folder,
            images=images,
            files=files,
            catalog_bytes=sum(_file_bytes(f) for f in self.folder.glob(f"{CATALOG}*")),
            collections=tuple(
                self._catalog.describe_collection(collection)
                for collection in self._catalog.list_collections()
            ),
        )

    def check(self, *, files: int | None = 100, repair: bool = False) -> Iterator[Fault]:
        """Yield what is wrong with the library; mend what can be mended where repair is asked for.

        files: how many are read again to compare their bytes; None: all. Errors: LibraryError
        (another process writes).
        """
        from searchapp.upkeep.check import LibraryCheck

        check = LibraryCheck(self.folder, self._catalog, files)
        lock = (
            hold_writer_lock(self.folder, "searchapp check --repair") if repair else nullcontext()
        )
        with wrap_sqlite_errors(self.folder), lock:
            yield from check.find_faults(repair=repair)

    def duplicates(
        self, options: DuplicateOptions = DuplicateOptions()
    ) -> Iterator[Progress | FileFailed | ComparisonStarted | DuplicatesFound]:
        """Find files that hold the same picture, and yield events; Found is the last.

        Pictures that were not compared before are read once; stopping it keeps what was read, and
        the same call goes on from there. No file is changed. Errors: QueryError, for the filter;
        LibraryError (no pictures yet; another process writes, where there is something to read).
        """
        from searchapp.duplicates.find import DuplicateFinder

        with wrap_sqlite_errors(self.folder):
            collection = select_collection.get_collection(self._catalog, options.collection)
            finder = DuplicateFinder(self.folder, self._catalog, self._indexes, collection, options)
            yield from finder.find_duplicates()

    @raise_library_errors
    def prune(self, *, missing: bool = False, dry: bool = False) -> PruneResult:
        """Remove images that no file holds any more, with embeddings and thumbnails.

        missing: forget files that are not there now, first. Errors: LibraryError.
        """
        from searchapp.upkeep.prune import prune_library

        with nullcontext() if dry else hold_writer_lock(self.folder, "searchapp prune"):
            return prune_library(
                self.folder, self._catalog, self._indexes, forget_missing=missing, is_dry_run=dry
            )

    @raise_library_errors
    def export(self, file: Path, collection: str | None = None) -> int:
        """Write a collection to a .npy, .json or .parquet file; return how many images it has."""
        from searchapp.upkeep import exchange

        chosen = select_collection.get_collection(self._catalog, collection)
        count = self._catalog.get_embeddings(chosen).read_extent().count
        return exchange.write_export(
            file, chosen, self._catalog.get_maintenance().read_images(chosen), count
        )

    @raise_library_errors
    def load(self, file: Path, collection: str | None = None) -> ImportResult:
        """Read what export has written, and add what is not there yet; no engine is needed.

        Files count that are there, as they were; of others the images are known, so that index
        embeds none of them again wherever they are. Errors: LibraryError.
        """
        from searchapp.upkeep import exchange

        with hold_writer_lock(self.folder, "searchapp import"):
            loaded, select_target = exchange.load_export(self._catalog, file, collection)
            list(self._indexes.save_index(select_target))
        return loaded

    def backup(self, file: Path) -> None:
        """Copy the catalogue to a file, whole and as it is now, while others may write.

        All else is made of it again. Errors: LibraryError where it cannot be written.
        """
        try:
            with write_atomically(file) as temporary:
                self._catalog.get_maintenance().copy_to_file(temporary)
        except (OSError, CatalogError) as error:
            raise LibraryError(
                f"no backup was made at {file}: {explain_disk_error(error)}"
            ) from error

    @raise_library_errors
    def failures(self, collection: str | None = None) -> list[Failure]:
        """Return the files that could not be used, and why."""
        return self._catalog.list_failures(
            select_collection.get_collection(self._catalog, collection)
        )


def _file_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
