"""The API's description as a page: from the OpenAPI schema, without scripts or fonts to load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from searchapp.pages.html_template import render_html


@dataclass(frozen=True, slots=True)
class _Operation:
    """One method of one path; schemas are JSON text."""

    method: str
    path: str
    description: str
    parameters: list[tuple[str, str]]  # name, schema
    bodies: list[tuple[str, str]]  # media type, schema


def render_page(schema: dict[str, Any]) -> str:
    """Return the page for an OpenAPI schema."""
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
        [(each["name"], json.dumps(each["schema"])) for each in operation.get("parameters", [])],
        [(kind, json.dumps(content["schema"], indent=2)) for kind, content in bodies.items()],
    )
