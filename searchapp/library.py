"""Library: the one door to everything that is kept, and to the engine that fills and asks it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from searchapp import collections, engines, querying, scan
from searchapp.catalog import Catalog, Located
from searchapp.engines import Engine, Vector
from searchapp.errors import LibraryError, QueryError
from searchapp.indexing import Run
from searchapp.lock import writer_lock
from searchapp.models import ModelSpec
from searchapp.place import library_folder
from searchapp.syncing import Indexes, Keeper
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
from searchapp.vectors import kinds, unpack
from searchapp.vectors.kinds import Policy

CATALOG = "catalog.db"


class Library:
    """One directory: the catalogue (SQLite), and an index file (FAISS) for each collection.

    Not for use by several threads at once. Use it as a context manager, or close() it.
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        start: Callable[[ModelSpec], Engine],
        policy: Policy = Policy(),
    ) -> None:
        """Use Library.open()."""
        self.folder = folder
        self._catalog = catalog
        self._start = start
        self._engine: Engine | None = None
        self._policy = policy
        self._indexes = Indexes(folder, catalog, policy)

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        create: bool = False,
        dry: bool = False,
        start: Callable[[ModelSpec], Engine] | None = None,
        policy: Policy = Policy(),
    ) -> Library:
        """Open a library; raise LibraryError where there is none, or none that can be used.

        folder: by default the one in the user's data folder. create: make it if it is missing;
        dry: then only pretend to, in memory.
        start: what starts the engine, when one is needed; by default engines.start_engine.
        policy: when an index is changed for another, trained anew, and saved.
        """
        path = library_folder(folder)
        if path.exists() and not path.is_dir():
            raise LibraryError(f"{path} is a file; a library is a folder")
        start = start or engines.start_engine
        if dry and not (path / CATALOG).exists():
            return cls(path, Catalog.in_memory(), start, policy)
        if create:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(f"no library can be made at {path}: {error.strerror}") from error
        return cls(path, Catalog.open(path / CATALOG, create=create), start, policy)

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
            kinds.check(options.index or kinds.AUTO, spec.dimensions)
            run = Run(self._catalog, spec, roots, options, lambda: self._running(spec), collection)
            yield from run.rehearse()
        else:
            with writer_lock(self.folder, "searchapp index"):
                collection, spec = collections.for_indexing(self._catalog, options)
                kinds.check(options.index or kinds.AUTO, spec.dimensions)
                if collection is None:
                    collection = collections.add(self._catalog, options, spec)
                else:
                    collection = collections.remember(self._catalog, collection, options)
                if options.index is not None:
                    self._catalog.embedded(collection).want(options.index)
                run = Run(
                    self._catalog, spec, roots, options, lambda: self._running(spec), collection
                )
                with Keeper(self.folder, self._catalog, collection, self._policy) as keeper:
                    for event in run.execute(collection):
                        keeper.tend()
                        yield event
                    yield from keeper.finish()
        yield Finished(run.summary)

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
                self._catalog.describe(collection) for collection in self._catalog.collections()
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
        index, folder, among = self._indexes.current(collection), options.folder, None
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
