"""Library: the public Python interface to index, search and maintain a library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from searchapp.catalog import Catalog, raise_library_errors, wrap_sqlite_errors
from searchapp.duplicates.review_store import ReviewStore
from searchapp.engines import Engine
from searchapp.engines.reranker import RerankerHolder, StartReranker
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import resolve_library_folder
from searchapp.files.link_folder import LinkChanges
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.embedding.choose_engines import EngineChoice, EngineHolder, StartEngines
from searchapp.indexing.indexer import Indexer
from searchapp.models import ModelSpec, select_collection
from searchapp.search.library_reader import LibraryReader
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.search.ranking import resolve_filter_folder
from searchapp.search.saved_searches import SavedSearches
from searchapp.search.search import search
from searchapp.search.search_calls import DirectCalls, run_without_waiting
from searchapp.search.search_together import MAX_SEARCHES, answer_together, sort_result
from searchapp.types import (
    ComparisonStarted,
    DuplicateOptions,
    DuplicatesFound,
    Example,
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
    RecognitionOptions,
    RestoreResult,
    SavedSearch,
    SearchOptions,
    SearchQuestion,
    SearchResult,
    SidecarChange,
    SidecarNaming,
    TaggedPicture,
    TagOptions,
    TagWord,
    Term,
    TextProgress,
    TextsRecognized,
)
from searchapp.upkeep.backup import restore_backup, write_backup
from searchapp.upkeep.library_info import read_library_info
from searchapp.upkeep.new_library import NewLibrary, open_catalog
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes


class Library:
    """A folder with a catalog (SQLite) and a vector index (FAISS file) for each collection.

    Not thread-safe. Use it as a context manager, or call close().
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        start: Callable[[ModelSpec], Engine],
        start_many: StartEngines | None = None,
        policy: IndexPolicy = IndexPolicy(),
        new: NewLibrary | None = None,
        start_reranker: StartReranker | None = None,
    ) -> None:
        """Create a Library object from its parts. Applications call Library.open() instead.

        new: the library if this process has just created it.
        """
        self.folder = folder
        self._new = new
        self._catalog = catalog
        self._engines = EngineHolder(start, start_many)
        self._rerankers = RerankerHolder(start_reranker or EngineChoice().start_reranker)
        self._indexes = Indexes(folder, catalog, policy)
        # Internal: the server and the map use it to read the catalog and the indexes.
        self.reader = LibraryReader(folder, catalog, self._indexes)
        self.saved = SavedSearches(folder, catalog)
        self.reviews = ReviewStore(folder, catalog)
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
        start_reranker: StartReranker | None = None,
        policy: IndexPolicy = IndexPolicy(),
        tell: Callable[[str], None] = lambda line: None,
    ) -> Library:
        """Open a library.

        Raises LibraryError if it is missing or damaged, or a newer version of searchapp wrote it.

        folder: None is the default library in the user's data folder.
        create: create the library if it is missing. If a with block over the new library ends
            with an error, the library is removed, unless it holds images or a complete run.
        dry: use an empty catalog in memory if the library is missing.
        start: function that starts an engine when it is needed; default: EngineChoice().start.
        start_many: function that starts several engines in processes, to index many files. Default:
            EngineChoice().start_many, or None if start is given.
        start_reranker: function that starts a reranker by its name when a search needs it. Default:
            EngineChoice().start_reranker.
        policy: when to change the kind of a vector index, and when to train and save the index.
        tell: receives a message before the upgrade of a large library, which takes long.
        """
        path = resolve_library_folder(folder)
        catalog, new = open_catalog(path, tell, create=create, dry=dry)
        choice = EngineChoice()
        if start is None and start_many is None:
            start_many = choice.start_many
        if catalog.file is None:  # Other processes cannot read a catalog in memory.
            start_many = None
        start = start or choice.start
        return cls(path, catalog, start, start_many, policy, new, start_reranker)

    def close(self) -> None:
        """Stop the engine and close the catalog."""
        self._close(failed=False)

    def _close(self, *, failed: bool) -> None:
        self._engines.close()
        self._rerankers.close()
        self._indexes.close()
        if failed and self._new is not None:
            self._new.discard_unused(self._catalog)
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(failed=error is not None)

    def index(
        self, folders: Iterable[str | Path], options: IndexOptions = IndexOptions()
    ) -> Iterator[IndexEvent]:
        """Scan folders, embed new pictures, and yield events; RunFinished is the last.

        An interrupted run (closed iterator, Ctrl-C, power cut) keeps everything that was saved; the
        same call continues. Raises FolderError, ModelError, EngineError, or LibraryError: another
        process writes, or the disk is full, damaged or read-only.
        """
        with wrap_sqlite_errors(self.folder):
            yield from self._indexer.index(folders, options)

    def recognize_text(
        self, options: RecognitionOptions = RecognitionOptions()
    ) -> Iterator[TextProgress | FileFailed | TextsRecognized]:
        """Recognize text in indexed pictures, and yield events; TextsRecognized is the last.

        Words in the text then find the pictures. An interrupted run keeps everything that was read;
        the same call continues. Raises SearchAppError if the extra `ocr` is not installed,
        QueryError if the filter is invalid, LibraryError if another process writes.
        """
        from searchapp.indexing.recognition.indexed_pictures import recognize_indexed_pictures

        with wrap_sqlite_errors(self.folder):
            yield from recognize_indexed_pictures(self.folder, self._catalog, options)

    def move(
        self, vectors: str, collection: str | None = None
    ) -> Iterator[IndexBuilding | MilvusUploading]:
        """Move a collection's vectors to another store, without embedding again.

        vectors: "faiss", or the address of Milvus. The old store answers searches until the new one
        is complete, and is then deleted. An interrupted move continues with the next call, and with
        the next index run. Raises VectorStoreError or LibraryError.
        """
        with wrap_sqlite_errors(self.folder):
            yield from self._indexer.move_vectors(vectors, collection)

    def search(
        self,
        query: Query | Sequence[Term],
        options: SearchOptions = SearchOptions(),
        examples: Sequence[Example] = (),
    ) -> list[Hit]:
        """Return the hits nearest to a query, best first.

        query: one query, or terms whose vectors are summed with their weights: a picture, plus the
        words for what the hits must show, minus the words for what they must not show. It can be
        empty if there are examples: pictures that the hits should resemble, or should not.
        Images without an existing file are left out. Raises QueryError, UnsupportedModality,
        PictureError, ModelError, EngineError or LibraryError.
        """
        return list(self.find(query, options, examples).hits)

    @raise_library_errors
    def find(
        self,
        query: Query | Sequence[Term],
        options: SearchOptions = SearchOptions(),
        examples: Sequence[Example] = (),
    ) -> SearchResult:
        """Search as search() does; also return whether the best hit is a good match."""
        terms = [Term(query)] if isinstance(query, Query) else list(query)
        if not terms and not examples:
            terms = [Term(Query())]
        parts = [QueryPart.from_term(term) for term in terms]
        return self._run_search(PreparedSearch(parts, list(examples), options, one_prompt=True))

    def find_many(
        self, questions: Iterable[SearchQuestion]
    ) -> Iterator[SearchResult | SearchAppError]:
        """Yield the result of find() for each question, or the error that it would raise.

        Questions share calls of the engine and of the index, so that many are faster together.
        Raises EngineError and LibraryError, because the next questions would fail too.
        """
        calls = DirectCalls(self.reader, self._engines.get, self._rerankers)
        iterator = iter(questions)
        while batch := list(islice(iterator, MAX_SEARCHES)):
            with wrap_sqlite_errors(self.folder):
                outcomes = run_without_waiting(answer_together(calls, batch))
            yield from outcomes

    @raise_library_errors
    def list_newest(self, options: SearchOptions = SearchOptions()) -> SearchResult:
        """Return the pictures that match the filters, newest first, as hits with score 0.

        No engine starts. Raises QueryError or LibraryError.
        """
        return self.reader.find_newest(options)

    @raise_library_errors
    def find_saved(self, name: str, changes: Mapping[str, Any] = {}) -> SearchResult:
        """Run a saved search, whose name self.saved knows: see find().

        changes: options of SearchOptions that replace those of the saved search. Also raises
        QueryError if there is no such saved search.
        """
        return self._run_search(self.saved.prepare(name, changes))

    @raise_library_errors
    def find_tags(
        self, words: Sequence[TagWord], options: TagOptions = TagOptions()
    ) -> list[TaggedPicture]:
        """Return the pictures that words fit, with their tags; nothing is written.

        Each phrase is embedded once, and compared with the stored vectors. A word fits if it is a
        good match. Raises QueryError, ModelError, EngineError or LibraryError.
        """
        from searchapp.search.tags.find_tags import find_tags

        calls = DirectCalls(self.reader, self._engines.get, self._rerankers)
        return run_without_waiting(find_tags(calls, words, options))

    def write_tags(
        self,
        pictures: Sequence[TaggedPicture],
        options: TagOptions = TagOptions(),
        naming: SidecarNaming = "auto",
    ) -> Iterator[SidecarChange]:
        """Write tags that find_tags() returned for options: see sidecar_files.write_tags.

        Own tags from an earlier call that are not among them are taken back.
        """
        from searchapp.search.tags.sidecar_files import write_tags

        paths = self.reader.list_paths(options.collection, options.base_filter)
        return write_tags(pictures, naming, paths)

    def undo_tags(self, options: TagOptions = TagOptions()) -> Iterator[SidecarChange]:
        """Take own tags out of the XMP sidecars of pictures that match the filter of options.

        Raises QueryError or LibraryError.
        """
        from searchapp.search.tags.sidecar_files import undo_tags

        return undo_tags(self.reader.list_paths(options.collection, options.base_filter))

    def sync_links(self, search: SavedSearch) -> LinkChanges:
        """Run a saved search, and bring its folder of links up to date.

        Raises the errors of find_saved(), and FolderError if the folder cannot be written.
        """
        return self.saved.sync_links(search, self.find_saved(search.name).hits)

    def _run_search(self, prepared: PreparedSearch) -> SearchResult:
        calls = DirectCalls(self.reader, self._engines.get, self._rerankers)
        result = run_without_waiting(
            search(
                calls, prepared.parts, prepared.options, one_prompt=prepared.one_prompt,
                examples=prepared.examples,
            )
        )  # fmt: skip
        return sort_result(result, prepared)

    def similar(self, image_id: int, options: SearchOptions = SearchOptions()) -> list[Hit]:
        """Return the hits nearest to an indexed image, the image itself first. Starts no engine."""
        return list(self.find_similar(image_id, options).hits)

    def find_similar(self, image_id: int, options: SearchOptions = SearchOptions()) -> SearchResult:
        """Search as similar() does; also return whether the best hit is a good match."""
        return self.reader.find_similar(image_id, options)

    @raise_library_errors
    def count_facets(
        self, image_filter: Filter = Filter(), collection: str | None = None
    ) -> Facets:
        """Count a collection's images by month, folder, camera and other facets.

        Images that do not match image_filter are not counted. Raises QueryError or LibraryError.
        """
        chosen = select_collection.get_collection(self._catalog, collection)
        return self._catalog.filters.count_facets(chosen.id, resolve_filter_folder(image_filter))

    @raise_library_errors
    def load_overview(self) -> Overview:
        """Return the folders and the range of dates of all images in the library."""
        return self._catalog.filters.read_overview()

    @raise_library_errors
    def info(self) -> LibraryInfo:
        """Return the statistics of the library and its collections."""
        return read_library_info(self.folder, self._catalog)

    def check(self, *, files: int | None = 100, repair: bool = False) -> Iterator[Fault]:
        """Yield the faults of the library. If repair is true, correct faults that can be corrected.

        files: number of files to read again and compare with their SHA-256; None: all.
        Raises LibraryError if another process writes.
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
        """Find files with the same picture, and yield events; DuplicatesFound is the last.

        The first search reads each picture once; an interrupted search continues with the same
        call. No picture file is changed. Raises QueryError if the filter is invalid, LibraryError
        if there are no pictures, or if new pictures must be read while another process writes.
        """
        from searchapp.duplicates.find import find_reviewed_duplicates

        with wrap_sqlite_errors(self.folder):
            yield from find_reviewed_duplicates(
                self.folder, self._catalog, self._indexes, self.reviews, options
            )

    @raise_library_errors
    def prune(self, *, missing: bool = False, dry: bool = False) -> PruneResult:
        """Delete images without a file, with their embeddings and thumbnails.

        missing: first forget files that no longer exist. dry: count, but delete nothing. Raises
        LibraryError.
        """
        from searchapp.upkeep.prune import prune_library

        with nullcontext() if dry else hold_writer_lock(self.folder, "searchapp prune"):
            return prune_library(
                self.folder, self._catalog, self._indexes, forget_missing=missing, is_dry_run=dry
            )

    @raise_library_errors
    def export(self, file: Path, collection: str | None = None) -> int:
        """Write a collection to a .npy, .json or .parquet file; return the number of images."""
        from searchapp.upkeep import exchange

        return exchange.export_collection(
            self._catalog, file, collection, self.saved.list_searches()
        )

    @raise_library_errors
    def load(self, file: Path, collection: str | None = None) -> ImportResult:
        """Import an exported collection, without images that the library already has.

        Files that exist on this machine are added with their exported size and time. Images
        without such a file are stored too, so that an index run never embeds them again. Raises
        LibraryError.
        """
        from searchapp.upkeep import exchange

        with hold_writer_lock(self.folder, "searchapp import"):
            result, target = exchange.load_export(self._catalog, file, collection)
            list(self._indexes.save_index(target))
        return result

    def backup(self, file: Path) -> None:
        """Copy the catalog to a file, consistently, even while other processes write.

        All other files of a library can be rebuilt from the copy. Raises LibraryError if writing
        fails.
        """
        write_backup(self._catalog, file)

    @staticmethod
    def restore(file: Path, folder: str | Path | None = None) -> RestoreResult:
        """Replace the catalog of a library with a backup, or create the library from it.

        folder: None is the default library. The backup is checked first. Raises LockedError if a
        process uses the library, and LibraryError if the backup is damaged or writing fails.
        """
        return restore_backup(resolve_library_folder(folder), file)

    @raise_library_errors
    def failures(self, collection: str | None = None) -> list[Failure]:
        """Return the files that could not be indexed, with a reason for each file."""
        return self._catalog.list_failures(
            select_collection.get_collection(self._catalog, collection)
        )
