"""Operations behind the HTTP API: searches, facets, timelines and metadata of the library."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from searchapp.catalog import LocatedImage, interrupt_statements
from searchapp.duplicates.review_store import SavedReview, SeenChoices
from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.engines.reranker import StartReranker
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import catalog_file
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.pictures import decode, mean_colors
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.search.saved_searches import SavedSearches
from searchapp.search.search import search
from searchapp.search.search_together import search_together
from searchapp.server.activity import Activity
from searchapp.server.background_jobs import BackgroundJobs
from searchapp.server.batcher import ModelState
from searchapp.server.response_models import make_library_answer
from searchapp.server.threaded_calls import ThreadedCalls
from searchapp.types import (
    Area,
    DuplicateGroup,
    Duplicates,
    Example,
    Facets,
    Filter,
    Hit,
    PlaceCluster,
    ReviewChoice,
    SearchOptions,
    SearchResult,
    TextLine,
    Timeline,
)

Result = TypeVar("Result")
UNINTERRUPTED_CLOSE_S = 0.2  # so that SQLite can write its WAL into the catalog
CLOSE_TIMEOUT_S = 2.0
INTERRUPT_INTERVAL_S = 0.05  # an interrupt between two statements has no effect: repeat it


class Service:
    """Operations of the HTTP API on one library. All coroutines share one event loop."""

    def __init__(
        self,
        folder: Path,
        start: Callable[[ModelSpec], Engine],
        start_reranker: StartReranker | None = None,
    ) -> None:
        """Open the library; the first search starts the engine."""
        self.folder = folder
        self.activity = Activity()
        self._calls = ThreadedCalls(folder, start, start_reranker or EngineChoice().start_reranker)
        # Counting facets of a large catalog is slow: it has its own thread and connection, so that
        # searches do not wait for it.
        self._counting_thread = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._counting_library: Library | None = None
        self.jobs = BackgroundJobs(folder)

    @property
    def model_state(self) -> ModelState:
        """Return whether a model is loaded. Until then, searches by words or pictures wait."""
        return self._calls.model_state

    def count_queued_jobs(self) -> int:
        """Return the number of jobs that wait for the engine."""
        return self._calls.count_jobs()

    async def load_model(self) -> None:
        """Load the model that searches use, so that the first of them does not wait.

        Raises LibraryError if the library has no collection yet, ModelError and EngineError.
        """
        _, spec = await self._calls.read_library(
            lambda reader: reader.choose_nonempty_collection(SearchOptions())
        )
        await self._calls.load_engine(spec)

    async def count_images_and_files(self) -> tuple[int, int]:
        """Return the number of images and the number of files in the library."""
        return await self._call_counting_library(
            lambda library: library.reader.count_images_and_files()
        )

    async def release_files(self) -> None:
        """Close files that only one process can open at a time; the next search reopens them."""
        await self._calls.read_library(lambda reader: reader.close_exclusive_files())

    def close(self) -> bool:
        """Close the library, and interrupt SQL that still runs.

        Return False if a thread still works after CLOSE_TIMEOUT_S.
        """
        executors = [
            *self._calls.start_closing(), self.jobs.start_closing(), self._counting_thread,
        ]  # fmt: skip
        if self._counting_library is not None:
            self._counting_thread.submit(self._counting_library.close)
        # Shutting down an executor waits for its threads, without a limit.
        waiting = threading.Thread(target=_shut_down, args=(executors,), daemon=True)
        waiting.start()
        waiting.join(UNINTERRUPTED_CLOSE_S)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while waiting.is_alive() and time.monotonic() < deadline:
            interrupt_statements(catalog_file(self.folder))
            waiting.join(INTERRUPT_INTERVAL_S)
        return not waiting.is_alive()

    async def search(
        self,
        parts: Sequence[QueryPart],
        options: SearchOptions,
        one_prompt: bool,
        examples: Sequence[Example] = (),
    ) -> SearchResult:
        """Search by the weighted sum of query parts, and by liked and unliked pictures.

        Raises the errors of search.search, and Starting while the engine starts.
        """
        return await search(self._calls, parts, options, one_prompt=one_prompt, examples=examples)

    async def search_together(
        self, searches: Sequence[PreparedSearch]
    ) -> list[SearchResult | SearchAppError]:
        """Run several searches, which share calls of the engine and of the index.

        Raises the errors of search_together.search_together, and Starting while the engine starts.
        """
        return await search_together(self._calls, searches)

    async def prepare_saved(self, name: str, changes: Mapping[str, Any]) -> PreparedSearch:
        """Return the question and the options of a saved search: see SavedSearches.prepare."""
        return await self._calls.call_library(lambda library: library.saved.prepare(name, changes))

    async def use_saved(self, use: Callable[[SavedSearches], Result]) -> Result:
        """Call use with the saved searches of the library, and return the result.

        A write can wait for another process, so it must not run where searches run.
        """
        return await self._call_counting_library(lambda library: use(library.saved))

    async def save_reviews(
        self, groups: Sequence[Sequence[ReviewChoice]], seen_choices: Sequence[SeenChoices]
    ) -> SavedReview:
        """Keep what a person chose for groups of duplicates: see ReviewStore.save."""
        return await self._call_counting_library(
            lambda library: library.reviews.save(groups, seen_choices)
        )

    async def apply_reviews(
        self, found: Duplicates, *, show_all: bool
    ) -> list[DuplicateGroup | None]:
        """Return groups, then look-alikes, with the choices of reviews: see apply_to_groups."""
        groups = (*found.groups, *found.similar)
        return await self._call_counting_library(
            lambda library: library.reviews.apply_to_groups(groups, show_all=show_all)
        )

    async def embed(
        self,
        model: str,
        revision: str,
        space: Mapping[str, Any],
        inputs: Sequence[tuple[str, bytes | None]],
    ) -> list[Vector | Refusal]:
        """Embed inputs of another process: pairs of a prompt and a prepared PNG picture, or None.

        model, revision, space: identify the collection whose model embeds.
        Raises LibraryError if the library has no such collection, and Starting while the engine
        starts.
        """
        spec = await self._calls.read_library(
            lambda reader: reader.choose_model(model, revision, space)
        )
        await self._calls.start_engine(spec)
        items = await self._calls.run_blocking(
            lambda: [_decode_input(prompt, data) for prompt, data in inputs]
        )
        return await self._calls.embed_inputs(spec, items)

    async def count_tokens(
        self, model: str, revision: str, space: Mapping[str, Any], prompt: str
    ) -> int:
        """Return the number of tokens of a prompt; errors: see embed."""
        spec = await self._calls.read_library(
            lambda reader: reader.choose_model(model, revision, space)
        )
        await self._calls.start_engine(spec)
        return await self._calls.ask_engine(spec, lambda engine: engine.count_tokens(prompt))

    async def find_similar(self, image_id: int, options: SearchOptions) -> SearchResult:
        """Return the images nearest to an image of the library; the image itself comes first."""
        return await self._calls.call_library(
            lambda library: library.find_similar(image_id, options)
        )

    async def locate_image(self, image_id: int) -> LocatedImage | None:
        """Return an image with its files; None if there is no such image."""
        return await self._calls.read_library(lambda reader: reader.locate_image(image_id))

    async def locate_images(self, image_ids: Sequence[int]) -> dict[int, LocatedImage]:
        """Return images with their files, by id; leave out images without a file."""
        return await self._calls.read_library(lambda reader: reader.locate_images_by_id(image_ids))

    async def read_text(self, image_id: int) -> list[TextLine] | None:
        """Return the lines of text in an image; None if they were not recognized yet."""
        return await self._calls.read_library(lambda reader: reader.read_text(image_id))

    async def describe_library(self) -> dict[str, Any]:
        """Return the metadata of the library that the web page shows."""
        answer = await self._call_counting_library(make_library_answer)
        return {**answer, "model_state": self.model_state}

    async def count_facets(
        self, image_filter: Filter, collection: str | None, find: str = ""
    ) -> Facets:
        """Count images by month, folder, camera, lens, keyword, rating, format and place.

        find: only values that contain this text, ignoring case, are counted.
        """
        return await self._call_counting_library(
            lambda library: library.reader.count_facets(image_filter, collection, find)
        )

    async def list_warnings(self, image_filter: Filter) -> tuple[str, ...]:
        """Return why no picture can match a filter."""
        return await self._calls.read_library(lambda reader: reader.list_warnings(image_filter))

    async def list_timeline(
        self, image_filter: Filter, collection: str | None
    ) -> tuple[Timeline, str]:
        """Return the images that match a filter, newest first, and their placeholder colors.

        The colors are as in mean_colors.read_colors.
        """

        def list_with_colors(library: Library) -> tuple[Timeline, str]:
            timeline = library.reader.list_timeline(image_filter, collection)
            ids = np.array(timeline.image_ids, np.int64)
            return timeline, mean_colors.read_colors(self.folder, ids)

        return await self._call_counting_library(list_with_colors)

    async def list_place_clusters(
        self, image_filter: Filter, collection: str | None, cell: float, within: Area | None
    ) -> list[PlaceCluster]:
        """Return the images that match a filter, grouped by place: see group_places."""
        return await self._call_counting_library(
            lambda library: library.reader.list_place_clusters(
                image_filter, collection, cell, within
            )
        )

    async def read_hits(self, image_ids: Sequence[int]) -> list[Hit]:
        """Return images with their metadata; leave out unknown images."""
        return await self._calls.read_library(lambda reader: reader.read_hits(image_ids))

    async def run_blocking(self, work: Callable[[], Result]) -> Result:
        """Call work, which reads or fetches a picture, on a thread that is allowed to block."""
        return await self._calls.run_blocking(work)

    async def _call_counting_library(self, count: Callable[[Library], Result]) -> Result:
        def open_and_count() -> Result:
            if self._counting_library is None:
                self._counting_library = Library.open(self.folder)
            return count(self._counting_library)

        return await asyncio.get_running_loop().run_in_executor(
            self._counting_thread, open_and_count
        )


def _shut_down(executors: Sequence[ThreadPoolExecutor]) -> None:
    for executor in executors:
        executor.shutdown()


def _decode_input(prompt: str, data: bytes | None) -> EngineInput:
    if data is None:
        return EngineInput(prompt)
    return EngineInput(
        prompt, decode.decode_picture(data, lambda width, height: (width, height))[0]
    )
