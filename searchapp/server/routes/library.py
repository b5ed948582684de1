"""Routes that describe the library: its metadata, its pictures by date, and its facets."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Query as Parameter

from searchapp.server.api_examples import INFO_RESPONSE
from searchapp.server.app_state import ServiceDep, StateDep
from searchapp.server.desktop import can_open_folders
from searchapp.server.request_models import FacetsRequest, FilterRequest, ImageId
from searchapp.server.response_models import (
    FacetsAnswer,
    PictureAnswer,
    PictureDetails,
    PicturesAnswer,
    TimelineAnswer,
)
from searchapp.server.unix_http import API_PREFIX

MAX_PICTURES = 200  # per request
PictureIds = Annotated[
    list[Annotated[int, Parameter(ge=1, le=2**63 - 1)]],
    Parameter(alias="id", min_length=1, max_length=MAX_PICTURES),
]

router = APIRouter(tags=["Library"])


@router.get(f"{API_PREFIX}/facets", name="facets", response_model=FacetsAnswer)
async def get_facets(
    parameters: Annotated[FacetsRequest, Parameter()], service: ServiceDep
) -> FacetsAnswer:
    """Count the images by month, folder, camera, lens, keyword, rating, format and place."""
    image_filter = parameters.to_filter()
    facets = await service.count_facets(image_filter, parameters.collection, parameters.find)
    warnings = () if facets.images else await service.list_warnings(image_filter)
    return FacetsAnswer.from_facets(facets, warnings)


@router.get(f"{API_PREFIX}/timeline", name="timeline", response_model=TimelineAnswer)
async def get_timeline(
    parameters: Annotated[FilterRequest, Parameter()], service: ServiceDep
) -> Response:
    """List all images that match the filters, newest first, in a compact form."""
    timeline, colors = await service.list_timeline(parameters.to_filter(), parameters.collection)
    content = await asyncio.to_thread(TimelineAnswer.encode, timeline, colors)
    return Response(content, media_type="application/json")


@router.get(f"{API_PREFIX}/pictures", name="pictures", response_model=PicturesAnswer)
async def get_pictures(ids: PictureIds, service: ServiceDep) -> PicturesAnswer:
    """Return pictures of the library by their ids; unknown ids are left out."""
    hits = await service.read_hits(ids)
    return PicturesAnswer(pictures=[PictureAnswer.from_hit(hit) for hit in hits])


@router.get(f"{API_PREFIX}/pictures/{{image_id}}", name="picture", response_model=PictureDetails)
async def get_picture(image_id: ImageId, service: ServiceDep) -> PictureDetails:
    """Return everything that the library knows of a picture."""
    hits, located = await service.read_hits([image_id]), await service.locate_image(image_id)
    if located is None:
        raise HTTPException(404, f"the library has no image {image_id}")
    if not hits:
        raise HTTPException(
            404, f"no file of image {image_id} exists any more; run `searchapp index` again"
        )
    return PictureDetails.from_image(hits[0], located)


@router.get(f"{API_PREFIX}/info", name="info", responses=INFO_RESPONSE)
async def get_info(request: Request, state: StateDep) -> dict[str, Any]:
    """Return model, collections, folders, dates and number of images of the library."""
    info = await state.service.describe_library()
    return {**info, "can_open_folders": can_open_folders(request, state)}
