"""Routes that search: by a text, by pictures, or by an indexed image."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameter

from searchapp.errors import QueryError
from searchapp.search.search import QueryPart
from searchapp.server.app_state import AppState, ServiceDep, StateDep
from searchapp.server.client import PICTURE_PLACEHOLDER
from searchapp.server.fetch_public_url import fetch_public_url
from searchapp.server.request_models import (
    SEARCH_REQUEST_SCHEMA,
    ImageId,
    SearchRequest,
    SimilarRequest,
    TermRequest,
    is_named_by_term,
    parse_request,
    to_search_options,
)
from searchapp.server.response_models import SearchAnswer, answer_of
from searchapp.types import Query

router = APIRouter()


@router.post(
    "/api/search", name="search", response_model=SearchAnswer, openapi_extra=SEARCH_REQUEST_SCHEMA
)
async def search_library(request: Request, state: StateDep) -> SearchAnswer:
    """Search by a text, by a picture, by both as one question, or by a sum of terms."""
    asked, files = await parse_request(request, SearchRequest)
    if not request.scope["searchapp.local"]:
        asked = asked.model_copy(update={"model": None, "trust_remote_code": False})
    terms = asked.terms or []
    if not terms or asked.text or asked.image_url or "image" in files:
        image = "image" if "image" in files and not is_named_by_term("image", terms) else None
        terms = [TermRequest(text=asked.text, image=image, image_url=asked.image_url), *terms]
    parts = [await _read_part(term, files, state) for term in terms]
    begun = time.perf_counter()
    answer = await state.service.search(parts, to_search_options(asked), asked.one_prompt)
    state.metrics.search_seconds.observe(time.perf_counter() - begun)
    return answer_of(answer, asked, begun)


async def _read_part(term: TermRequest, files: dict[str, bytes], state: AppState) -> QueryPart:
    """Return a term with the bytes of its picture, from the form or from a URL."""
    data = None
    if term.image is not None:
        if term.image not in files:
            raise QueryError(f"the form has no picture named {term.image}")
        data = files[term.image]
    elif term.image_url is not None:
        if not state.allow_urls:
            raise QueryError("this server fetches no URLs; send the picture itself")
        url = term.image_url
        data = await state.service.run_fetch(lambda: fetch_public_url(url))
    elif term.image_id is not None:
        if term.text:
            raise QueryError("a term is an image's id or a text; make two terms of them")
        return QueryPart(Query(None, PICTURE_PLACEHOLDER), None, term.image_id, term.weight)
    return QueryPart(
        Query(term.text, PICTURE_PLACEHOLDER if data is not None else None), data, None, term.weight
    )


@router.get("/api/similar/{image_id}", name="similar", response_model=SearchAnswer)
async def find_similar(
    image_id: ImageId, asked: Annotated[SimilarRequest, Parameter()], service: ServiceDep
) -> SearchAnswer:
    """Find images like one of the library's; it comes first itself."""
    begun = time.perf_counter()
    return answer_of(await service.similar(image_id, to_search_options(asked)), asked, begun)
