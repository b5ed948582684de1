"""Fill a library: one call of index, from the choice of the collection to the saved index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.errors import SearchAppError
from searchapp.files import scan
from searchapp.files.lock import writer_lock
from searchapp.indexing.embedding.choose_engines import RunningEngine, Source
from searchapp.indexing.index_run import Run
from searchapp.models import ModelSpec, select_collection
from searchapp.search.good_match import Judges
from searchapp.types import Collection, Event, Finished, IndexMaking, IndexOptions, Uploading
from searchapp.vectors.address import Address, parse
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.background_sync import Keeper
from searchapp.vectors.faiss_files.choose_index import Policy
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.milvus_store.connection import remember

PATIENCE = 2.0  # seconds that a run of index spends on telling good matches later, at least


class Filling:
    """What writes pictures and vectors into a library."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        indexes: Indexes,
        judges: Judges,
        running: RunningEngine,
        policy: Policy,
    ) -> None:
        """Write into a library's folder and catalogue."""
        self._folder, self._catalog, self._indexes = folder, catalog, indexes
        self._judges, self._running, self._policy = judges, running, policy

    def index(self, folders: Iterable[str | Path], options: IndexOptions) -> Iterator[Event]:
        """Embed what is new below the folders: see Library.index."""
        roots = scan.resolve_roots(folders, gone=options.prune)
        address = parse(options.vectors) if options.vectors is not None else None
        if options.dry_run:
            collection, spec = self._chosen(options)
            run = self._run(collection, spec, roots, options)
            yield from run.rehearse()
        else:
            with writer_lock(self._folder, "searchapp index"):
                collection, spec = self._chosen(options)
                if address is not None:
                    self._reach(collection, address)
                if collection is None:
                    collection = select_collection.add(self._catalog, options, spec)
                else:
                    collection = select_collection.remember(self._catalog, collection, options)
                if options.index is not None:
                    self._catalog.embedded(collection).want(options.index)
                if options.vectors is not None:
                    self._indexes.want(collection, address)
                run = self._run(collection, spec, roots, options)
                yield from self._executed(run, collection, options)
        yield Finished(run.summary)

    def _chosen(self, options: IndexOptions) -> tuple[Collection | None, ModelSpec]:
        collection, spec = select_collection.for_indexing(self._catalog, options)
        choose_index.check(options.index or choose_index.AUTO, spec.dimensions)
        return collection, spec

    def _executed(self, run: Run, collection: Collection, options: IndexOptions) -> Iterator[Event]:
        """Do a run, and bring the index in step during it and after it."""
        with Keeper(self._folder, self._catalog, collection, self._policy) as keeper:
            for event in run.execute(collection):
                keeper.tend()
                yield event
            engine = self._running.engine
            if run.embedded and engine is not None:  # engines elsewhere: when asked
                with suppress(SearchAppError):  # the pictures are what matters
                    patience = max(PATIENCE, 0.1 * run.summary.seconds)
                    self._judges.learn(collection, engine, patience)
            if options.only is None or keeper.saves_cheaply():
                yield from keeper.finish()

    def _run(
        self,
        collection: Collection | None,
        spec: ModelSpec,
        roots: list[str],
        options: IndexOptions,
    ) -> Run:
        def start_source(collection: Collection, files: int) -> Source:
            from searchapp.indexing.embedding.worker import Job

            job = Job(spec, str(self._catalog.file), collection.id, options.max_megapixels)
            lookup = partial(self._catalog.lookup, collection)
            return self._running.choose_source(job, lookup, files, options.replicas)

        return Run(self._catalog, spec, roots, options, start_source, collection)

    def move(self, vectors: str, collection: str | None) -> Iterator[IndexMaking | Uploading]:
        """Keep a collection's vectors elsewhere: see Library.move."""
        address = parse(vectors)
        with writer_lock(self._folder, "searchapp move"):
            chosen = select_collection.chosen(self._catalog, collection)
            if address is not None:
                self._reach(chosen, address)
            self._indexes.want(chosen, address)
            yield from self._indexes.save(chosen)

    def _reach(self, collection: Collection | None, address: Address) -> None:
        """See that a new place can be reached, before anything is changed for it."""
        remember(address)
        known = self._indexes.wanted(collection) if collection is not None else None
        if known is None or known.place != address.place:
            self._indexes.reach(address)
