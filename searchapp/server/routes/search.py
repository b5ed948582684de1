"""Routes that search by text, by picture, by a sum of terms, or by an indexed image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.exceptions import RequestValidationError

from searchapp.errors import QueryError
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.server.api_examples import SEARCH_REQUEST_SCHEMA
from searchapp.server.app_state import AppState, ServiceDep, StateDep
from searchapp.server.client import PICTURE_PLACEHOLDER
from searchapp.server.fetch_public_url import fetch_public_url
from searchapp.server.parse_request import parse_request
from searchapp.server.request_models import (
    MAX_HITS,
    UNKNOWN_FIELD_MESSAGE,
    ImageId,
    SearchRequest,
    SimilarRequest,
    TermRequest,
    TextSearchRequest,
    given_options,
    is_used_by_term,
    list_examples,
    to_search_options,
)
from searchapp.server.response_models import SearchAnswer, make_search_answer
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import Example, Query

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
    if body.saved is not None:
        return await _run_saved(body, pictures, request.scope["searchapp.local"], state)
    prepared = await prepare_search(body, pictures, state)
    return await _search(
        prepared.parts, body, state, one_prompt=body.one_prompt, examples=prepared.examples
    )


async def prepare_search(
    body: SearchRequest, pictures: dict[str, bytes], state: AppState
) -> PreparedSearch:
    """Return the search of a request, with the bytes of its pictures."""
    terms, examples = body.terms or [], list_examples(body)
    if not (terms or examples) or body.text or body.image_url or "image" in pictures or body.region:
        image = "image" if "image" in pictures and not is_used_by_term("image", terms) else None
        first = TermRequest.model_construct(  # its values are already validated
            text=body.text, image=image, image_url=body.image_url, region=body.region
        )
        terms = [first, *terms]
    _refuse_unused_pictures(pictures, terms)
    parts = [await _read_part(term, pictures, state) for term in terms]
    return PreparedSearch(parts, examples, to_search_options(body), body.one_prompt)


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
    examples: Sequence[Example] = (),
) -> SearchAnswer:
    """Search by a sum of parts and by examples, and measure how long it takes."""
    started_at = time.perf_counter()
    result = await state.service.search(parts, to_search_options(request), one_prompt, examples)
    state.metrics.search_seconds.observe(time.perf_counter() - started_at)
    return make_search_answer(result, request, started_at)


async def _run_saved(
    body: SearchRequest, pictures: dict[str, bytes], is_local: bool, state: AppState
) -> SearchAnswer:
    """Run a saved search; the other fields of the request replace its options.

    Raises QueryError if the request has a question of its own.
    """
    started_at = time.perf_counter()
    if body.text or body.image_url or body.terms or pictures or body.region or list_examples(body):
        raise QueryError("a saved search has its own question; leave out text, pictures and terms")
    assert body.saved is not None
    prepared = await state.service.prepare_saved(body.saved, given_options(body))
    parts, options, examples = prepared.parts, prepared.options, prepared.examples
    if not is_local:
        options = replace(options, count=min(options.count, MAX_HITS))
        parts = [await _fetch_picture(part, state) for part in parts]
        _refuse_web_addresses(examples)
    one_more = replace(options, count=options.count + 1)  # shows whether there is another page
    result = await state.service.search(parts, one_more, one_prompt=False, examples=examples)
    state.metrics.search_seconds.observe(time.perf_counter() - started_at)
    sort = options.sort if parts or examples else "date"
    page = body.model_copy(update={"count": options.count, "sort": sort})
    return make_search_answer(result, page, started_at)


async def _fetch_picture(part: QueryPart, state: AppState) -> QueryPart:
    """Return a part with the bytes of the picture at its URL, if it has one."""
    url = str(part.query.image or "")
    if not url.startswith(("http://", "https://")):
        return part
    return replace(part, data=await _fetch_url(url, state))


def _refuse_web_addresses(examples: Sequence[Example]) -> None:
    """Raise QueryError if an example is at a URL, which the search would fetch unchecked."""
    if any(str(example.image).startswith(("http://", "https://")) for example in examples):
        raise QueryError(
            "this saved search has a liked picture at a URL, which only the command line fetches. "
            "Run `searchapp query --saved NAME`."
        )


async def _fetch_url(url: str, state: AppState) -> bytes:
    """Return the bytes at a URL that a client named; raise QueryError if this is not allowed."""
    if not state.allow_urls:
        raise QueryError(
            "this server does not fetch URLs. Send the picture itself, or start the server "
            "with --allow-urls."
        )
    return await state.service.run_blocking(lambda: fetch_public_url(url))


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
        data = await _fetch_url(term.image_url, state)
    image = PICTURE_PLACEHOLDER if data is not None or term.image_id is not None else None
    image_id = term.image_id if data is None else None
    return QueryPart(Query(term.text, image, term.region), data, image_id, term.weight)


@router.get(f"{API_PREFIX}/similar/{{image_id}}", name="similar", response_model=SearchAnswer)
async def find_similar(
    image_id: ImageId, parameters: Annotated[SimilarRequest, Parameter()], service: ServiceDep
) -> SearchAnswer:
    """Return the images nearest to an image of the library; the image itself comes first."""
    started_at = time.perf_counter()
    result = await service.find_similar(image_id, to_search_options(parameters))
    return make_search_answer(result, parameters, started_at)
