"""Route that keeps the choices of a person who reviewed duplicates."""

from __future__ import annotations

from fastapi import APIRouter, Request

from searchapp.errors import QueryError
from searchapp.server.api_examples import REVIEW_REQUEST_SCHEMA
from searchapp.server.app_state import ServiceDep
from searchapp.server.parse_request import parse_request
from searchapp.server.request_models import ReviewRequest
from searchapp.server.response_models import ReviewAnswer
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import ReviewChoice

router = APIRouter(tags=["Duplicates"])


@router.post(
    f"{API_PREFIX}/duplicates/reviews",
    name="review_duplicates",
    response_model=ReviewAnswer,
    openapi_extra=REVIEW_REQUEST_SCHEMA,
)
async def save_reviews(request: Request, service: ServiceDep) -> ReviewAnswer:
    """Keep which files of groups of duplicates stay. No file is moved.

    The search for duplicates does not list a pair again of which both files stay.
    """
    body, pictures = await parse_request(request, ReviewRequest)
    if pictures:
        raise QueryError("a review has no pictures; send its choices as JSON")
    groups = [
        [ReviewChoice(file.path, file.sha256, file.stays) for file in group]
        for group in body.groups
    ]
    saved = await service.save_reviews(groups)
    return ReviewAnswer(groups=saved.groups, unknown_files=saved.unknown_files)
