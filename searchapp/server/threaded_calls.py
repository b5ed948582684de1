"""Run the steps of a search on threads: the library's, the engine's, and several for pictures."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.engines.reranker import RerankerHolder, RerankQuestion, StartReranker
from searchapp.errors import EngineError
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.models.qwen3_vl_reranker import DEFAULT_RERANKER
from searchapp.search import query_vector
from searchapp.search.library_reader import LibraryReader
from searchapp.search.nearest_together import NearestQuestion
from searchapp.search.search_calls import take_result
from searchapp.server.batcher import Batcher, ModelState
from searchapp.types import Query, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
RERANKER_KEY = "reranker"  # instead of a revision, in the key of a start


class Starting(EngineError):
    """The engine is starting; the client repeats the request."""


class ThreadedCalls:
    """Implementation of SearchCalls: each call runs on the thread that owns its resource.

    All coroutines share one event loop. No thread waits for another, so that a slow request
    blocks no other. Concurrent searches share one call of the engine: see Batcher.
    """

    def __init__(
        self,
        folder: Path,
        start: Callable[[ModelSpec], Engine],
        start_reranker: StartReranker,
    ) -> None:
        """Open the library; the first search starts the engine."""
        self._batcher = Batcher(start)
        self._rerankers = RerankerHolder(start_reranker)  # used on the engine's thread
        self._library_thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._picture_threads = ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1)), "pictures")
        self._starting: dict[tuple[str, str], Future[Any]] = {}
        # An SQLite connection can be used only on the thread that created it.
        self._library = self._library_thread.submit(Library.open, folder).result()

    def start_closing(self) -> list[ThreadPoolExecutor]:
        """Close the library when its thread has finished; return the executors that may work."""
        self._batcher.close()
        self._library_thread.submit(self._library.close)
        return [self._library_thread, self._picture_threads]

    @property
    def model_state(self) -> ModelState:
        """Return whether a model is loaded."""
        return self._batcher.model_state

    def count_jobs(self) -> int:
        """Return the number of jobs that wait for the engine."""
        return self._batcher.count_jobs()

    async def load_engine(self, spec: ModelSpec) -> None:
        """Start the engine of a model, and wait until it runs; raise the error of its start."""
        with suppress(Starting):
            await self.start_engine(spec)
        if starting := self._starting.get((spec.name, spec.revision)):
            await asyncio.wrap_future(starting)

    async def call_library(self, use: Callable[[Library], Result]) -> Result:
        """Call use(library) on the library's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._library_thread, use, self._library)

    async def run_blocking(self, work: Callable[[], Result]) -> Result:
        """Decode, read or fetch a picture on a thread that is allowed to block."""
        return await asyncio.get_running_loop().run_in_executor(self._picture_threads, work)

    # The methods below implement SearchCalls.

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Call read(reader) on the library's thread."""
        return await self.call_library(lambda library: read(library.reader))

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Convert a query into an engine input, on a picture thread."""
        return await self.run_blocking(lambda: query_vector.make_engine_input(spec, query, data))

    async def start_engine(self, spec: ModelSpec) -> None:
        """Start the engine of a model, without waiting for it.

        Raises Starting until the engine runs, and the engine's error if its start failed.
        """
        if not self._batcher.is_ready(spec):
            self._continue_start(
                Path(spec.name).name,
                (spec.name, spec.revision),
                lambda: self._batcher.call_engine(spec, lambda engine: None),
            )

    def _continue_start(
        self, name: str, key: tuple[str, str], start: Callable[[], Future[Any]]
    ) -> None:
        """Begin the start of a model, or return if it has ended; else raise Starting.

        Raises the error of a start that failed; the next call begins another start.
        """
        starting = self._starting.get(key)
        if starting is None:
            logger.info("Starting the engine of the model %s for a request", name)
            starting = self._starting[key] = start()
        if not starting.done():
            raise Starting(f"starting vLLM with {name} ...")
        del self._starting[key]
        starting.result()

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Call question(engine) on the engine's thread."""
        result: Result = await asyncio.wrap_future(self._batcher.call_engine(spec, question))
        return result

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed inputs on the engine's thread, possibly in one batch with other searches."""
        return await asyncio.wrap_future(self._batcher.embed(spec, inputs))

    async def find_nearest(self, question: NearestQuestion) -> SearchResult:
        """Search the index on the library's thread."""
        (outcome,) = await self.read_library(
            lambda reader: reader.find_nearest_together([question])
        )
        return take_result(outcome)

    async def start_reranker(self, name: str | None) -> ModelSpec:
        """Start a reranker, without waiting for it.

        Raises Starting until it runs, and its error if its start failed.
        """
        if not self._rerankers.is_ready(name):
            self._continue_start(
                name or DEFAULT_RERANKER,
                (name or DEFAULT_RERANKER, RERANKER_KEY),
                lambda: self._batcher.run_beside_engine(lambda: self._rerankers.get(name)),
            )
        return self._rerankers.get(name).spec

    async def score_pictures(
        self, name: str | None, question: RerankQuestion, pictures: Sequence[Picture]
    ) -> list[float | Refusal]:
        """Score pictures on the engine's thread."""
        reranker = self._rerankers.get(name)
        scores: list[float | Refusal] = await asyncio.wrap_future(
            self._batcher.run_beside_engine(lambda: reranker.score(question, pictures))
        )
        return scores
