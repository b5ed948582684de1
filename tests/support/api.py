"""Send requests to the HTTP API."""

from __future__ import annotations

import time
from typing import Any


def search_api(client: Any, picture: bytes | None = None, **fields: Any) -> Any:
    """Search; repeat the request while the engine is starting."""
    while True:
        if picture is None:
            answer = client.post("/api/search", json=fields)
        else:
            answer = client.post("/api/search", data=fields, files={"image": picture})
        if answer.status_code != 503:
            return answer
        assert answer.headers["Retry-After"] == "1"
        assert "starting vLLM with" in answer.json()["detail"]
        time.sleep(0.02)


def hit_names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["name"] for hit in answer.json()["hits"]]


def wait_for_job(client: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Poll work in the background until it has ended, and return its last state."""
    while job["state"] in ("waiting", "running"):
        time.sleep(0.02)
        job = client.get(f"/api/v1/jobs/{job['id']}").json()
    return job
