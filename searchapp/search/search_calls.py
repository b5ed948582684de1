"""The calls of a search to the library and the engine, and their implementation without threads."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.engines.reranker import RerankerHolder, RerankQuestion
from searchapp.errors import SearchAppError
from searchapp.models import ModelSpec
from searchapp.search import query_vector
from searchapp.search.library_reader import LibraryReader
from searchapp.search.nearest_together import NearestQuestion
from searchapp.types import Query, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Result = TypeVar("Result")


class SearchCalls(Protocol):
    """Functions that a search calls; each implementation decides on which thread they run."""

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Call read with the library's reader, and return the result."""

    async def run_blocking(self, work: Callable[[], Result]) -> Result:
        """Call a function that can wait for a disk or a network, and return its result."""

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Return the engine input of a query: see query_vector.make_engine_input."""

    async def start_engine(self, spec: ModelSpec) -> None:
        """Start the engine of a model unless it runs.

        An implementation may raise an error instead of waiting for the start.
        """

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Call question with the running engine of a model, and return the result."""

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed inputs with the engine of a model: see Engine.embed."""

    async def find_nearest(self, question: NearestQuestion) -> SearchResult:
        """Return the hits nearest to a vector: see LibraryReader.find_nearest."""

    async def start_reranker(self, name: str | None) -> ModelSpec:
        """Start a reranker unless it runs; return its model. None: the default reranker.

        An implementation may raise an error instead of waiting for the start.
        """

    async def score_pictures(
        self, name: str | None, question: RerankQuestion, pictures: Sequence[Picture]
    ) -> list[float | Refusal]:
        """Score pictures with a running reranker: see Reranker.score."""


class DirectCalls:
    """SearchCalls that run directly, on the caller's thread."""

    def __init__(
        self,
        reader: LibraryReader,
        get_engine: Callable[[ModelSpec], Engine],
        rerankers: RerankerHolder,
    ) -> None:
        """Search with reader. get_engine: returns the engine of a model; starts it if needed."""
        self._reader, self._get_engine, self._rerankers = reader, get_engine, rerankers

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Call read on this thread."""
        return read(self._reader)

    async def run_blocking(self, work: Callable[[], Result]) -> Result:
        """Call work on this thread."""
        return work()

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Prepare the engine input of a query on this thread."""
        return query_vector.make_engine_input(spec, query, data)

    async def start_engine(self, spec: ModelSpec) -> None:
        """Start the engine of a model, and wait until it runs."""
        self._get_engine(spec)

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Call question on this thread."""
        return question(self._get_engine(spec))

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed inputs on this thread."""
        return self._get_engine(spec).embed(inputs)

    async def find_nearest(self, question: NearestQuestion) -> SearchResult:
        """Search the index on this thread."""
        return take_result(*self._reader.find_nearest_together([question]))

    async def start_reranker(self, name: str | None) -> ModelSpec:
        """Start a reranker, and wait until it runs."""
        return self._rerankers.get(name).spec

    async def score_pictures(
        self, name: str | None, question: RerankQuestion, pictures: Sequence[Picture]
    ) -> list[float | Refusal]:
        """Score pictures on this thread."""
        return self._rerankers.get(name).score(question, pictures)


def take_result(outcome: SearchResult | SearchAppError) -> SearchResult:
    """Return a result of find_nearest_together, or raise the error that it is."""
    if isinstance(outcome, SearchAppError):
        raise outcome
    return outcome


def run_without_waiting(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never waits, without an event loop; raise RuntimeError if it waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    coroutine.close()
    raise RuntimeError(
        "the coroutine waits for something, but it was started without an event loop"
    )
