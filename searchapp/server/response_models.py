"""Answers of the HTTP API: pictures, hits, facets and the metadata of the library."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, Field

from searchapp.catalog import LocatedImage
from searchapp.library import Library
from searchapp.search.hit_list import sort_hits
from searchapp.server.request_models import SimilarRequest
from searchapp.types import (
    Facet,
    Facets,
    Hit,
    SearchOptions,
    SearchResult,
    TextLine,
    Timeline,
)
from searchapp.types.search import MatchSource

FACETS = ("folders", "cameras", "lenses", "keywords", "ratings", "formats", "place_names")


class MatchAnswer(BaseModel):
    """One reason why a hit is in the result."""

    by: MatchSource
    snippet: str | None = Field(description="the name or text that matches")
    boxes: list[list[tuple[float, float]]] = Field(
        description="corners of the words in the picture, as shares of width and height"
    )


class LineAnswer(BaseModel):
    """Line of text in a picture."""

    text: str
    box: list[tuple[float, float]] = Field(
        description="corners of the line, from the first letter on, as shares of width and height"
    )
    confidence: float = Field(description="0 to 1")


class TextAnswer(BaseModel):
    """Text in a picture or video frame."""

    is_read: bool = Field(description="false: the text was not recognized yet")
    lines: list[LineAnswer]

    @classmethod
    def from_lines(cls, lines: Sequence[TextLine] | None) -> TextAnswer:
        """Convert the lines of a picture into their form in the API."""
        answers = [LineAnswer(**line.to_dict()) for line in lines or ()]
        return cls(is_read=lines is not None, lines=answers)


class PictureAnswer(BaseModel):
    """Picture of the library: its files and its metadata."""

    id: int
    path: str
    name: str
    folder: str
    width: int
    height: int
    sha256: str
    taken_at: str | None
    date: str | None = Field(description="taken_at, or the date of the file if that is unknown")
    date_from: str | None = Field(description="exif, xmp, iptc, json or file")
    camera: str | None
    lens: str | None
    rating: int | None = Field(description="1 to 5; -1: rejected")
    keywords: list[str]
    title: str | None
    latitude: float | None
    longitude: float | None
    city: str | None = Field(description="of the position, as GeoNames calls it")
    region: str | None
    country: str | None
    also: list[str]
    seconds: float | None = Field(description="time of the frame in its video")
    moments: list[float] = Field(description="times of other matching frames, in seconds")
    companions: list[str] = Field(
        description="files of the same picture: RAW, video of a Live Photo"
    )

    @classmethod
    def from_hit(cls, hit: Hit) -> Self:
        """Convert a Hit into its form in the API."""
        folder, name = os.path.split(hit.path)
        return cls(id=hit.image_id, folder=folder, name=name, **hit.to_dict())


class PictureDetails(PictureAnswer):
    """Picture of the library, with everything that the library knows of it."""

    description: str | None
    format: str
    file_bytes: int = Field(description="size of the file at path, when it was indexed")

    @classmethod
    def from_image(cls, hit: Hit, located: LocatedImage) -> Self:
        """Combine a Hit with its located image."""
        info = located.get_file_info(hit.path)
        size = next((file.size for file in located.files if file.path == hit.path), 0)
        picture = PictureAnswer.from_hit(hit).model_dump()
        return cls(**picture, description=info.description, format=info.format, file_bytes=size)


class Found(PictureAnswer):
    """Hit of a search."""

    score: float
    match: list[MatchAnswer] = Field(description="why the image is a hit")
    good_match: bool | None = Field(description="whether this is a good match; null: unknown")
    rerank_score: float | None = Field(
        description="0 to 1; null: no reranker has looked at the image"
    )


class PicturesAnswer(BaseModel):
    """Pictures of the library, in the order of the request; unknown ids are left out."""

    pictures: list[PictureAnswer]


class TimelineAnswer(BaseModel):
    """Images that match a filter, newest first. All lists describe the same images."""

    images: int
    days: list[tuple[str, int]] = Field(
        description="pairs of a day, 2023-06-17, and its number of images; undated images: an "
        "empty text, last"
    )
    ids: list[int] = Field(description="the first id, then the difference to the previous id")
    ratios: list[int] = Field(description="width in percent of the height, 10 to 1000")
    colors: str = Field(
        description="mean color: three hexadecimal digits for each image, or three spaces if it "
        "is unknown; empty if no color is known"
    )

    @classmethod
    def encode(cls, timeline: Timeline, colors: str) -> bytes:
        """Return the answer as JSON; validation of 100,000 images would take most of the time."""
        ids = np.diff(np.array(timeline.image_ids, np.int64), prepend=0).tolist()
        values = {"images": len(ids), "days": timeline.days, "ids": ids,
                  "ratios": timeline.ratios, "colors": colors}  # fmt: skip
        return json.dumps(values, separators=(",", ":")).encode("ascii")


class FacetAnswer(BaseModel):
    """Values of one field of the matching images, most frequent first."""

    values: list[tuple[str, int]] = Field(description="pairs of a value and its number of images")
    more: int = Field(description="number of further values")

    @classmethod
    def from_facet(cls, facet: Facet) -> FacetAnswer:
        """Convert a Facet into its form in the API."""
        return cls(values=list(facet.values), more=facet.more)


class MonthAnswer(BaseModel):
    """Number of images of a month."""

    month: str = Field(description="2023-06")
    images: int
    by_file: int = Field(description="images that only have the date of their file")


class FacetsAnswer(BaseModel):
    """Values to filter by; the counts of a field ignore the filter on that field."""

    images: int
    months: list[MonthAnswer]
    folders: FacetAnswer
    cameras: FacetAnswer
    lenses: FacetAnswer
    keywords: FacetAnswer
    ratings: FacetAnswer
    formats: FacetAnswer
    place_names: FacetAnswer
    warnings: list[str] = Field(description="why no picture can match: an unknown folder")
    places: list[tuple[int, int, int]] = Field(
        description="square degrees: south and west in degrees, and the number of images"
    )

    @classmethod
    def from_facets(cls, facets: Facets, warnings: Sequence[str]) -> FacetsAnswer:
        """Convert Facets into their form in the API."""
        return cls(
            images=facets.images,
            warnings=list(warnings),
            places=list(facets.places),
            months=[MonthAnswer(**asdict(month)) for month in facets.months],
            **{name: FacetAnswer.from_facet(getattr(facets, name)) for name in FACETS},
        )


class SearchAnswer(BaseModel):
    """Hits of a search, best first."""

    hits: list[Found]
    good_match: bool | None = Field(
        description="whether the best hit is a good match; null: unknown"
    )
    more: bool = Field(description="whether there are more hits")
    milliseconds: float
    warnings: list[str] = Field(
        description="what explains poor hits, or none: a folder that is not in the library, or "
        "words that the model does not know"
    )


def make_search_answer(
    result: SearchResult, request: SimilarRequest, started_at: float
) -> SearchAnswer:
    """Return the requested page of a search result.

    started_at: when the search started, by time.perf_counter.
    """
    hits = sort_hits(result.hits[: request.count], request.sort)
    return SearchAnswer(
        hits=[Found.from_hit(hit) for hit in hits],
        good_match=result.good,
        more=len(result.hits) > request.count,
        milliseconds=round(1000 * (time.perf_counter() - started_at), 1),
        warnings=list(result.warnings),
    )


def make_library_answer(library: Library) -> dict[str, Any]:
    """Return the metadata of a library that the web page shows."""
    info, overview = library.info(), library.load_overview()
    model: dict[str, Any] = {"model": None, "modalities": []}
    if info.collections:
        _, spec = library.reader.choose_collection(SearchOptions())
        model = {"model": Path(spec.name).name, "modalities": list(spec.modalities)}
    return {
        "library": str(info.path),
        "images": info.images,
        "files": info.files,
        **model,
        "collections": [
            {"name": item.name, "model": item.model, "images": item.images}
            for item in info.collections
        ],
        "folders": [{"path": path, "images": count} for path, count in overview.folders],
        "first_date": overview.first_date,
        "last_date": overview.last_date,
    }
