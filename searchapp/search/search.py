"""The steps of a search, written once for the library and for the server.

The steps are one coroutine, which reads the library and runs the engine through SearchCalls. The
server awaits these calls on its threads. The library uses DirectCalls, so its coroutine never
waits, and run_without_waiting() runs it without an event loop.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

from searchapp.catalog import TextQuery, remove_quotes
from searchapp.catalog.text_search import MAX_FORM_CHARACTERS
from searchapp.engines import Refusal, Vector
from searchapp.errors import QueryError
from searchapp.models import ModelSpec
from searchapp.models.starter_words import explain_unknown_words
from searchapp.search import query_vector, reranking
from searchapp.search.feedback import FoundExample, find_examples
from searchapp.search.good_match import CalibrationPace, get_query_kind, log_slow_model
from searchapp.search.nearest_together import NearestQuestion
from searchapp.search.original_files import read_image
from searchapp.search.query_part import QueryPart
from searchapp.search.search_calls import SearchCalls
from searchapp.types import (
    AUTO_MIN_SCORE,
    Collection,
    Example,
    Query,
    SearchMode,
    SearchOptions,
    SearchResult,
    Term,
)

logger = logging.getLogger(__name__)

MAX_CALIBRATION_S = 5.0  # of a search that did not ask for good matches only


async def search(
    calls: SearchCalls,
    parts: Sequence[QueryPart],
    options: SearchOptions,
    *,
    one_prompt: bool,
    examples: Sequence[Example] = (),
) -> SearchResult:
    """Return the best hits of a question, as find_hits() does, and rerank them if asked.

    A question without words and pictures lists the pictures that match the filters, newest first.
    The first options.rerank hits of the complete result are reranked, whichever page of it is
    requested. So pages fit together, and a later page needs no reranker.
    Raises the errors of find_hits, and QueryError if the question cannot be reranked.
    """
    if options.can_list and all(part.query.modality is None for part in parts):
        parts = []
    if options.rerank is None:
        return await find_hits(calls, parts, options, one_prompt=one_prompt, examples=examples)
    question = reranking.choose_question(parts, examples, options.by)
    if options.offset >= options.rerank:
        return await find_hits(calls, parts, options, one_prompt=one_prompt, examples=examples)
    end = options.offset + options.count
    from_first = replace(options, offset=0, count=max(options.rerank, end))
    found = await find_hits(calls, parts, from_first, one_prompt=one_prompt, examples=examples)
    reranked = await reranking.rerank_hits(calls, question, found, options)
    return replace(reranked, hits=reranked.hits[options.offset : end])


async def find_hits(
    calls: SearchCalls,
    parts: Sequence[QueryPart],
    options: SearchOptions,
    *,
    one_prompt: bool,
    examples: Sequence[Example] = (),
) -> SearchResult:
    """Return the hits nearest to the weighted sum of the parts' vectors.

    examples: liked and unliked pictures, which move this sum: see query_vector.add_feedback. They
    are not among the hits, unless options.include_examples is true.

    If all parts are texts, images whose names and captions contain the words are hits too:
    see fusion.py. A search by text only needs no engine.
    Without parts and examples, the hits are the images that match the filter, newest first.
    one_prompt: a part with text and picture must be one prompt; if the model does not support
    this, raise UnsupportedModality. If false, such a part becomes two parts, whose vectors are
    added.
    Raises QueryError, UnsupportedModality, PictureError, ModelError, EngineError, LibraryError.
    """
    if not parts and not examples:
        return await calls.read_library(lambda reader: reader.find_newest(options))
    text = _make_text_query(parts, options.by) if not examples else None
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
    parts = [await _load_changed_image(calls, part) for part in parts]
    found = await find_examples(calls, collection, examples)
    new_pictures = [
        QueryPart(Query(None, each.example.image), each.data)
        for each in found
        if each.vector is None
    ]
    vectors = await _find_vectors(calls, collection, spec, [*parts, *new_pictures], options)
    question = (
        query_vector.sum_weighted_vectors(vectors[: len(parts)], [part.weight for part in parts])
        if parts
        else None
    )
    vector = _add_examples(question, found, vectors[len(parts) :])
    kind = get_query_kind((Term(part.query, part.weight) for part in parts), examples)
    if kind == "text":
        is_asked_for = options.min_score == AUTO_MIN_SCORE
        await calibrate_collection(calls, collection, spec, on_the_side=not is_asked_for)
    left_out = frozenset[int]()
    if not options.include_examples:
        left_out = left_out.union(*(each.embedding_ids for each in found))
    result = await calls.find_nearest(
        NearestQuestion(collection, vector, options, kind, text, left_out)
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
            "search in pictures, too"
        )
    if text.is_too_long:
        raise QueryError(
            f"the text is too long for a search by text, which takes {MAX_FORM_CHARACTERS} "
            "characters; shorten it, or search in pictures, too"
        )
    return text


def _split_part(part: QueryPart) -> list[QueryPart]:
    """Split a part with text and picture into two parts; return any other part unchanged."""
    if part.query.modality != "text+image":
        return [part]
    return [
        replace(part, query=Query(part.query.text), data=None, image_id=None),
        replace(part, query=replace(part.query, text=None)),
    ]


async def _load_changed_image(calls: SearchCalls, part: QueryPart) -> QueryPart:
    """Return a part with the bytes of its library image, if the stored vector does not fit.

    The vector is that of the complete image, without a text.
    """
    image_id = part.image_id
    if image_id is None or not (part.query.text or part.query.region):
        return part
    located = await calls.read_library(lambda reader: reader.locate_image(image_id))
    if located is None:
        raise QueryError(f"the library has no image {image_id}; search again for its id")
    data = await calls.run_blocking(lambda: read_image(located))
    return replace(part, data=data, image_id=None)


def _add_examples(
    question: Vector | None, found: Sequence[FoundExample], embedded: Sequence[Vector]
) -> Vector:
    """Return the vector of a question with examples; embedded: vectors of the new pictures."""
    if not found:
        assert question is not None  # A search without a question has examples.
        return question
    new_vectors = iter(embedded)
    liked, unliked = list[Vector](), list[Vector]()
    for each in found:
        vector = next(new_vectors) if each.vector is None else each.vector
        (liked if each.example.is_liked else unliked).append(vector)
    return query_vector.add_feedback(question, liked, unliked)


async def _find_vectors(
    calls: SearchCalls,
    collection: Collection,
    spec: ModelSpec,
    parts: Sequence[QueryPart],
    options: SearchOptions,
) -> list[Vector]:
    """Return the vectors of parts: stored ones of indexed images, and new ones of all others."""
    embedded = iter(await embed_parts(calls, spec, parts, options.truncate))
    image_ids = [part.image_id for part in parts if part.image_id is not None]
    indexed = iter(
        await calls.read_library(
            lambda reader: [reader.read_vector(collection, image_id) for image_id in image_ids]
        )
    )
    return [next(embedded if part.image_id is None else indexed) for part in parts]


async def embed_parts(
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


async def calibrate_collection(
    calls: SearchCalls, collection: Collection, spec: ModelSpec, *, on_the_side: bool
) -> None:
    """Embed the calibration sentences and store their vectors, if the collection lacks them.

    on_the_side: give up if this takes longer than a person would wait for a search.
    """
    sentences = await calls.read_library(
        lambda reader: reader.judges.list_missing_sentences(collection, on_the_side=on_the_side)
    )
    if not sentences:
        return
    logger.info("Calibrating good matches of the collection %s.", collection.name)
    pace = CalibrationPace(sentences, MAX_CALIBRATION_S if on_the_side else math.inf)
    vectors = list[Vector]()
    for batch in pace:
        inputs = [query_vector.make_engine_input(spec, Query(text)) for text in batch]
        outputs = await calls.embed_inputs(spec, inputs)
        vectors += [output for output in outputs if not isinstance(output, Refusal)]
    if pace.is_too_slow:
        log_slow_model(collection, MAX_CALIBRATION_S)
    elif vectors:
        await calls.read_library(
            lambda reader: reader.judges.save_sentence_vectors(collection, vectors)
        )
