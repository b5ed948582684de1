"""The calls of a search on the server's threads: one for the library, one for the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import EngineError
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.search import query_vector
from searchapp.search.library_reader import LibraryReader
from searchapp.server.batcher import Batcher
from searchapp.types import Query

Result = TypeVar("Result")


class Starting(EngineError):
    """The engine is on its way; ask again."""


class ThreadedCalls:
    """Run each call on the thread that owns what it needs. All coroutines share one event loop.

    No thread waits for another, so that none is missing elsewhere. Concurrent searches share a
    call of the engine: see Batcher.
    """

    def __init__(self, folder: Path, start: Callable[[ModelSpec], Engine]) -> None:
        """Open the library; start no engine yet."""
        self._batcher = Batcher(start)
        self._library_thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._picture_threads = ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1)), "pictures")
        self._starting: dict[tuple[str, str], Future[Any]] = {}
        # SQLite's connection belongs to the thread that made it.
        self._library = self._library_thread.submit(Library.open, folder).result()

    def close(self) -> None:
        """Close the library; do not wait for threads that still work."""
        self._batcher.close()
        self._library_thread.submit(self._library.close).result()

    async def ask_library(self, question: Callable[[Library], Result]) -> Result:
        """Ask the library on its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._library_thread, question, self._library)

    async def work_on_pictures(self, work: Callable[[], Result]) -> Result:
        """Run what decodes, reads or fetches a picture on a thread that may wait."""
        return await asyncio.get_running_loop().run_in_executor(self._picture_threads, work)

    # What a search calls: see SearchCalls.

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Read from the library on its thread."""
        return await self.ask_library(lambda library: read(library.reader))

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Prepare a query on a thread for pictures."""
        return await self.work_on_pictures(
            lambda: query_vector.make_engine_input(spec, query, data)
        )

    async def start_engine(self, spec: ModelSpec) -> None:
        """Raise Starting while the model's engine starts, or what kept it from starting."""
        if self._batcher.is_ready(spec):
            return
        key = (spec.name, spec.revision)
        starting = self._starting.get(key)
        if starting is None:
            starting = self._starting[key] = self._batcher.call_engine(spec, lambda engine: None)
        if not starting.done():
            raise Starting(f"starting vLLM with {Path(spec.name).name} ...")
        del self._starting[key]
        starting.result()

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Ask the engine on its thread."""
        result: Result = await asyncio.wrap_future(self._batcher.call_engine(spec, question))
        return result

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed inputs on the engine's thread, maybe together with those of other searches."""
        return await asyncio.wrap_future(self._batcher.embed(spec, inputs))
