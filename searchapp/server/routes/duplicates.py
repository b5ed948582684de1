"""Routes that search for duplicates, and keep the choices of a person who reviewed them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from searchapp.duplicates import move_script
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.library import Library
from searchapp.server.api_examples import SCRIPT_RESPONSE
from searchapp.server.app_state import ServiceDep
from searchapp.server.background_jobs import JobStep
from searchapp.server.duplicate_models import (
    DUPLICATES_REQUEST_SCHEMA,
    REVIEW_REQUEST_SCHEMA,
    DuplicatesAnswer,
    DuplicatesRequest,
    GroupsRequest,
    ReviewAnswer,
    ReviewRequest,
    ScriptRequest,
    list_seen_choices,
)
from searchapp.server.job_models import JobAnswer, JobId, require_result
from searchapp.server.parse_request import parse_request
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import (
    ComparisonStarted,
    DuplicateOptions,
    Duplicates,
    DuplicatesFound,
    Progress,
    ReviewChoice,
)

SCRIPT_NAME = "move-duplicates.sh"

router = APIRouter(tags=["Duplicates"])


@router.post(
    f"{API_PREFIX}/duplicates",
    name="search_duplicates",
    status_code=202,
    response_model=JobAnswer,
    openapi_extra=DUPLICATES_REQUEST_SCHEMA,
)
async def start_search(request: Request, service: ServiceDep) -> JobAnswer:
    """Search for files with the same picture in the background, as the command duplicates does."""
    body, _ = await parse_request(request, DuplicatesRequest)
    # A search keeps all groups. The choices of reviews are applied when groups are read.
    options = DuplicateOptions(
        **body.filter_values(),
        collection=body.collection,
        similar=body.look_alikes,
        reviewed=True,
    )
    key = (options, await service.count_images_and_files())
    job = service.jobs.start(
        "duplicates", key, lambda library: _search(library, options), again=body.again
    )
    return JobAnswer.from_job(job)


@router.get(
    f"{API_PREFIX}/duplicates/{{job_id}}", name="duplicates", response_model=DuplicatesAnswer
)
async def get_groups(
    job_id: JobId, parameters: Annotated[GroupsRequest, Parameter()], service: ServiceDep
) -> DuplicatesAnswer:
    """Return a page of the groups that a search has found, with the choices of reviews."""
    job = require_result(service.jobs, job_id, "duplicates")
    groups = await service.apply_reviews(job.result, show_all=parameters.reviewed)
    located = await service.locate_images(parameters.among)
    among_paths = await service.run_blocking(
        lambda: [list(filter(storage.can_exist, image.paths)) for image in located.values()]
    )
    return DuplicatesAnswer.from_groups(job.result, groups, parameters, among_paths)


@router.get(
    f"{API_PREFIX}/duplicates/{{job_id}}/script",
    name="duplicates_script",
    response_class=Response,
    responses=SCRIPT_RESPONSE,
)
async def get_script(
    job_id: JobId, parameters: Annotated[ScriptRequest, Parameter()], service: ServiceDep
) -> Response:
    """Return a script that moves the files that do not stay. searchapp itself moves none."""
    job = require_result(service.jobs, job_id, "duplicates")
    groups = await service.apply_reviews(job.result, show_all=False)
    wanted = (groups[number] for number in parameters.find_wanted(job.result))
    script = move_script.make_script([group for group in wanted if group and group.moved])
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{SCRIPT_NAME}"',
    }
    return Response(script, media_type="text/x-shellscript", headers=headers)


@router.post(
    f"{API_PREFIX}/duplicates/reviews",
    name="review_duplicates",
    response_model=ReviewAnswer,
    openapi_extra=REVIEW_REQUEST_SCHEMA,
)
async def save_reviews(request: Request, service: ServiceDep) -> ReviewAnswer:
    """Keep which files of groups of duplicates stay. No file is moved.

    The search for duplicates does not list a pair again of which both files stay. A group is not
    saved if its choices differ from those that the client has seen.
    """
    body, pictures = await parse_request(request, ReviewRequest)
    if pictures:
        raise QueryError("a review has no pictures; send its choices as JSON")
    groups = [
        [ReviewChoice(file.path, file.sha256, file.stays) for file in group]
        for group in body.groups
    ]
    seen_choices = [list_seen_choices(group) for group in body.groups]
    saved = await service.save_reviews(groups, seen_choices)
    return ReviewAnswer.from_saved(saved, groups)


def _search(library: Library, options: DuplicateOptions) -> Generator[JobStep, None, Duplicates]:
    """Search a library for duplicates; yield the progress, and return the result."""
    yield JobStep("comparing")
    for event in library.duplicates(options):
        match event:
            case Progress():
                yield JobStep("reading", event.done, event.total)
            case ComparisonStarted():
                yield JobStep("comparing")
            case DuplicatesFound():
                found = event.duplicates
    return found
