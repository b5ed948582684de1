"""Show the OpenAPI schema with Swagger UI, from files on this machine."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from searchapp.errors import SearchAppError
from searchapp.files.extras import install_hint
from searchapp.pages.html_template import render_html
from searchapp.server.web_files import WebFiles

# A package that is nothing but FastAPI's documentation pages with the files of Swagger UI.
SWAGGER_PACKAGE = "fastapi_offline"


def render_page(web_files: WebFiles) -> str:
    """Return the HTML page that documents the API.

    Raises SearchAppError if Swagger UI is not installed.
    """
    return render_html(
        "api_docs.html",
        swagger=f"assets/{load_swagger_files().version}",
        assets=f"assets/{web_files.version}",
    )


@cache
def load_swagger_files() -> WebFiles:
    """Return the files of Swagger UI; raise SearchAppError if they are not installed."""
    package = find_spec(SWAGGER_PACKAGE)  # this does not import the package
    if package is None or package.origin is None:
        raise SearchAppError(
            f"Swagger UI is missing. Install it: {install_hint('server')}; or read /openapi.json."
        )
    names = ("swagger-ui.css", "swagger-ui-bundle.js")
    return WebFiles([Path(package.origin).parent / "static" / name for name in names])


def inline_definitions(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema without $defs: each reference is replaced by its definition.

    Within an OpenAPI document, a reference to $defs points to nothing.
    """
    definitions = schema.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if reference := node.get("$ref"):
            return inline(definitions[reference.rpartition("/")[2]])
        return {key: inline(value) for key, value in node.items() if key != "$defs"}

    inlined: dict[str, Any] = inline(schema)
    return inlined
