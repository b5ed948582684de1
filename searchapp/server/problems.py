"""Errors of the HTTP API: one JSON object for all of them (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
