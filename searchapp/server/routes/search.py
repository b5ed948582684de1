"""Routes that search by text, by picture, by a sum of terms, or by an indexed image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.exceptions import RequestValidationError

from searchapp.errors import QueryError
from searchapp.search.search import QueryPart
from searchapp.server.api_examples import SEARCH_REQUEST_SCHEMA
from searchapp.server.app_state import AppState, ServiceDep, StateDep
from searchapp.server.client import PICTURE_PLACEHOLDER
from searchapp.server.fetch_public_url import fetch_public_url
from searchapp.server.request_models import (
    UNKNOWN_FIELD_MESSAGE,
    ImageId,
    SearchRequest,
    SimilarRequest,
    TermRequest,
    TextSearchRequest,
    is_used_by_term,
    parse_request,
    to_search_options,
)
from searchapp.server.response_models import SearchAnswer, make_search_answer
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import Query

router = APIRouter(tags=["Search"])


@router.post(
    f"{API_PREFIX}/search",
    name="search",
    response_model=SearchAnswer,
    openapi_extra=SEARCH_REQUEST_SCHEMA,
)
async def search_library(request: Request, state: StateDep) -> SearchAnswer:
    """Search by a text, by a picture, by both together, or by a weighted sum of terms."""
    body, pictures = await parse_request(request, SearchRequest)
    if not request.scope["searchapp.local"]:
        body = body.model_copy(update={"model": None, "trust_remote_code": False})
    terms = body.terms or []
    if not terms or body.text or body.image_url or "image" in pictures:
        image = "image" if "image" in pictures and not is_used_by_term("image", terms) else None
        first = TermRequest.model_construct(  # its values are already validated
            text=body.text, image=image, image_url=body.image_url
        )
        terms = [first, *terms]
    _refuse_unused_pictures(pictures, terms)
    parts = [await _read_part(term, pictures, state) for term in terms]
    return await _search(parts, body, state, one_prompt=body.one_prompt)


@router.get(f"{API_PREFIX}/search", name="search_by_text", response_model=SearchAnswer)
async def search_by_text(
    parameters: Annotated[TextSearchRequest, Parameter()], state: StateDep
) -> SearchAnswer:
    """Search by a text, with the filters and the page as query parameters."""
    return await _search([QueryPart(Query(parameters.q))], parameters, state)


async def _search(
    parts: Sequence[QueryPart],
    request: SimilarRequest,
    state: AppState,
    *,
    one_prompt: bool = False,
) -> SearchAnswer:
    """Search by a sum of parts, and measure how long it takes."""
    started_at = time.perf_counter()
    result = await state.service.search(parts, to_search_options(request), one_prompt)
    state.metrics.search_seconds.observe(time.perf_counter() - started_at)
    return make_search_answer(result, request, started_at)


def _refuse_unused_pictures(pictures: dict[str, bytes], terms: list[TermRequest]) -> None:
    """Raise RequestValidationError if the form has a picture that no term of the query names."""
    unused = [
        {"type": "extra_forbidden", "loc": (name,), "msg": UNKNOWN_FIELD_MESSAGE}
        for name in pictures.keys() - {term.image for term in terms}
    ]
    if unused:
        raise RequestValidationError(unused)


async def _read_part(term: TermRequest, pictures: dict[str, bytes], state: AppState) -> QueryPart:
    """Return a term with the bytes of its picture, from the form or from a URL.

    Raises QueryError if the picture is missing or must not be fetched.
    """
    data = None
    if term.image is not None:
        if term.image not in pictures:
            raise QueryError(
                f"a term names the picture {term.image}, but the form has no such part. Add it."
            )
        data = pictures[term.image]
    elif term.image_url is not None:
        if not state.allow_urls:
            raise QueryError(
                "this server does not fetch URLs. Send the picture itself, or start the server "
                "with --allow-urls."
            )
        url = term.image_url
        data = await state.service.run_fetch(lambda: fetch_public_url(url))
    elif term.image_id is not None:
        if term.text:
            raise QueryError("a term has an image_id and a text. Split it into two terms.")
        return QueryPart(Query(None, PICTURE_PLACEHOLDER), None, term.image_id, term.weight)
    return QueryPart(
        Query(term.text, PICTURE_PLACEHOLDER if data is not None else None), data, None, term.weight
    )


@router.get(f"{API_PREFIX}/similar/{{image_id}}", name="similar", response_model=SearchAnswer)
async def find_similar(
    image_id: ImageId, parameters: Annotated[SimilarRequest, Parameter()], service: ServiceDep
) -> SearchAnswer:
    """Return the images nearest to an image of the library; the image itself comes first."""
    started_at = time.perf_counter()
    result = await service.find_similar(image_id, to_search_options(parameters))
    return make_search_answer(result, parameters, started_at)
