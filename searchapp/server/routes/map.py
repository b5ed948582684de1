"""Routes of the map: pictures near each other on the earth, or near each other in likeness."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from searchapp.library import Library
from searchapp.pages.map import arrange_map
from searchapp.pages.map.write_map import make_map_data
from searchapp.server.app_state import ServiceDep
from searchapp.server.background_jobs import JobStep
from searchapp.server.job_models import JobAnswer, JobId, require_result
from searchapp.server.map_models import (
    MAP_REQUEST_SCHEMA,
    MapRequest,
    PictureMapAnswer,
    PlacesAnswer,
    PlacesRequest,
)
from searchapp.server.parse_request import parse_request
from searchapp.server.unix_http import API_PREFIX
from searchapp.types import SearchOptions, WorkStep

router = APIRouter(tags=["Map"])


@router.get(f"{API_PREFIX}/places", name="places", response_model=PlacesAnswer)
async def get_places(
    parameters: Annotated[PlacesRequest, Parameter()], service: ServiceDep
) -> PlacesAnswer:
    """Group the images that match the filters by place, in the squares of a grid."""
    clusters = await service.list_place_clusters(
        parameters.to_filter(), parameters.collection, parameters.cell, parameters.within
    )
    return PlacesAnswer.from_clusters(clusters)


@router.post(
    f"{API_PREFIX}/map",
    name="make_map",
    status_code=202,
    response_model=JobAnswer,
    openapi_extra=MAP_REQUEST_SCHEMA,
)
async def start_map(request: Request, service: ServiceDep) -> JobAnswer:
    """Arrange pictures so that similar ones are next to each other, as the command map does."""
    body, _ = await parse_request(request, MapRequest)
    options = SearchOptions(**body.filter_values(), collection=body.collection)

    def arrange(library: Library) -> Generator[JobStep, None, bytes]:
        for event in arrange_map(library, options, body.count):
            if isinstance(event, WorkStep):
                yield _convert_step(event)
            else:
                values: dict[str, Any] = {
                    **make_map_data(event), "matching": event.matching,
                    "unreadable": event.unreadable,
                }  # fmt: skip
        return json.dumps(values, separators=(",", ":")).encode("ascii")

    key = (options, body.count, await service.count_images_and_files())
    return JobAnswer.from_job(service.jobs.start("map", key, arrange, again=body.again))


@router.get(f"{API_PREFIX}/map/{{job_id}}", name="map", response_model=PictureMapAnswer)
async def get_map(job_id: JobId, service: ServiceDep) -> Response:
    """Return the pictures of a map: their thumbnails, and their places in a grid."""
    job = require_result(service.jobs, job_id, "map")
    return Response(job.result, media_type="application/json")


def _convert_step(event: WorkStep) -> JobStep:
    if event.total:
        return JobStep("thumbnails", event.done, event.total)
    return JobStep("arranging" if event.description.startswith("arranging") else "choosing")
