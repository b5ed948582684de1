"""Errors of the HTTP API: one JSON object for all of them (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "name of the status"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened, why, and what to do"},
        "kind": {"type": "string", "description": "class of the error, such as QueryError"},
        "exit_code": {"type": "integer", "description": "exit status of the same command"},
        "stage": {"type": "string", "description": "of a picture: read, fetch, decode or embed"},
        "errors": {
            "type": "array",
            "description": "invalid fields: what is wrong (msg) with which field (loc)",
            "items": {"type": "object"},
        },
    },
    "example": {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "nothing to look for; give a text, a picture, or both",
        "kind": "QueryError",
        "exit_code": 2,
    },
}


def make_problem(status: int, detail: str, details: Mapping[str, Any] | None = None) -> bytes:
    """Return the JSON text of an error, in ASCII.

    details: further members, such as kind. A member detail in it is ignored.
    """
    values = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        **(details or {}),
        "detail": detail,
    }
    return json.dumps(values).encode("ascii")


def explain_fields(errors: Iterable[Mapping[str, Any]], unknown_field: str) -> list[dict[str, Any]]:
    """Return what is wrong (msg) with which field (loc), without the values of the fields.

    errors: as pydantic returns them. unknown_field: the message for a field that does not exist.
    """
    fields = [{key: field[key] for key in ("type", "loc", "msg")} for field in errors]
    for field in fields:
        if field["type"] == "extra_forbidden":
            field["msg"] = unknown_field
    return fields


def summarize_fields(fields: Iterable[Mapping[str, Any]]) -> str:
    """Return one line that names each invalid field, and what is wrong with it."""
    return "; ".join(f"{_name_field(field['loc'])}: {field['msg']}" for field in fields)


def _name_field(location: tuple[int | str, ...]) -> int | str:
    if len(location) > 1 and isinstance(location[-1], int):
        # Most lists have one value. The list of errors has the number in any case.
        return f"{location[-2]}[{location[-1]}]" if location[-1] else location[-2]
    return location[-1] if location else "the request"
