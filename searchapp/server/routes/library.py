"""Routes that describe the library: what it holds, and what it can be filtered by."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter

from searchapp.server.app_state import ServiceDep
from searchapp.server.request_models import FilterRequest
from searchapp.server.response_models import FacetsAnswer

router = APIRouter()


@router.get("/api/facets", name="facets", response_model=FacetsAnswer)
async def get_facets(
    asked: Annotated[FilterRequest, Parameter()], service: ServiceDep
) -> FacetsAnswer:
    """Count the pictures of each month, folder, camera, lens, keyword, rating and format."""
    return FacetsAnswer.from_facets(await service.count_facets(asked.to_filter(), asked.collection))


@router.get("/api/info", name="info")
async def get_info(service: ServiceDep) -> dict[str, Any]:
    """Tell what the library holds, and what it can be filtered by."""
    return await service.describe_library()
