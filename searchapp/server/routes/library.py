"""Routes that describe the library: its metadata and its facets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter

from searchapp.server.api_examples import INFO_RESPONSE
from searchapp.server.app_state import ServiceDep
from searchapp.server.request_models import FilterRequest
from searchapp.server.response_models import FacetsAnswer
from searchapp.server.unix_http import API_PREFIX

router = APIRouter(tags=["Library"])


@router.get(f"{API_PREFIX}/facets", name="facets", response_model=FacetsAnswer)
async def get_facets(
    parameters: Annotated[FilterRequest, Parameter()], service: ServiceDep
) -> FacetsAnswer:
    """Count the images by month, folder, camera, lens, keyword, rating and format."""
    image_filter = parameters.to_filter()
    facets = await service.count_facets(image_filter, parameters.collection)
    warnings = () if facets.images else await service.list_warnings(image_filter)
    return FacetsAnswer.from_facets(facets, warnings)


@router.get(f"{API_PREFIX}/info", name="info", responses=INFO_RESPONSE)
async def get_info(service: ServiceDep) -> dict[str, Any]:
    """Return model, collections, folders, dates and number of images of the library."""
    return await service.describe_library()
