"""The documentation of the API: Swagger UI in a browser, and a schema that it can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from support.browser import BrowserTabs, expect, needs_chromium

from searchapp.server import api_docs
from searchapp.server.api_examples import INFO_EXAMPLE, SEARCH_REQUEST_SCHEMA
from searchapp.server.request_models import SearchRequest


def list_nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from list_nodes(item)


def test_all_references_of_the_schema_lead_somewhere(client: Any) -> None:
    """A reference to $defs points to nothing in an OpenAPI document."""
    schema = client.get("/openapi.json").json()
    references = {node["$ref"] for node in list_nodes(schema) if "$ref" in node}
    assert references
    for reference in references:
        target = schema
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def test_examples_are_valid(client: Any) -> None:
    """The examples of requests can be sent, and that of /info has the keys of an answer."""
    body = SEARCH_REQUEST_SCHEMA["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        SearchRequest.model_validate(example["value"])
    assert INFO_EXAMPLE.keys() == client.get("/api/v1/info").json().keys()


def test_missing_swagger_ui_is_named(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package, /docs says what to install."""
    monkeypatch.setattr(api_docs, "SWAGGER_PACKAGE", "package_that_is_missing")
    api_docs.load_swagger_files.cache_clear()
    answer = client.get("/docs")
    assert answer.status_code == 500
    assert "Swagger UI is missing. Install it" in answer.json()["detail"]


def test_files_of_swagger_ui_are_cached(client: Any) -> None:
    """Style and script have addresses that name their content."""
    assets = re.findall(r'(?:href|src)="(assets/[^"]+)"', client.get("/docs").text)
    assert len(assets) == 5
    for asset in assets:
        answer = client.get(f"/{asset}")
        assert answer.status_code == 200, asset
        assert "immutable" in answer.headers["cache-control"]


@needs_chromium
@pytest.mark.skipif(find_spec("fastapi_offline") is None, reason="fastapi-offline is missing")
@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
def test_browser_sends_a_request(client: Any, tabs: BrowserTabs, size: str, scheme: str) -> None:
    """Swagger UI works under the policy of the server: it shows examples, and tries requests."""
    url = str(client.base_url)
    page = tabs.open_page(f"{url}/docs", size, scheme)
    page.set_default_timeout(60_000)  # Swagger UI draws an operation in seconds on a busy machine
    expect(page.get_by_text("/api/v1/similar/{image_id}")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name=re.compile("GET.*healthz")).first.click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response").first).to_contain_text(
        '"status": "ok"', timeout=60_000
    )
    page.get_by_role("button", name=re.compile("POST.*v1.search")).first.click()
    expect(page.locator("textarea").first).to_contain_text("a red boat", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
