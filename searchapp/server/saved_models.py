"""Requests and answers of the routes for saved searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from searchapp.server.api_examples import make_json_body
from searchapp.server.request_fields import SavedName
from searchapp.server.request_models import QuestionRequest, RequestFields
from searchapp.types import SavedSearch


class SavedSearchRequest(QuestionRequest):
    """Name of a search to save, its query, and its conditions; no page is saved."""

    name: SavedName


SAVE_REQUEST_SCHEMA = make_json_body(
    SavedSearchRequest, {"name": "boats of 2021", "text": "a red boat", "after": "2021"}
)


class RenameRequest(RequestFields):
    """New name of a saved search."""

    name: SavedName


RENAME_REQUEST_SCHEMA = make_json_body(RenameRequest, {"name": "red boats"})


class SavedTermAnswer(BaseModel):
    """Term of a saved question: a text, a picture, or both."""

    text: str | None = None
    image: str | None = Field(None, description="path or URL of a picture, read at each run")
    image_id: int | None = Field(None, description="image of the library; null: it is gone")
    image_key: str | None = Field(None, description="content of the image of the library")
    weight: float = 1.0
    region: str | None = Field(None, description="part of the picture")
    is_liked: bool | None = Field(None, description="of an example; null: a term of the sum")


class SavedSearchAnswer(BaseModel):
    """Saved search: a name for a question and its filters."""

    id: int
    name: str
    terms: list[SavedTermAnswer] = Field(description="the question; empty: only filters")
    options: dict[str, Any] = Field(description="filters and options, as the user wrote them")
    link_folder: str | None = Field(description="folder with links to the hits")
    created_at: str = Field(description="UTC")

    @classmethod
    def from_search(cls, search: SavedSearch, image_ids: Mapping[str, int]) -> SavedSearchAnswer:
        """Convert a SavedSearch into its form in the API. image_ids: images by their keys."""
        values = search.to_dict()
        for term in values["terms"]:
            term["image_id"] = image_ids.get(term.get("image_key", ""))
        return cls(**values)


class SavedSearchesAnswer(BaseModel):
    """All saved searches, sorted by name."""

    searches: list[SavedSearchAnswer]
