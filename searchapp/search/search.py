"""The steps of a search, written once for the library and for the server.

The steps are a coroutine, and what they call is injected: SearchCalls. The server awaits its
threads. The library calls at once (DirectCalls), so its coroutine never waits, and
run_without_waiting drives it without an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.models import ModelSpec
from searchapp.search import query_vector
from searchapp.search.good_match import get_query_kind
from searchapp.search.library_reader import LibraryReader
from searchapp.types import AUTO_MIN_SCORE, Collection, Query, SearchOptions, SearchResult, Term

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One term of a search: a text, a picture, both, or an image of the library.

    data: the picture's bytes, if they are at hand already.
    """

    query: Query
    data: bytes | None = None
    image_id: int | None = None
    weight: float = 1.0


class SearchCalls(Protocol):
    """What a search calls; each implementation decides on which thread a call runs."""

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Return what is read from the library."""

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Prepare a query for the model: see query_vector.engine_input."""

    async def start_engine(self, spec: ModelSpec) -> None:
        """Start the engine of a model unless it runs; raise instead of waiting, if that is due."""

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Return what a question to the engine returns."""

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed inputs: see Engine.embed."""


async def search(
    calls: SearchCalls, parts: Sequence[QueryPart], options: SearchOptions, *, one_prompt: bool
) -> SearchResult:
    """Search by the weighted sum of parts.

    one_prompt: refuse text and picture in one part if the model cannot take both in one prompt;
    otherwise such a part becomes two, whose vectors are added.
    Errors: QueryError, UnsupportedModality, PictureError, ModelError, EngineError, LibraryError.
    """
    collection, spec = await calls.read_library(lambda it: it.choose_collection(options))
    if not one_prompt and "text+image" not in spec.modalities:
        parts = [each for part in parts for each in _split_part(part)]
    vectors = await _embed_parts(calls, spec, parts, options.truncate)
    images = [part.image_id for part in parts if part.image_id is not None]
    indexed = await calls.read_library(
        lambda it: [it.read_vector(collection, image_id) for image_id in images]
    )
    vector = query_vector.sum_weighted_vectors(
        _merge_vectors(parts, vectors, indexed), [part.weight for part in parts]
    )
    kind = get_query_kind(Term(part.query, part.weight) for part in parts)
    if options.min_score == AUTO_MIN_SCORE and kind == "text":
        await _calibrate_collection(calls, collection, spec)
    return await calls.read_library(lambda it: it.find_nearest(collection, vector, options, kind))


def _split_part(part: QueryPart) -> list[QueryPart]:
    """Return a part with text and picture as two parts, any other as it is."""
    if part.query.modality != "text+image":
        return [part]
    return [
        replace(part, query=replace(part.query, image=None), data=None),
        replace(part, query=replace(part.query, text=None)),
    ]


async def _embed_parts(
    calls: SearchCalls, spec: ModelSpec, parts: Sequence[QueryPart], truncate: bool
) -> list[Vector]:
    """Embed the parts that are not indexed images; start no engine if there are none."""
    new = [part for part in parts if part.image_id is None]
    if not new:
        return []
    # Before the engine starts, which can take minutes: what is wrong with the query is said first.
    inputs = [await calls.prepare_input(spec, part.query, part.data) for part in new]
    await calls.start_engine(spec)
    for number, part in enumerate(new):
        short = await _shorten_text(calls, spec, part.query, truncate)
        if short is not part.query:
            inputs[number] = await calls.prepare_input(spec, short, part.data)
    return query_vector.accept_vectors(await calls.embed_inputs(spec, inputs))


async def _shorten_text(calls: SearchCalls, spec: ModelSpec, query: Query, truncate: bool) -> Query:
    """Return the query with a text that the model takes: see query_vector.shortened."""
    if not query.text:
        return query
    return await calls.ask_engine(
        spec, lambda engine: query_vector.shorten_query(engine, query, truncate)
    )


def _merge_vectors(
    parts: Sequence[QueryPart], embedded: Sequence[Vector], indexed: Sequence[Vector]
) -> list[Vector]:
    """Return the vectors of all parts, in the order of the parts."""
    new: Iterator[Vector] = iter(embedded)
    known: Iterator[Vector] = iter(indexed)
    return [next(new if part.image_id is None else known) for part in parts]


async def _calibrate_collection(
    calls: SearchCalls, collection: Collection, spec: ModelSpec
) -> None:
    """Embed the unrelated sentences that good matches are judged by, unless that is done."""
    sentences = await calls.read_library(lambda it: it.judges.list_missing_sentences(collection))
    if sentences:
        inputs = [query_vector.make_engine_input(spec, Query(text)) for text in sentences]
        outputs = await calls.embed_inputs(spec, inputs)
        vectors = [output for output in outputs if not isinstance(output, Refusal)]
        if vectors:
            await calls.read_library(
                lambda it: it.judges.save_sentence_vectors(collection, vectors)
            )


class DirectCalls:
    """Run each call of a search at once, on the caller's thread."""

    def __init__(self, reader: LibraryReader, get_engine: Callable[[ModelSpec], Engine]) -> None:
        """get_engine: returns the engine of a model, started if it does not run."""
        self._reader, self._get_engine = reader, get_engine

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Read at once."""
        return read(self._reader)

    async def prepare_input(self, spec: ModelSpec, query: Query, data: bytes | None) -> EngineInput:
        """Prepare a query at once."""
        return query_vector.make_engine_input(spec, query, data)

    async def start_engine(self, spec: ModelSpec) -> None:
        """Start the engine, and wait for it."""
        self._get_engine(spec)

    async def ask_engine(self, spec: ModelSpec, question: Callable[[Engine], Result]) -> Result:
        """Ask at once."""
        return question(self._get_engine(spec))

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Embed at once."""
        return self._get_engine(spec).embed(inputs)


def run_without_waiting(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine whose calls all answer at once; no event loop is needed."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    coroutine.close()
    raise RuntimeError("a search waits for something, and there is no event loop to wait in")
