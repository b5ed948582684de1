"""What is answered over HTTP: its shapes."""

from __future__ import annotations

import os
import time
from dataclasses import asdict

from pydantic import BaseModel, Field

from searchapp.search.ranking import sort_hits
from searchapp.server.request_models import SimilarRequest
from searchapp.types import Facet, Facets, Hit, SearchResult

FACETS = ("folders", "cameras", "lenses", "keywords", "ratings", "formats")


class EmbedAnswer(BaseModel):
    """For each input a vector (float32, little-endian, base64), or why there is none."""

    vectors: list[str | None]
    refusals: list[str | None]


class CountAnswer(BaseModel):
    """How many tokens a prompt has."""

    tokens: int


class Found(BaseModel):
    """One image that was found."""

    id: int
    path: str
    name: str
    folder: str
    score: float
    width: int
    height: int
    sha256: str
    taken_at: str | None
    date: str | None = Field(description="taken_at, or where that is not known the file's")
    date_from: str | None = Field(description="exif, xmp, iptc or file")
    camera: str | None
    lens: str | None
    rating: int | None = Field(description="1 to 5; -1: rejected")
    keywords: list[str]
    title: str | None
    latitude: float | None
    longitude: float | None
    also: list[str]
    seconds: float | None = Field(description="of a video: when the frame is shown")
    moments: list[float] = Field(description="seconds of its other frames that match")
    companions: list[str] = Field(description="files that belong to it: RAW, a Live Photo's film")

    @classmethod
    def from_hit(cls, hit: Hit) -> Found:
        """Put a hit as the API does."""
        folder, name = os.path.split(hit.path)
        return cls(id=hit.image_id, folder=folder, name=name, **hit.to_dict())


class FacetAnswer(BaseModel):
    """The values of one kind that pictures have, the most frequent first."""

    values: list[tuple[str, int]] = Field(description="each with how many pictures have it")
    more: int = Field(description="values that are left out")

    @classmethod
    def from_facet(cls, facet: Facet) -> FacetAnswer:
        """Put a facet as the API does."""
        return cls(values=list(facet.values), more=facet.more)


class MonthAnswer(BaseModel):
    """The pictures of a month."""

    month: str = Field(description="2023-06")
    images: int
    by_file: int = Field(description="of these: by their files' dates")


class FacetsAnswer(BaseModel):
    """What pictures can be filtered by; each kind is counted as if nothing was asked of its own."""

    images: int
    months: list[MonthAnswer]
    folders: FacetAnswer
    cameras: FacetAnswer
    lenses: FacetAnswer
    keywords: FacetAnswer
    ratings: FacetAnswer
    formats: FacetAnswer

    @classmethod
    def from_facets(cls, facets: Facets) -> FacetsAnswer:
        """Put facets as the API does."""
        return cls(
            images=facets.images,
            months=[MonthAnswer(**asdict(month)) for month in facets.months],
            **{name: FacetAnswer.from_facet(getattr(facets, name)) for name in FACETS},
        )


class SearchAnswer(BaseModel):
    """What was found, best first."""

    hits: list[Found]
    good_match: bool | None = Field(description="whether the best is one; null: not known")
    more: bool = Field(description="whether there is another page")
    milliseconds: float


def answer_of(answer: SearchResult, request: SimilarRequest, started_at: float) -> SearchAnswer:
    """Put an answer as the API does; begun: by time.perf_counter."""
    hits = sort_hits(answer.hits[: request.count], request.sort)
    return SearchAnswer(
        hits=[Found.from_hit(hit) for hit in hits],
        good_match=answer.good,
        more=len(answer.hits) > request.count,
        milliseconds=round(1000 * (time.perf_counter() - started_at), 1),
    )
