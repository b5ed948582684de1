"""Route that runs several searches of a command; it works only through the Unix socket."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from searchapp.errors import SearchAppError, error_to_dict
from searchapp.server.app_state import UNIX_SOCKET_ONLY, StateDep
from searchapp.server.parse_request import parse_request
from searchapp.server.request_models import RequestFields, SearchRequest, is_used_by_term
from searchapp.server.response_models import SearchAnswer, make_search_answer
from searchapp.server.routes.search import prepare_search
from searchapp.server.unix_http import API_PREFIX

router = APIRouter(include_in_schema=False, dependencies=UNIX_SOCKET_ONLY)


class SearchesRequest(RequestFields):
    """Several searches, each with its own query, conditions and page; none is a saved search."""

    searches: list[SearchRequest]


class SearchesAnswer(BaseModel):
    """Answer of each search, or the error that it has instead."""

    answers: list[SearchAnswer | None]
    errors: list[dict[str, Any] | None]


@router.post(f"{API_PREFIX}/searches")
async def search_together(request: Request, state: StateDep) -> SearchesAnswer:
    """Run several searches of a command, which share calls of the engine and of the index."""
    body, pictures = await parse_request(request, SearchesRequest)
    started_at = time.perf_counter()
    prepared = []
    for each in body.searches:
        own = {name: data for name, data in pictures.items() if is_used_by_term(name, each.terms)}
        prepared.append(await prepare_search(each, own, state))
    outcomes = await state.service.search_together(prepared)
    seconds = (time.perf_counter() - started_at) / max(1, len(outcomes))
    answers, errors = list[SearchAnswer | None](), list[dict[str, Any] | None]()
    for each, outcome in zip(body.searches, outcomes, strict=True):
        state.metrics.search_seconds.observe(seconds)
        if isinstance(outcome, SearchAppError):
            answers.append(None)
            errors.append(error_to_dict(outcome))
        else:
            answers.append(make_search_answer(outcome, each, started_at))
            errors.append(None)
    return SearchesAnswer(answers=answers, errors=errors)
