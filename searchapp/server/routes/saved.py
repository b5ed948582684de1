"""Routes that list, create, rename and delete saved searches; POST /search runs them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request, Response

from searchapp.errors import QueryError
from searchapp.search.saved_searches import SavedSearches
from searchapp.server.app_state import ServiceDep, StateDep
from searchapp.server.parse_request import parse_request
from searchapp.server.request_models import QuestionRequest, TermRequest, given_options
from searchapp.server.saved_models import (
    RENAME_REQUEST_SCHEMA,
    SAVE_REQUEST_SCHEMA,
    RenameRequest,
    SavedSearchAnswer,
    SavedSearchesAnswer,
    SavedSearchRequest,
)
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import SavedSearch, SavedTerm, SearchOptions

SavedId = Annotated[int, Path(ge=1, le=2**63 - 1)]
ADDRESS = f"{API_PREFIX}/saved"

router = APIRouter(tags=["Saved searches"])


@router.get(ADDRESS, name="saved", response_model=SavedSearchesAnswer)
async def list_saved(service: ServiceDep) -> SavedSearchesAnswer:
    """List the saved searches, sorted by name."""

    def read(saved: SavedSearches) -> list[SavedSearchAnswer]:
        return [_make_answer(saved, search) for search in saved.list_searches()]

    return SavedSearchesAnswer(searches=await service.use_saved(read))


@router.post(
    ADDRESS,
    name="save_search",
    status_code=201,
    response_model=SavedSearchAnswer,
    openapi_extra=SAVE_REQUEST_SCHEMA,
)
async def save_search(request: Request, state: StateDep) -> SavedSearchAnswer:
    """Save a question and its filters under a name. A picture is an image_id or an image_url."""
    body, pictures = await parse_request(request, SavedSearchRequest)
    is_uploaded = pictures or any(term.image for term in body.terms or [])
    if is_uploaded or body.like_files or body.unlike_files:
        raise QueryError(
            "the file of a picture cannot be saved with a search. Index the picture, and give its "
            "image_id."
        )
    options = SearchOptions(**given_options(body))

    def save(saved: SavedSearches) -> SavedSearchAnswer:
        terms = [_make_term(term, saved, allow_urls=state.allow_urls) for term in _list_terms(body)]
        for is_liked, ids in ((True, body.like), (False, body.unlike)):
            terms += [SavedTerm(image_key=_find_key(id, saved), is_liked=is_liked) for id in ids]
        return _make_answer(saved, saved.add(body.name, terms, options))

    return await state.service.use_saved(save)


@router.get(f"{ADDRESS}/{{saved_id}}", name="saved_search", response_model=SavedSearchAnswer)
async def get_saved(saved_id: SavedId, service: ServiceDep) -> SavedSearchAnswer:
    """Return a saved search."""
    return await service.use_saved(lambda saved: _make_answer(saved, _require(saved, saved_id)))


@router.patch(
    f"{ADDRESS}/{{saved_id}}",
    name="rename_search",
    response_model=SavedSearchAnswer,
    openapi_extra=RENAME_REQUEST_SCHEMA,
)
async def rename_saved(
    request: Request, saved_id: SavedId, service: ServiceDep
) -> SavedSearchAnswer:
    """Give a saved search another name."""
    body, pictures = await parse_request(request, RenameRequest)
    if pictures:
        raise QueryError("a name has no pictures; send it as JSON")

    def rename(saved: SavedSearches) -> SavedSearchAnswer:
        return _make_answer(saved, saved.rename(_require(saved, saved_id), body.name))

    return await service.use_saved(rename)


@router.delete(f"{ADDRESS}/{{saved_id}}", name="delete_search", status_code=204)
async def delete_saved(saved_id: SavedId, service: ServiceDep) -> Response:
    """Delete a saved search, and the links to its hits."""
    await service.use_saved(lambda saved: saved.remove(_require(saved, saved_id)))
    return Response(status_code=204)


def _require(saved: SavedSearches, saved_id: int) -> SavedSearch:
    found = saved.find_by_id(saved_id)
    if found is None:
        raise HTTPException(404, f"the library has no saved search {saved_id}")
    return found


def _make_answer(saved: SavedSearches, search: SavedSearch) -> SavedSearchAnswer:
    return SavedSearchAnswer.from_search(search, saved.find_image_ids(search))


def _list_terms(body: QuestionRequest) -> list[TermRequest]:
    """Return the terms of a request; its own text and picture are the first of them."""
    first = TermRequest.model_construct(
        text=body.text, image_url=body.image_url, region=body.region
    )
    return [*([first] if body.text or body.image_url else []), *(body.terms or [])]


def _make_term(term: TermRequest, saved: SavedSearches, *, allow_urls: bool) -> SavedTerm:
    """Return a term in the form in which it is saved.

    Raises QueryError if the server does not fetch URLs, and HTTPException for an unknown image.
    """
    if term.image_url is not None and not allow_urls:
        raise QueryError(
            "this server does not fetch URLs. Index the picture, or start the server with "
            "--allow-urls."
        )
    key = None if term.image_id is None else _find_key(term.image_id, saved)
    return SavedTerm(term.text or None, term.image_url, key, term.weight, term.region)


def _find_key(image_id: int, saved: SavedSearches) -> str:
    key = saved.find_image_key(image_id)
    if key is None:
        raise HTTPException(404, f"the library has no image {image_id}")
    return key
