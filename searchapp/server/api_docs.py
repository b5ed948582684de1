"""The API's description as a page: from the OpenAPI schema, with no script and nothing fetched."""

from __future__ import annotations

import html
import json
from typing import Any


def page(schema: dict[str, Any]) -> str:
    """Render an OpenAPI schema."""
    parts = [
        f"<h2>{method.upper()} {html.escape(path)}</h2>{_operation(operation)}"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>searchapp API</title>'
        '<link rel="stylesheet" href="/style.css"></head><body class="docs"><main>'
        '<h1>searchapp API</h1><p>As a schema: <a href="/openapi.json">/openapi.json</a></p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _operation(operation: dict[str, Any]) -> str:
    text = f"<p>{html.escape(operation.get('description', ''))}</p>"
    for parameter in operation.get("parameters", []):
        kind = html.escape(json.dumps(parameter["schema"]))
        text += f"<p><code>{html.escape(parameter['name'])}</code> {kind}</p>"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        shown = html.escape(json.dumps(content["schema"], indent=2))
        text += f"<details><summary>{html.escape(kind)}</summary><pre>{shown}</pre></details>"
    return text
