"""Index folders: choose the collection, embed the pictures, and update the vector index."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.errors import SearchAppError
from searchapp.files.lock import hold_writer_lock
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.roots import name_roots_once, resolve_roots
from searchapp.indexing.embedding.choose_engines import EmbeddingSource, EngineHolder
from searchapp.indexing.index_run import IndexRun
from searchapp.indexing.linked_folders import list_reachable_roots
from searchapp.models import ModelSpec, select_collection
from searchapp.search.good_match import JudgeCache
from searchapp.types import (
    Collection,
    IndexBuilding,
    IndexEvent,
    IndexOptions,
    MilvusUploading,
    RunFinished,
)
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.background_sync import BackgroundSync
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.milvus_store.connection import remember_token

logger = logging.getLogger(__name__)

# An index run may spend at least this time on embedding the calibration sentences.
MIN_CALIBRATION_S = 2.0


class Indexer:
    """Indexes folders into a library, and moves its vectors, under the library's writer lock."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        indexes: Indexes,
        judges: JudgeCache,
        engine_manager: EngineHolder,
        policy: IndexPolicy,
    ) -> None:
        """Store the parts of a library; open no file and start no engine."""
        self._folder, self._catalog, self._indexes = folder, catalog, indexes
        self._judges, self._engine_manager, self._policy = judges, engine_manager, policy

    def index(self, folders: Iterable[str | Path], options: IndexOptions) -> Iterator[IndexEvent]:
        """Embed the new pictures in folders, and yield events: see Library.index."""
        named = resolve_roots(folders, allow_missing=options.prune, allow_files=True)
        names = name_roots_once(named, list_reachable_roots(self._catalog, named))
        roots = list(dict.fromkeys(names.values()))
        if options.only is not None:
            options = replace(options, only=_rename_paths(options.only, names))
        address = parse_address(options.vectors) if options.vectors is not None else None
        if options.dry_run:
            collection, spec = self._select_collection(options)
            run = self._make_run(collection, spec, roots, options)
            yield from run.preview_run()
        else:
            with hold_writer_lock(self._folder, "searchapp index"):
                collection, spec = self._select_collection(options)
                if address is not None:
                    self._check_store_reachable(collection, address)
                if collection is None:
                    collection = select_collection.add_collection(self._catalog, options, spec)
                else:
                    collection = select_collection.remember_trust(
                        self._catalog, collection, options
                    )
                if options.index is not None:
                    self._catalog.get_embeddings(collection).set_requested_kind(options.index)
                if options.vectors is not None:
                    self._indexes.set_requested_address(collection, address)
                run = self._make_run(collection, spec, roots, options)
                yield from self._execute_run(run, collection, options)
        yield RunFinished(run.summary)

    def _select_collection(self, options: IndexOptions) -> tuple[Collection | None, ModelSpec]:
        collection, spec = select_collection.select_for_indexing(self._catalog, options)
        choose_index.validate_kind(options.index or choose_index.AUTO, spec.dimensions)
        return collection, spec

    def _execute_run(
        self, run: IndexRun, collection: Collection, options: IndexOptions
    ) -> Iterator[IndexEvent]:
        """Execute an index run; update the vector index during the run and after its end."""
        with BackgroundSync(self._folder, self._catalog, collection, self._policy) as index_sync:
            for event in run.execute(collection):
                index_sync.start_if_due()
                yield event
            engine = self._engine_manager.engine
            # Without an engine in this process, the first query embeds the calibration sentences.
            if run.embedded_count and engine is not None:
                timeout_s = max(MIN_CALIBRATION_S, 0.1 * run.summary.seconds)
                try:
                    self._judges.embed_sentences(collection, engine, timeout_s)
                except SearchAppError as error:  # The run's pictures are saved, and matter more.
                    logger.info("The calibration sentences were not embedded: %s", error)
            if options.only is None or index_sync.is_save_worthwhile():
                yield from index_sync.finish()

    def _make_run(
        self,
        collection: Collection | None,
        spec: ModelSpec,
        roots: list[str],
        options: IndexOptions,
    ) -> IndexRun:
        def start_source(collection: Collection, file_count: int) -> EmbeddingSource:
            from searchapp.indexing.embedding.worker import EmbeddingJob

            job = EmbeddingJob(
                spec,
                str(self._catalog.file),
                collection.id,
                options.max_megapixels,
                update_colors=options.update_colors,
            )
            return self._engine_manager.choose_source(job, file_count, options.replicas)

        return IndexRun(self._catalog, spec, roots, options, start_source, collection)

    def move_vectors(
        self, vectors: str, collection: str | None
    ) -> Iterator[IndexBuilding | MilvusUploading]:
        """Move a collection's vectors to another store: see Library.move."""
        address = parse_address(vectors)
        with hold_writer_lock(self._folder, "searchapp move"):
            chosen = select_collection.get_collection(self._catalog, collection)
            if address is not None:
                self._check_store_reachable(chosen, address)
            self._indexes.set_requested_address(chosen, address)
            yield from self._indexes.save_index(chosen)

    def _check_store_reachable(self, collection: Collection | None, address: MilvusAddress) -> None:
        """Raise VectorStoreError if Milvus does not answer at an address new to the collection."""
        remember_token(address)
        known = self._indexes.read_requested_address(collection) if collection is not None else None
        if known is None or known.place != address.place:
            self._indexes.check_reachable(address)


def _rename_paths(paths: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return paths below roots, with the names of the roots replaced."""
    return tuple(
        next(
            (
                f"{name}{path[len(root) :]}"
                for root, name in names.items()
                if path == root or is_exactly_below(path, root)
            ),
            path,
        )
        for path in paths
    )
