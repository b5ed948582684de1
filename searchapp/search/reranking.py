"""Look at the best hits of a search again, with a reranker that reads question and picture."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from searchapp.catalog import LocatedImage, remove_quotes
from searchapp.engines import Refusal
from searchapp.engines.reranker import RerankQuestion
from searchapp.errors import PictureError, QueryError
from searchapp.files import fetch_url
from searchapp.models import ModelSpec
from searchapp.models.qwen3_vl_reranker import make_rerank_prompt
from searchapp.pictures import decode
from searchapp.search.original_files import read_image
from searchapp.search.query_part import QueryPart
from searchapp.search.search_calls import SearchCalls
from searchapp.types import Example, Hit, Query, SearchMode, SearchOptions, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

# Pictures that the reranker scores at once: few, so that other searches wait a short time, and
# that the time limit is kept on a slow machine.
PICTURES_PER_CALL = 4
TIME_LIMIT_S = 60.0  # then the remaining hits keep their order
SCORE_DIGITS = 6


def choose_question(
    parts: Sequence[QueryPart], examples: Sequence[Example], by: SearchMode
) -> QueryPart:
    """Return the parts of a search as one question: texts, a picture, or both.

    Weights are ignored, because a reranker knows none. Raises QueryError if the parts have a
    negative weight, several pictures or examples, or if there is no question.
    """
    pictures = [part for part in parts if part.query.image is not None]
    texts = [part.query.text.strip() for part in parts if part.query.text]
    text = ", ".join(filter(None, texts)) or None
    if examples or len(pictures) > 1 or any(part.weight <= 0 for part in parts):
        raise QueryError(
            "a reranker takes one question: texts, one picture, or both. Leave out rerank, or the "
            "other pictures, examples and negative weights"
        )
    if text is None and not pictures:
        raise QueryError("a reranker needs a question. Give a text or a picture, or no rerank")
    if not pictures:
        if by != "vector":
            text = remove_quotes(text or "")
        return QueryPart(Query(text))
    return replace(pictures[0], query=replace(pictures[0].query, text=text))


async def rerank_hits(
    calls: SearchCalls, part: QueryPart, found: SearchResult, options: SearchOptions
) -> SearchResult:
    """Return a result whose first options.rerank hits are ordered by the scores of a reranker.

    A hit whose picture cannot be read comes after these, as do all hits that are not scored within
    TIME_LIMIT_S. They have no score, and a warning says why. Whether a hit is a good match does
    not change. Raises PictureError if the picture of the question cannot be read, QueryError if a
    model cannot take its text, ModelError and EngineError.
    """
    hits = found.hits[: options.rerank]
    if not hits:
        return found
    make_rerank_prompt(part.query.text, has_picture=False)  # raises before a start of minutes
    spec = await calls.start_reranker(options.reranker)
    question = await _prepare_question(calls, spec, part)
    located = await calls.read_library(
        lambda reader: reader.locate_images_by_id([hit.image_id for hit in hits])
    )
    deadline = time.monotonic() + TIME_LIMIT_S
    scores = list[float | Refusal]()
    for start in range(0, len(hits), PICTURES_PER_CALL):
        if start and time.monotonic() > deadline:
            logger.info("Stopped reranking: it takes longer than %.0f s.", TIME_LIMIT_S)
            break
        images = [located.get(hit.image_id) for hit in hits[start : start + PICTURES_PER_CALL]]
        pictures = await calls.run_blocking(lambda images=images: _read_pictures(spec, images))  # type: ignore[misc]
        readable = [each for each in pictures if not isinstance(each, Refusal)]
        outputs = iter(await calls.score_pictures(options.reranker, question, readable))
        scores += [each if isinstance(each, Refusal) else next(outputs) for each in pictures]
    return _apply_scores(found, scores, len(hits))


async def _prepare_question(calls: SearchCalls, spec: ModelSpec, part: QueryPart) -> RerankQuestion:
    """Return the question with its decoded picture; an image of the library is read from disk."""
    query, data, image_id = part.query, part.data, part.image_id
    if query.image is None:
        return RerankQuestion(query.text)
    if data is None and image_id is not None:
        located = await calls.read_library(lambda reader: reader.locate_image(image_id))
        if located is None:
            raise QueryError(f"the library has no image {image_id}; search again for its id")
        data = await calls.run_blocking(lambda: read_image(located))

    def decode_question() -> Picture:
        assert query.image is not None
        assert data is not None or not isinstance(query.image, int)
        content = fetch_url.read_query_image(query.image) if data is None else data  # type: ignore[arg-type]
        if query.region is not None:
            return decode.prepare_region(content, query.region, spec.image)
        return decode.prepare_picture(content, spec.image).image

    return RerankQuestion(query.text, await calls.run_blocking(decode_question))


def _read_pictures(
    spec: ModelSpec, images: Sequence[LocatedImage | None]
) -> list[Picture | Refusal]:
    """Read the pictures of hits in the size that the reranker takes, or why they are unreadable."""

    def read(image: LocatedImage | None) -> Picture | Refusal:
        if image is None:
            return Refusal("the picture has no file any more")
        try:
            return decode.prepare_picture(read_image(image), spec.image).image
        except PictureError as error:
            return Refusal(str(error))

    with ThreadPoolExecutor(max(1, len(images)), thread_name_prefix="rerank") as threads:
        return list(threads.map(read, images))


def _apply_scores(
    found: SearchResult, scores: Sequence[float | Refusal], wanted_count: int
) -> SearchResult:
    """Return the result with reranked hits; scores: those of the first hits, in their order."""
    scored, left = list[Hit](), list[Hit]()
    reasons = [score.reason for score in scores if isinstance(score, Refusal)]
    for hit, score in zip(found.hits, scores, strict=False):
        if isinstance(score, Refusal):
            left.append(hit)
        else:
            scored.append(replace(hit, rerank_score=round(score, SCORE_DIGITS)))
    scored.sort(key=lambda hit: hit.rerank_score or 0.0, reverse=True)
    warnings = list(found.warnings)
    if reasons:
        warnings.append(
            f"{len(reasons)} of {len(scores)} hits could not be reranked and come after the "
            f"others; the first reason: {reasons[0]}"
        )
    if len(scores) < wanted_count:
        warnings.append(
            f"reranked only the first {len(scores)} of {wanted_count} hits, because it takes "
            f"longer than {TIME_LIMIT_S:.0f} seconds; rerank fewer hits, or use a GPU"
        )
    hits = (*scored, *left, *found.hits[len(scores) :])
    return replace(found, hits=hits, warnings=tuple(warnings))
