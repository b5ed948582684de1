"""The steps of a search, written once for the library and for the server.

The steps are one coroutine, which reads the library and runs the engine through SearchCalls. The
server awaits these calls on its threads. The library uses DirectCalls, so its coroutine never
waits, and run_without_waiting() runs it without an event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from searchapp.catalog import TextQuery, remove_quotes
from searchapp.catalog.text_search import MAX_FORM_CHARACTERS
from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import QueryError
from searchapp.models import ModelSpec
from searchapp.models.starter_words import explain_unknown_words
from searchapp.search import query_vector
from searchapp.search.good_match import get_query_kind
from searchapp.search.library_reader import LibraryReader
from searchapp.types import (
    AUTO_MIN_SCORE,
    Collection,
    Query,
    SearchMode,
    SearchOptions,
    SearchResult,
    Term,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One term of a search: a text, a picture, both, or an image of the library.

    data: the bytes of the picture, if the caller has read them. image_id: id of an image in the
    library, whose stored vector is used; query then serves only to find the kind of the query.
    """

    query: Query
    data: bytes | None = None
    image_id: int | None = None
    weight: float = 1.0


class SearchCalls(Protocol):
    """Functions that a search calls; each implementation decides on which thread they run."""

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Call read with the library's reader, and return the result."""

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


async def search(
    calls: SearchCalls, parts: Sequence[QueryPart], options: SearchOptions, *, one_prompt: bool
) -> SearchResult:
    """Return the hits nearest to the weighted sum of the parts' vectors.

    If all parts are texts, images whose names and captions contain the words are hits too:
    see fusion.py. A search by text only needs no engine.
    one_prompt: a part with text and picture must be one prompt; if the model does not support
    this, raise UnsupportedModality. If false, such a part becomes two parts, whose vectors are
    added.
    Raises QueryError, UnsupportedModality, PictureError, ModelError, EngineError, LibraryError.
    """
    text = _make_text_query(parts, options.by)
    if options.by == "text":
        words = _require_words(text)
        return await calls.read_library(lambda reader: reader.find_by_text(words, options))
    if text is not None and text.is_too_long:
        logger.info("Searching by the vector only: the text is too long for names and captions.")
        text = None
    if text is not None:
        parts = [
            replace(part, query=replace(part.query, text=remove_quotes(part.query.text or "")))
            for part in parts
        ]
    collection, spec = await calls.read_library(
        lambda reader: reader.choose_nonempty_collection(options)
    )
    if not one_prompt and "text+image" not in spec.modalities:
        parts = [single for part in parts for single in _split_part(part)]
    vectors = await _embed_parts(calls, spec, parts, options.truncate)
    image_ids = [part.image_id for part in parts if part.image_id is not None]
    indexed = await calls.read_library(
        lambda reader: [reader.read_vector(collection, image_id) for image_id in image_ids]
    )
    vector = query_vector.sum_weighted_vectors(
        _merge_vectors(parts, vectors, indexed), [part.weight for part in parts]
    )
    kind = get_query_kind(Term(part.query, part.weight) for part in parts)
    if options.min_score == AUTO_MIN_SCORE and kind == "text":
        await _calibrate_collection(calls, collection, spec)
    result = await calls.read_library(
        lambda reader: reader.find_nearest(collection, vector, options, kind, text)
    )
    if result.hits and result.hits[0].has_text_match:
        return result  # The words occur in the names or captions of the best hit.
    note = explain_unknown_words(spec, " ".join(part.query.text or "" for part in parts))
    return result if note is None else replace(result, warnings=(*result.warnings, note))


def _make_text_query(parts: Sequence[QueryPart], by: SearchMode) -> TextQuery | None:
    """Return the words of all parts; None if one is not a text, or only vectors are asked."""
    is_text = get_query_kind(Term(part.query, part.weight) for part in parts) == "text"
    if by == "vector" or not is_text:
        return None
    return TextQuery.parse(" ".join(part.query.text or "" for part in parts))


def _require_words(text: TextQuery | None) -> TextQuery:
    """Return the words of a search by text; raise QueryError if it has none, or too many."""
    if text is None or text.is_empty:
        raise QueryError(
            "a search by text needs words, and no pictures or negative weights; add words, or "
            "leave out --by text"
        )
    if text.is_too_long:
        raise QueryError(
            f"the text is too long for a search by text, which takes {MAX_FORM_CHARACTERS} "
            "characters; shorten it, or leave out --by text"
        )
    return text


def _split_part(part: QueryPart) -> list[QueryPart]:
    """Split a part with text and picture into two parts; return any other part unchanged."""
    if part.query.modality != "text+image":
        return [part]
    return [
        replace(part, query=replace(part.query, image=None), data=None),
        replace(part, query=replace(part.query, text=None)),
    ]


async def _embed_parts(
    calls: SearchCalls, spec: ModelSpec, parts: Sequence[QueryPart], truncate: bool
) -> list[Vector]:
    """Embed the parts that are not indexed images; start the engine only if there are any."""
    new_parts = [part for part in parts if part.image_id is None]
    if not new_parts:
        return []
    # Before start_engine, which can take minutes, so that errors in the query are raised at once.
    inputs = [await calls.prepare_input(spec, part.query, part.data) for part in new_parts]
    await calls.start_engine(spec)
    for number, part in enumerate(new_parts):
        short_query = await _shorten_text(calls, spec, part.query, truncate)
        if short_query is not part.query:
            inputs[number] = await calls.prepare_input(spec, short_query, part.data)
    return query_vector.accept_vectors(await calls.embed_inputs(spec, inputs))


async def _shorten_text(calls: SearchCalls, spec: ModelSpec, query: Query, truncate: bool) -> Query:
    """Return the query, with its text cut if necessary: see query_vector.shorten_query."""
    if not query.text:
        return query
    return await calls.ask_engine(
        spec, lambda engine: query_vector.shorten_query(engine, query, truncate)
    )


def _merge_vectors(
    parts: Sequence[QueryPart], embedded: Sequence[Vector], indexed: Sequence[Vector]
) -> list[Vector]:
    """Merge the vectors of embedded parts and of indexed images, in the order of parts."""
    embedded_vectors: Iterator[Vector] = iter(embedded)
    indexed_vectors: Iterator[Vector] = iter(indexed)
    return [next(embedded_vectors if part.image_id is None else indexed_vectors) for part in parts]


async def _calibrate_collection(
    calls: SearchCalls, collection: Collection, spec: ModelSpec
) -> None:
    """Embed the calibration sentences and store their vectors, if the collection lacks them."""
    sentences = await calls.read_library(
        lambda reader: reader.judges.list_missing_sentences(collection)
    )
    if sentences:
        logger.info("Calibrating good matches of the collection %s.", collection.name)
        inputs = [query_vector.make_engine_input(spec, Query(text)) for text in sentences]
        outputs = await calls.embed_inputs(spec, inputs)
        vectors = [output for output in outputs if not isinstance(output, Refusal)]
        if vectors:
            await calls.read_library(
                lambda reader: reader.judges.save_sentence_vectors(collection, vectors)
            )


class DirectCalls:
    """SearchCalls that run directly, on the caller's thread."""

    def __init__(self, reader: LibraryReader, get_engine: Callable[[ModelSpec], Engine]) -> None:
        """Search with reader. get_engine: returns the engine of a model; starts it if needed."""
        self._reader, self._get_engine = reader, get_engine

    async def read_library(self, read: Callable[[LibraryReader], Result]) -> Result:
        """Call read on this thread."""
        return read(self._reader)

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
