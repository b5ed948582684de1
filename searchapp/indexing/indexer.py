"""Index folders: choose the collection, embed the pictures, and update the vector index."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from searchapp.catalog import Catalog, UnreadScope
from searchapp.errors import SearchAppError
from searchapp.files.lock import hold_writer_lock
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.roots import name_roots_once, resolve_roots
from searchapp.indexing.embedding.choose_engines import EmbeddingSource, EngineHolder
from searchapp.indexing.index_run import IndexRun
from searchapp.indexing.linked_folders import list_reachable_roots
from searchapp.indexing.recognition.recognize_texts import TextRecognition, start_recognition
from searchapp.models import ModelSpec, select_collection
from searchapp.pictures.recognition.text_reader import check_reader_installed
from searchapp.search.good_match import JudgeCache
from searchapp.types import (
    Collection,
    DecodeDevice,
    IndexBuilding,
    IndexEvent,
    IndexOptions,
    MilvusUploading,
    Progress,
    RunFinished,
    ScanFinished,
)
from searchapp.vectors.address import MilvusAddress, parse_address
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.background_sync import BackgroundSync
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.milvus_store.connection import remember_token

logger = logging.getLogger(__name__)

# An index run may spend at least this time on embedding the calibration sentences.
MIN_CALIBRATION_S = 15.0


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
        if options.ocr or (options.ocr is None and self._catalog.recognized_texts.is_on):
            check_reader_installed()
        if options.dry_run:
            collection, spec = self._select_collection(options)
            run = self._make_run(collection, spec, roots, options)
            yield from run.preview_run()
        else:
            with hold_writer_lock(self._folder, options.writer):
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
                if options.ocr is not None:
                    self._catalog.recognized_texts.turn(options.ocr)
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
        with (
            BackgroundSync(self._folder, self._catalog, collection, self._policy) as index_sync,
            self._recognize_beside(run.roots, options) as texts,
        ):
            for event in run.execute(collection):
                index_sync.start_if_due()
                yield event
                if texts is not None and isinstance(event, ScanFinished):
                    texts.expect(event.pending_files)
                # A progress bar must not start before the engine.
                if texts is not None and isinstance(event, ScanFinished | Progress):
                    yield from texts.poll()
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
            if texts is not None:
                started_at = time.monotonic()
                yield from texts.finish()
                seconds = run.summary.seconds + time.monotonic() - started_at
                run.summary = replace(
                    run.summary, recognized=texts.read_count, seconds=round(seconds, 3)
                )

    def _recognize_beside(
        self, roots: list[str], options: IndexOptions
    ) -> AbstractContextManager[TextRecognition | None]:
        """Return the text recognition of an index run; None if it is off."""
        if not self._catalog.recognized_texts.is_on:
            return nullcontext()
        # A run over few changed files reads only the images that it adds.
        after_id = self._catalog.read_last_image_id() if options.only is not None else 0
        return start_recognition(
            self._catalog,
            UnreadScope(roots=tuple(roots), retry_failed=options.retry_failed),
            after_id=after_id,
            is_engine_running=True,
        )

    def _make_run(
        self,
        collection: Collection | None,
        spec: ModelSpec,
        roots: list[str],
        options: IndexOptions,
    ) -> IndexRun:
        def start_source(
            collection: Collection, file_count: int, decode: DecodeDevice
        ) -> EmbeddingSource:
            from searchapp.indexing.embedding.worker import EmbeddingJob

            job = EmbeddingJob(
                spec,
                str(self._catalog.file),
                collection.id,
                options.max_megapixels,
                update_colors=options.update_colors,
                decode=decode,
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
