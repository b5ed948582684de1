"""Routes that describe the library: its metadata, its pictures by date, and its facets."""

from __future__ import annotations

import asyncio
import gzip
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter

from searchapp.server.app_state import ServiceDep
from searchapp.server.request_models import FacetsRequest, FilterRequest
from searchapp.server.response_models import (
    FacetsAnswer,
    PictureAnswer,
    PicturesAnswer,
    TimelineAnswer,
)

MAX_PICTURES = 200  # per request
PictureIds = Annotated[
    list[Annotated[int, Parameter(ge=1, le=2**63 - 1)]],
    Parameter(alias="id", min_length=1, max_length=MAX_PICTURES),
]

router = APIRouter()


@router.get("/api/facets", name="facets", response_model=FacetsAnswer)
async def get_facets(
    parameters: Annotated[FacetsRequest, Parameter()], service: ServiceDep
) -> FacetsAnswer:
    """Count the images by month, folder, camera, lens, keyword, rating, format and place."""
    image_filter = parameters.to_filter()
    facets = await service.count_facets(image_filter, parameters.collection, parameters.find)
    warnings = () if facets.images else await service.list_warnings(image_filter)
    return FacetsAnswer.from_facets(facets, warnings)


@router.get("/api/timeline", name="timeline", response_model=TimelineAnswer)
async def get_timeline(
    request: Request, parameters: Annotated[FilterRequest, Parameter()], service: ServiceDep
) -> Response:
    """List all images that match the filters, newest first, in a compact form."""
    timeline, colors = await service.list_timeline(parameters.to_filter(), parameters.collection)
    accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")

    def encode() -> bytes:
        data = TimelineAnswer.encode(timeline, colors)
        return gzip.compress(data, compresslevel=4) if accepts_gzip else data

    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if accepts_gzip:
        headers["Content-Encoding"] = "gzip"
    return Response(await asyncio.to_thread(encode), media_type="application/json", headers=headers)


@router.get("/api/pictures", name="pictures", response_model=PicturesAnswer)
async def get_pictures(ids: PictureIds, service: ServiceDep) -> PicturesAnswer:
    """Return pictures of the library by their ids; unknown ids are left out."""
    hits = await service.read_hits(ids)
    return PicturesAnswer(pictures=[PictureAnswer.from_hit(hit) for hit in hits])


@router.get("/api/info", name="info")
async def get_info(service: ServiceDep) -> dict[str, Any]:
    """Return model, collections, folders, dates and number of images of the library."""
    return await service.describe_library()
