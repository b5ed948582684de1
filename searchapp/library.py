"""Library: the one door to everything that is kept, and to the engine that fills and asks it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from searchapp import collections, engines, querying, scan
from searchapp.catalog import Catalog, Located
from searchapp.engines import Engine, Vector
from searchapp.errors import LibraryError, QueryError
from searchapp.indexing import Run, Source
from searchapp.lock import writer_lock
from searchapp.models import ModelSpec
from searchapp.place import library_folder
from searchapp.types import (
    Collection,
    Event,
    Facets,
    Failure,
    Finished,
    Hit,
    IndexOptions,
    LibraryInfo,
    Query,
    SearchOptions,
    Term,
)

if TYPE_CHECKING:
    from searchapp.engines.worker import Job
    from searchapp.vectors import VectorIndex

CATALOG = "catalog.db"
# Starts engines for a job of so many files, so many on a GPU; None where one in this process does.
StartMany: TypeAlias = "Callable[[Job, int, int | None], Source | None]"


class Library:
    """One directory: the catalogue (SQLite), and an index file (FAISS) for each collection.

    Not for use by several threads at once. Use it as a context manager, or close() it.
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        start: Callable[[ModelSpec], Engine],
        start_many: StartMany | None = None,
    ) -> None:
        """Use Library.open()."""
        self.folder = folder
        self._start_many = start_many
        self._catalog = catalog
        self._start = start
        self._engine: Engine | None = None
        self._indexes: dict[int, VectorIndex] = {}

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        create: bool = False,
        dry: bool = False,
        start: Callable[[ModelSpec], Engine] | None = None,
        start_many: StartMany | None = None,
    ) -> Library:
        """Open a library; raise LibraryError where there is none, or none that can be used.

        folder: by default the one in the user's data folder. create: make it if it is missing;
        dry: then only pretend to, in memory.
        start: what starts the engine, when one is needed; by default engines.start_engine.
        start_many: what starts several, in processes of their own, to index many files; by
        default engines.start_replicas, and none where start is given.
        """
        path = library_folder(folder)
        if path.exists() and not path.is_dir():
            raise LibraryError(f"{path} is a file; a library is a folder")
        if start is None and start_many is None:
            start_many = engines.start_replicas
        start = start or engines.start_engine
        if dry and not (path / CATALOG).exists():
            return cls(path, Catalog.in_memory(), start)
        if create:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(f"no library can be made at {path}: {error.strerror}") from error
        return cls(path, Catalog.open(path / CATALOG, create=create), start, start_many)

    def close(self) -> None:
        """Stop the engine and close the catalogue."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
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
    ) -> Iterator[Event]:
        """Embed what is new below the folders, and yield events; Finished is the last.

        Stopping it at any moment (closing the iterator, Ctrl-C, a power cut) keeps what was
        saved; the same call goes on from there. Errors: FolderError, ModelError, EngineError,
        LibraryError (another process writes).
        """
        roots = scan.resolve_roots([Path(folder) for folder in folders])
        if options.dry_run:
            collection, spec = collections.for_indexing(self._catalog, options)
            run = self._run(collection, spec, roots, options)
            yield from run.rehearse()
        else:
            with writer_lock(self.folder, "searchapp index"):
                collection, spec = collections.for_indexing(self._catalog, options)
                if collection is None:
                    collection = collections.add(self._catalog, options, spec)
                else:
                    collection = collections.remember(self._catalog, collection, options)
                run = self._run(collection, spec, roots, options)
                yield from run.execute(collection)
                self._save_index(collection)
        yield Finished(run.summary)

    def _run(
        self,
        collection: Collection | None,
        spec: ModelSpec,
        roots: list[Path],
        options: IndexOptions,
    ) -> Run:
        def start_source(collection: Collection, files: int) -> Source:
            return self._source(collection, spec, options, files)

        return Run(self._catalog, spec, roots, options, start_source, collection)

    def _source(
        self, collection: Collection, spec: ModelSpec, options: IndexOptions, files: int
    ) -> Source:
        """Return what embeds the files of a run: many engines, or the one of this process."""
        from searchapp.engines import machine
        from searchapp.engines.pipeline import Pipeline
        from searchapp.engines.worker import Job

        if self._start_many is not None and self._engine is None:
            job = Job(spec, self._catalog.file, collection.id, options.max_megapixels)
            many = self._start_many(job, files, options.replicas)
            if many is not None:
                return many
        return Pipeline(
            spec,
            lambda: self._running(spec),
            self._catalog.lookup(collection),
            max_megapixels=options.max_megapixels,
            threads=machine.threads_each(1),
        )

    def search(
        self, query: Query | Sequence[Term], options: SearchOptions = SearchOptions()
    ) -> list[Hit]:
        """Return the nearest images, best first; fewer than asked for where there are fewer.

        query: one question, or terms whose vectors are added up by their weights: a picture plus
        the words for what it should have, minus the words for what it should not.
        Only images with a file that exists are returned. Errors: QueryError,
        UnsupportedModality, PictureError, ModelError, EngineError, LibraryError.
        """
        collection, spec = self.target(options)
        terms = [Term(query)] if isinstance(query, Query) else list(query) or [Term(Query())]
        items = [querying.engine_input(spec, term.query) for term in terms]
        engine = self._running(spec)
        for number, term in enumerate(terms):
            short = querying.shortened(engine, term.query, options.truncate)
            if short is not term.query:
                items[number] = querying.engine_input(spec, short)
        vectors = querying.embed(engine, items)
        vector = querying.add_up(vectors, [term.weight for term in terms])
        return self.nearest(collection, vector, options)

    def target(self, options: SearchOptions) -> tuple[Collection, ModelSpec]:
        """Return the collection that a search would take, and the model for its query."""
        return collections.for_search(self._catalog, options)

    def similar(self, image_id: int, options: SearchOptions = SearchOptions()) -> list[Hit]:
        """Return the images nearest to one that is indexed, itself first; no engine is needed."""
        from searchapp.vectors import unpack

        collection = collections.chosen(self._catalog, options.collection)
        stored = self._catalog.vector_of(collection, image_id)
        if stored is None:
            raise QueryError(f"no image {image_id} in the collection {collection.name}")
        (vector,) = unpack([stored], collection.dimensions)
        return self.nearest(collection, vector, options)

    def image(self, image_id: int) -> Located | None:
        """Return an image and where its files are; None where there is none."""
        return self._catalog.image_by_id(image_id)

    def facets(self) -> Facets:
        """Return what the images can be filtered by: folders and dates."""
        return self._catalog.facets()

    def info(self) -> LibraryInfo:
        """Return what the library holds."""
        images, files = self._catalog.counts()
        return LibraryInfo(
            path=self.folder,
            images=images,
            files=files,
            catalog_bytes=sum(_size(f) for f in self.folder.glob(f"{CATALOG}*")),
            collections=tuple(
                self._catalog.describe(
                    collection,
                    _size(self.folder / collection.index_file) if collection.index_file else 0,
                )
                for collection in self._catalog.collections()
            ),
        )

    def failures(self, collection: str | None = None) -> list[Failure]:
        """Return the files that could not be used, and why."""
        return self._catalog.failures(collections.chosen(self._catalog, collection))

    def _running(self, spec: ModelSpec) -> Engine:
        """Return the engine of a model, started where it does not run yet."""
        if self._engine is not None and self._engine.spec != spec:
            self._engine.close()
            self._engine = None
        if self._engine is None:
            self._engine = self._start(spec)
        return self._engine

    # Vectors

    def nearest(self, collection: Collection, vector: Vector, options: SearchOptions) -> list[Hit]:
        """Return the images whose vectors are nearest to one, best first, ties by age."""
        index, folder, among = self._synced(collection), options.folder, None
        if folder is not None:
            folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100
        if (folder, options.after, options.before) != (None, None, None):
            ids = self._catalog.matching_ids(
                collection, folder=folder, after=options.after, before=options.before
            )
            among = np.array(ids, dtype=np.int64)
        most = len(index) if among is None else len(among)
        wanted = options.offset + options.count
        asked, hits = 0, list[Hit]()
        # Of the nearest some may have lost their files: ask for more until there are enough.
        while len(hits) < wanted and asked < most:
            asked = min(most, max(2 * wanted, 4 * asked))
            found = sorted(index.search(vector, asked, among), key=lambda it: (-it[1], it[0]))
            if options.min_score is not None:
                found = [(id, score) for id, score in found if score >= options.min_score]
            located = self._catalog.locate([id for id, _ in found])
            hits = [
                hit
                for id, score in found
                if (hit := _hit(located.get(id), score, folder)) is not None
            ]
            if len(found) < asked:
                break
        return hits[options.offset : wanted]

    def _synced(self, collection: Collection) -> VectorIndex:
        """Return the collection's index, in step with the catalogue, in memory."""
        from searchapp.vectors import VectorIndex

        index = self._indexes.get(collection.id)
        if index is None:
            file = self.folder / collection.index_file if collection.index_file else None
            index = self._indexes[collection.id] = VectorIndex.open(file, collection.dimensions)
        if index.extent != self._catalog.extent(collection):
            self._sync(index, collection)
        return index

    def _sync(self, index: VectorIndex, collection: Collection) -> None:
        from searchapp.vectors import unpack

        live = np.array(self._catalog.embedding_ids(collection), dtype=np.int64)
        index.remove(np.setdiff1d(index.ids, live))
        missing = np.setdiff1d(live, index.ids).tolist()
        for ids, blobs in self._catalog.vectors(missing):
            index.add(np.array(ids, dtype=np.int64), unpack(blobs, collection.dimensions))

    def _save_index(self, collection: Collection) -> None:
        """Bring the index file in step with the catalogue, where it is not."""
        saved = (collection.index_count, collection.index_last_id)
        name = f"collection-{collection.id}"
        there = collection.index_file and (self.folder / collection.index_file).exists()
        if there and saved == self._catalog.extent(collection):
            return
        index = self._synced(collection)
        file = index.save(self.folder, name)
        self._catalog.set_index(collection, file.name, *index.extent)
        for other in self.folder.glob(f"{name}-*"):
            if other != file:
                other.unlink(missing_ok=True)


def _hit(image: Located | None, score: float, folder: Path | None) -> Hit | None:
    """Make a hit of an image that has files; those below the folder asked for come first."""
    paths = [path for path in (image.paths if image else ()) if os.path.exists(path)]  # noqa: PTH110
    if image is None or not paths:
        return None
    if folder is not None:
        paths.sort(key=lambda path: folder not in Path(path).parents)
    best, *also = paths
    return Hit(
        best, round(score, 6), image.sha256, image.width, image.height, tuple(also),
        image.image_id, image.taken_at, image.camera,
    )  # fmt: skip


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
