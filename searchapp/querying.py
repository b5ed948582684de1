"""From a query to a vector."""

from __future__ import annotations

from searchapp import fetch, images
from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import PictureError, QueryError
from searchapp.models import ModelSpec, prompt_for
from searchapp.types import Query


def engine_input(spec: ModelSpec, query: Query) -> EngineInput:
    """Put a query as the model wants it; raise QueryError, UnsupportedModality or PictureError."""
    modality = query.modality
    if modality is None:
        raise QueryError("nothing to look for; give a text, --image FILE, or both")
    prompt = prompt_for(spec, modality, query.text)
    if query.image is None:
        return EngineInput(prompt)
    data = fetch.read(query.image)
    try:
        return EngineInput(prompt, images.prepare(data, spec.image).image)
    except PictureError as error:
        raise PictureError(f"{query.image}: {error}", error.stage) from error


def embed(engine: Engine, item: EngineInput) -> Vector:
    """Return the vector of a query, [dimensions], of length one; raise QueryError if refused."""
    (output,) = engine.embed([item])
    if isinstance(output, Refusal):
        raise QueryError(f"the model does not take this query: {output.reason}")
    return output
