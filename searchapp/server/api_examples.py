"""Examples and media types in the OpenAPI schema, where FastAPI cannot derive them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from searchapp.server.api_docs import inline_definitions
from searchapp.server.request_models import SearchRequest
from searchapp.server.shown_files import BROWSER_FORMATS
from searchapp.server.video_ranges import MEDIA_TYPES

Responses = dict[int | str, dict[str, Any]]

_SEARCH_SCHEMA = inline_definitions(SearchRequest.model_json_schema())
_JSON_EXAMPLES = {
    "text": {"summary": "by words", "value": {"text": "a red boat", "count": 10}},
    "filters": {
        "summary": "by words, with filters",
        "value": {"text": "a red boat", "after": "2021", "camera": "iPhone*", "keyword": ["sea"]},
    },
    "terms": {
        "summary": "like a picture of the library, at sunset, without people",
        "value": {
            "terms": [
                {"image_id": 7},
                {"text": "at sunset", "weight": 0.5},
                {"text": "people", "weight": -0.5},
            ]
        },
    },
}
SEARCH_REQUEST_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SEARCH_SCHEMA, "examples": _JSON_EXAMPLES},
            "multipart/form-data": {
                "schema": {
                    **_SEARCH_SCHEMA,
                    "properties": {
                        **_SEARCH_SCHEMA["properties"],
                        "image": {"type": "string", "format": "binary"},
                    },
                },
                "example": {"text": "at sunset", "count": 10},
            },
        },
    }
}


def make_json_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a JSON body, with an example."""
    schema = inline_definitions(model.model_json_schema())
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


INFO_EXAMPLE = {
    "library": "/home/ada/.local/share/searchapp",
    "images": 1200,
    "files": 1250,
    "model": "clip-vit-b-32",
    "modalities": ["text", "image"],
    "model_state": "ready",
    "can_open_folders": True,
    "collections": [{"name": "clip-vit-b-32", "model": "clip-vit-b-32", "images": 1200}],
    "folders": [{"path": "/home/ada/Pictures", "images": 1200}],
    "first_date": "2009-05-01",
    "last_date": "2024-11-30",
}
INFO_RESPONSE: Responses = {200: {"content": {"application/json": {"example": INFO_EXAMPLE}}}}


def _make_media_response(description: str, media_types: Sequence[str]) -> Responses:
    """Return the description of a successful answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": dict.fromkeys(media_types, schema)}}


IMAGE_RESPONSE = _make_media_response(
    "a picture in a format that browsers show",
    [f"image/{name.lower()}" for name in sorted(BROWSER_FORMATS)],
)
ORIGINAL_RESPONSE = _make_media_response(
    "the unchanged file", ["application/octet-stream", *sorted(set(MEDIA_TYPES.values()))]
)
THUMBNAIL_RESPONSE = _make_media_response("a thumbnail", ["image/webp"])
VIDEO_RESPONSE = _make_media_response(
    "a video, or the part that the header Range asks for", sorted(set(MEDIA_TYPES.values()))
)
ZIP_RESPONSE = _make_media_response("a zip of original files", ["application/zip"])
SCRIPT_RESPONSE = _make_media_response("a script for sh", ["text/x-shellscript"])
