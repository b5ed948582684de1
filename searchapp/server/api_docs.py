"""Render the OpenAPI schema as an HTML page that loads no scripts and no fonts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from searchapp.pages.html_template import render_html


@dataclass(frozen=True, slots=True)
class _Operation:
    """Operation of the API: an HTTP method of a path. Schemas are JSON texts."""

    method: str
    path: str
    description: str
    parameters: list[tuple[str, str]]  # (name, schema)
    bodies: list[tuple[str, str]]  # (media type, schema)


def render_page(schema: dict[str, Any]) -> str:
    """Return the HTML page that describes an OpenAPI schema."""
    operations = [
        _render_operation(method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return render_html("api_docs.html", operations=operations)


def _render_operation(method: str, path: str, operation: dict[str, Any]) -> _Operation:
    bodies = operation.get("requestBody", {}).get("content", {})
    return _Operation(
        method.upper(),
        path,
        operation.get("description", ""),
        [(field["name"], json.dumps(field["schema"])) for field in operation.get("parameters", [])],
        [
            (media_type, json.dumps(content["schema"], indent=2))
            for media_type, content in bodies.items()
        ],
    )
