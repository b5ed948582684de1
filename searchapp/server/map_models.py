"""Requests and answers of the routes for the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from searchapp.server.api_examples import make_json_body
from searchapp.server.request_fields import Rectangle, WebLimit
from searchapp.server.request_models import FilterRequest
from searchapp.types import PlaceCluster

MAX_MAP_PICTURES = 5000  # with more pictures, computing the layout takes too long


class PlacesRequest(FilterRequest):
    """Conditions of images on a map, and how to group them."""

    cell: Annotated[
        float, Field(ge=1e-4, le=90, description="side of a square of the grid, in degrees")
    ] = 1.0
    within: Annotated[Rectangle | None, Field(description="only squares in this rectangle")] = None


class MapRequest(FilterRequest):
    """Pictures of a map, and how many of them it shows."""

    count: Annotated[
        int, Field(ge=1, description="most pictures on the map"), WebLimit(le=MAX_MAP_PICTURES)
    ] = 2000
    again: Annotated[bool, Field(description="make the map again if there is one")] = False


MAP_REQUEST_SCHEMA = make_json_body(MapRequest, {"after": "2021", "count": 1000})


class PlaceAnswer(BaseModel):
    """Images in one square of the grid."""

    area: str = Field(description="the smallest rectangle with all of them, for the filter area")
    latitude: float = Field(description="center of the rectangle")
    longitude: float
    images: int
    image_id: int = Field(description="one of them, to show")


class PlacesAnswer(BaseModel):
    """Images by place, the squares with most images first."""

    places: list[PlaceAnswer]

    @classmethod
    def from_clusters(cls, clusters: Sequence[PlaceCluster]) -> PlacesAnswer:
        """Convert clusters into their form in the API."""
        return cls(
            places=[
                PlaceAnswer(
                    area=str(area := cluster.area),
                    latitude=(area.south + area.north) / 2,
                    longitude=(area.west + area.east) / 2,
                    images=cluster.images,
                    image_id=cluster.image_id,
                )
                for cluster in clusters
            ]
        )


class PictureMapAnswer(BaseModel):
    """Map on which similar pictures are next to each other."""

    side: int = Field(description="most pixels of a side of a thumbnail")
    across: int = Field(description="thumbnails in a row of a sheet")
    columns: int = Field(description="of the grid")
    rows: int
    folders: list[tuple[str, str]] = Field(description="path and file: URL of each folder")
    tiles: list[tuple[int, int, int, int, int, str, str, str, int, int]] = Field(
        description="column, row, width, height, number of the folder, name, name in a URL, day, "
        "number of pictures that it represents, and image id"
    )
    sheets: list[str] = Field(description="data: URLs of JPEGs with the thumbnails, row by row")
    matching: int = Field(description="pictures that match the filter")
    unreadable: int
