"""Turn a query into a vector: read its picture, fill the prompt, shorten the text, embed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import PictureError, QueryError
from searchapp.files import fetch_url
from searchapp.models import ModelSpec, check_trust, make_query_prompt, make_text_input
from searchapp.pictures import decode
from searchapp.types import Query


def make_engine_input(spec: ModelSpec, query: Query, data: bytes | None = None) -> EngineInput:
    """Return the engine input of a query: its prompt and its decoded picture, or a part of it.

    data: the bytes of the query's picture; None: read the picture.
    Raises QueryError, UnsupportedModality or PictureError.
    """
    modality = query.modality
    if modality is None:
        raise QueryError("nothing to look for; give a text, --image FILE, or both")
    prompt = make_query_prompt(spec, modality, query.text)
    if query.image is None:
        return make_text_input(spec, prompt)
    if data is None:
        assert not isinstance(query.image, int)  # The caller reads the images of the library.
        data = fetch_url.read_query_image(query.image)
    try:
        if query.region is not None:
            return EngineInput(prompt, decode.prepare_region(data, query.region, spec.image))
        return EngineInput(prompt, decode.prepare_picture(data, spec.image).image)
    except PictureError as error:
        raise PictureError(f"{query.image}: {error}. Use another picture", error.stage) from error


def shorten_query(engine: Engine, query: Query, truncate: bool) -> Query:
    """Return the query, with its text cut to the model's token limit if necessary.

    truncate: cut a text that is too long after a word. If false, raise QueryError instead.
    """
    text, limit = (query.text or "").strip(), engine.spec.text_limit
    if query.image is not None:
        limit -= engine.spec.image_tokens

    def count_prompt_tokens(part: str) -> int:
        return engine.count_tokens(make_query_prompt(engine.spec, "text", part))

    if (
        not text
        or engine.spec.prompts.text is None
        or (count := count_prompt_tokens(text)) <= limit
    ):
        return query
    if not truncate:
        raise QueryError(
            f"the text has {count} tokens, but {Path(engine.spec.name).name} accepts only {limit}"
            f"{' with a picture' if limit < engine.spec.text_limit else ''}; "
            "shorten the text, or let it be cut with the option truncate"
        )
    words = text.split()
    kept_words = bisect_right(
        range(len(words)), limit, key=lambda n: count_prompt_tokens(" ".join(words[: n + 1]))
    )
    return replace(query, text=" ".join(words[:kept_words]) or text[:limit])


def embed_queries(engine: Engine, items: Sequence[EngineInput]) -> list[Vector]:
    """Return the vectors of queries, each with the shape [dimensions] and norm 1.

    Raises QueryError if the model refuses a query.
    """
    return accept_vectors(engine.embed(items))


def accept_vectors(outputs: Sequence[Vector | Refusal]) -> list[Vector]:
    """Return an engine's outputs as vectors; raise QueryError if one of them is a refusal."""
    vectors = []
    for output in outputs:
        if isinstance(output, Refusal):
            raise QueryError(f"the model does not take this query: {output.reason}")
        vectors.append(output)
    return vectors


def embed_query(
    spec: ModelSpec, query: Query, start: Callable[[ModelSpec], Engine], *, truncate: bool
) -> Vector:
    """Return the vector of one query, [dimensions], with norm 1; no library is needed.

    start: function that starts the engine; not called if the picture cannot be read.
    Raises QueryError, UnsupportedModality, PictureError, ModelError, EngineError.
    """
    check_trust(spec)
    item = make_engine_input(spec, query)
    engine = start(spec)
    short_query = shorten_query(engine, query, truncate)
    if short_query is not query:
        item = make_engine_input(spec, short_query)
    (vector,) = embed_queries(engine, [item])
    return vector


def sum_weighted_vectors(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """Return the weighted sum of vectors, scaled to norm 1.

    Raises QueryError if the sum is 0, or if the weights are too large for float32.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.asarray(weights, dtype=np.float32) @ np.stack(vectors)
        length = float(np.linalg.norm(total))
    if not np.isfinite(length):
        raise QueryError("the weights of the query are too large; use weights near 1")
    if length < 1e-6:
        raise QueryError("the parts of the query cancel each other out; change their weights")
    return total / np.float32(length)


LIKED_WEIGHT, UNLIKED_WEIGHT = 1.0, -0.5


def add_feedback(
    question: Vector | None, liked: Sequence[Vector], unliked: Sequence[Vector]
) -> Vector:
    """Return the vector of a question with relevance feedback, scaled to norm 1.

    This is the formula of Rocchio (Manning et al., Introduction to Information Retrieval, section
    9.1.1): the question, plus the mean of the liked vectors, minus a part of the mean of the
    others. Each mean is scaled to norm 1, so that its influence does not depend on the number of
    its vectors. The weights 1 and -1/2 have the ratio of Qdrant's average_vector:
    https://qdrant.tech/documentation/concepts/explore/#average-vector-strategy
    question: None if there are only examples. Raises QueryError if the sum is 0.
    """
    terms = [] if question is None else [(question, 1.0)]
    for vectors, weight in ((liked, LIKED_WEIGHT), (unliked, UNLIKED_WEIGHT)):
        if vectors:
            terms.append((sum_weighted_vectors(vectors, [1.0] * len(vectors)), weight))
    return sum_weighted_vectors([vector for vector, _ in terms], [weight for _, weight in terms])
