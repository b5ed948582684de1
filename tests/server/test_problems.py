"""Errors of the HTTP API: one shape for all of them (RFC 9457)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import search_api
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.server.guard import AccessRules


def check_problem(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"] == answer.reason_phrase
    assert isinstance(problem["detail"], str) and problem["detail"]
    return problem


def test_errors_of_each_layer_have_one_shape(client: Any) -> None:
    """The guard, the routing, a route, the fields of a request and the library refuse alike."""
    foreign = {"Sec-Fetch-Site": "cross-site"}
    check_problem(client.get("/api/info", headers=foreign), 403)
    check_problem(client.get("/nowhere"), 404)
    check_problem(client.delete("/api/info"), 405)
    check_problem(client.post("/api/stop"), 403)
    check_problem(client.get("/api/images/99"), 404)
    problem = check_problem(search_api(client, text="nonsense"), 400)
    assert (problem["kind"], problem["exit_code"]) == ("QueryError", 2)
    problem = check_problem(search_api(client, b"no picture"), 400)
    assert (problem["kind"], problem["stage"]) == ("PictureError", "decode")


def test_invalid_fields_are_named(client: Any) -> None:
    """The detail is one text; the list of invalid fields is in errors."""
    problem = check_problem(search_api(client, text="red", count=0, after="yesterday"), 422)
    assert [error["loc"][-1] for error in problem["errors"]] == ["after", "count"]
    assert problem["detail"].startswith("after: ") and "; count: " in problem["detail"]
    problem = check_problem(client.post("/api/search", content=b"[1]"), 422)
    assert problem["detail"].startswith("the request: ")


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("rating", "9", "'9' is not a rating. Write 4, 4+, 2-4, rejected or unrated."),
        ("rating", "4-2", "'4-2' has no ratings in it. Write 2-4."),
        ("near", "Paris", "'Paris' is not a place. Write LATITUDE,LONGITUDE,KM, such as"),
        ("near", "1e1,2,3", "'1e1,2,3' cannot be read. Write LATITUDE,LONGITUDE,KM, such as"),
        ("area", "1,2,3", "'1,2,3' is not an area. Write SOUTH,WEST,NORTH,EAST, such as"),
    ],
)
def test_a_filter_that_cannot_be_read_says_how_to_write_it(
    client: Any, field: str, value: str, advice: str
) -> None:
    """No message shows a pattern of the schema."""
    problem = check_problem(search_api(client, text="red", **{field: value}), 422)
    assert problem["detail"].startswith(f"{field}: {advice}")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_missing_token_is_a_problem(
    library: Path, fake_engines: FakeEngines, headers: dict[str, str]
) -> None:
    """A program without the token gets status 401 in the same shape."""
    with serve_library(library, fake_engines, AccessRules(token="secret")) as url:
        check_problem(httpx.get(f"{url}/api/info", headers=headers), 401)


def test_schema_describes_the_errors(client: Any) -> None:
    """/openapi.json names the media type of errors for each route."""
    for methods in client.get("/openapi.json").json()["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]  # FastAPI's own shape
