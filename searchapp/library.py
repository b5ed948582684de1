"""Library: the one door to everything that is kept, and to the engine that fills and asks it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from searchapp import engines, models, querying, scan
from searchapp.catalog import Catalog, Located
from searchapp.engines import Engine, Vector
from searchapp.errors import LibraryError, ModelError
from searchapp.indexing import Run
from searchapp.lock import writer_lock
from searchapp.models import ModelSpec
from searchapp.types import (
    Collection,
    Event,
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
    from searchapp.vectors import VectorIndex

CATALOG = "catalog.db"


def default_folder() -> Path:
    """Return where the library is when nobody says otherwise: in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("searchapp")


class Library:
    """One directory: the catalogue (SQLite), and an index file (FAISS) for each collection.

    Not for use by several threads at once. Use it as a context manager, or close() it.
    """

    def __init__(
        self, folder: Path, catalog: Catalog, start: Callable[[ModelSpec], Engine]
    ) -> None:
        """Use Library.open()."""
        self.folder = folder
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
        start: Callable[[ModelSpec], Engine] | None = None,
    ) -> Library:
        """Open a library; raise LibraryError where there is none, or none that can be used.

        folder: by default the one in the user's data folder. create: make it if it is missing.
        start: what starts the engine, when one is needed; by default engines.start_engine.
        """
        path = Path(folder).expanduser().absolute() if folder else default_folder()
        if path.exists() and not path.is_dir():
            raise LibraryError(f"{path} is a file; a library is a folder")
        if create:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(f"no library can be made at {path}: {error.strerror}") from error
        return cls(path, Catalog.open(path / CATALOG, create=create), start or engines.start_engine)

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
            collection, spec = self._for_indexing(options)
            run = Run(self._catalog, spec, roots, options, lambda: self._running(spec), collection)
            yield from run.rehearse()
        else:
            with writer_lock(self.folder, "searchapp index"):
                collection, spec = self._for_indexing(options)
                if collection is None:
                    collection = self._add_collection(options.collection, spec)
                run = Run(
                    self._catalog, spec, roots, options, lambda: self._running(spec), collection
                )
                yield from run.execute(collection)
                self._save_index(collection)
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
        collection, spec = self._for_search(options)
        terms = [Term(query)] if isinstance(query, Query) else list(query) or [Term(Query())]
        items = [querying.engine_input(spec, term.query) for term in terms]
        vectors = querying.embed(self._running(spec), items)
        vector = querying.add_up(vectors, [term.weight for term in terms])
        return self._nearest(collection, vector, options)

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
        return self._catalog.failures(self._chosen(collection))

    # Collections and their models

    def _chosen(self, name: str | None) -> Collection:
        """Return a collection by name; without, the one that was indexed completely last."""
        collections = self._catalog.collections()
        if not collections:
            raise LibraryError(
                f"the library at {self.folder} holds no pictures yet; `searchapp index FOLDER`"
            )
        for collection in collections:
            if name in (None, collection.name):
                return collection
        known = ", ".join(c.name for c in collections)
        raise LibraryError(f"no collection {name} in the library; there are {known}")

    def _for_search(self, options: SearchOptions) -> tuple[Collection, ModelSpec]:
        if options.model is None:
            collection = self._chosen(options.collection)
            return collection, self._spec_of(collection)
        spec = models.resolve(options.model)
        for collection in self._catalog.collections():
            if options.collection in (None, collection.name) and _is_of(collection, spec):
                return collection, spec
        chosen = self._chosen(options.collection)
        raise ModelError(
            f"nothing was indexed with {spec.name}"
            + (f" in the collection {chosen.name}" if options.collection else "")
            + f"; its model is {chosen.model}. Index with --model {options.model} to have both"
        )

    def _for_indexing(self, options: IndexOptions) -> tuple[Collection | None, ModelSpec]:
        """Return the collection to add to, None if it is to be made, and its model."""
        collections = self._catalog.collections()
        spec = models.resolve(options.model) if options.model else None
        if options.collection is not None:
            named = next((c for c in collections if c.name == options.collection), None)
            if named is not None:
                if spec is not None and not _is_of(named, spec):
                    raise ModelError(
                        f"the collection {named.name} is of the model {named.model}, not "
                        f"{spec.name} as it is now; choose another --collection name"
                    )
                return named, self._spec_of(named)
        elif spec is not None:
            same = next((c for c in collections if _is_of(c, spec)), None)
            return same, spec
        elif collections:
            return collections[0], self._spec_of(collections[0])
        return None, spec or models.resolve(models.default_model())

    def _spec_of(self, collection: Collection) -> ModelSpec:
        spec = models.resolve(collection.model)
        if not _is_of(collection, spec):
            raise ModelError(
                f"the model {spec.name} has changed since the collection {collection.name} was "
                f"made with it; `searchapp index FOLDER --model {spec.name}` makes a new one"
            )
        return spec

    def _add_collection(self, name: str | None, spec: ModelSpec) -> Collection:
        taken = {collection.name for collection in self._catalog.collections()}
        if name is None:
            base = name = Path(spec.name).name
            number = 2
            while name in taken:
                name, number = f"{base}-{number}", number + 1
        return self._catalog.add_collection(
            name, spec.name, spec.revision, spec.dimensions, spec.settings
        )

    def _running(self, spec: ModelSpec) -> Engine:
        """Return the engine of a model, started where it does not run yet."""
        if self._engine is not None and self._engine.spec != spec:
            self._engine.close()
            self._engine = None
        if self._engine is None:
            self._engine = self._start(spec)
        return self._engine

    # Vectors

    def _nearest(self, collection: Collection, vector: Vector, options: SearchOptions) -> list[Hit]:
        import numpy as np

        index, folder = self._synced(collection), None
        among = None
        if options.folder is not None:
            folder = Path(os.path.abspath(options.folder.expanduser()))  # noqa: PTH100
            ids = self._catalog.embedding_ids(collection, folder)
            among = np.array(ids, dtype=np.int64)
        most = len(index) if among is None else len(among)
        hits: list[Hit] = []
        asked = 0
        while len(hits) < options.count and asked < most:
            done, asked = asked, min(most, max(2 * options.count, 4 * asked))
            found = index.search(vector, asked, among)[done:]
            located = self._catalog.locate([id for id, _ in found])
            for id, score in found:
                if options.min_score is not None and score < options.min_score:
                    return hits[: options.count]
                hit = _hit(located.get(id), score, folder)
                if hit:
                    hits.append(hit)
        return hits[: options.count]

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
        import numpy as np

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


def _is_of(collection: Collection, spec: ModelSpec) -> bool:
    ours = (collection.model, collection.revision, collection.dimensions, collection.settings)
    return ours == (spec.name, spec.revision, spec.dimensions, spec.settings)


def _hit(image: Located | None, score: float, folder: Path | None) -> Hit | None:
    """Make a hit of an image that has files; those below the folder asked for come first."""
    paths = [path for path in (image.paths if image else ()) if os.path.exists(path)]  # noqa: PTH110
    if image is None or not paths:
        return None
    if folder is not None:
        paths.sort(key=lambda path: folder not in Path(path).parents)
    best, *also = paths
    return Hit(best, round(score, 6), image.sha256, image.width, image.height, tuple(also))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
