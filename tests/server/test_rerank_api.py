"""Reranking over HTTP and on the command line, with a fake reranker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import hit_names, search_api
from support.fake_reranker import FakeReranker
from support.library import FakeEngines, RunCommand
from support.live_server import serve_library

from searchapp.engines import start_reranker
from searchapp.errors import EngineError


@pytest.fixture
def reranker() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
def client(
    library: Path, fake_engines: FakeEngines, reranker: FakeReranker
) -> Iterator[httpx.Client]:
    """HTTP client of a server with a fake reranker."""
    with (
        serve_library(library, fake_engines, start_reranker=reranker) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        yield client


def test_the_first_hits_have_both_scores(client: Any, reranker: FakeReranker) -> None:
    """The page can show one more hit; hits beyond the number have no second score."""
    answer = search_api(client, text="blue", by="vector", rerank=2, count=2)
    first, second = answer.json()["hits"]
    assert hit_names(answer)[0] == "blue.jpg"
    assert first["rerank_score"] >= second["rerank_score"]
    assert first["score"] is not None and answer.json()["more"] is True
    assert reranker.scored_count == 2 and reranker.names == [None]
    last = search_api(client, text="blue", by="vector", rerank=2, count=2, offset=2).json()["hits"]
    assert [hit["rerank_score"] for hit in last] == [None]
    plain = search_api(client, text="blue").json()["hits"]
    assert {hit["rerank_score"] for hit in plain} == {None}


def test_the_web_cannot_choose_the_reranker(client: Any, reranker: FakeReranker) -> None:
    """It could name any folder of the machine, or a server elsewhere: neither now nor saved."""
    fields = {"rerank": 2, "reranker": "http://elsewhere.example"}
    search_api(client, text="blue", **fields)
    saved = client.post("/api/v1/saved", json={"name": "blues", "text": "blue", **fields})
    assert saved.json()["options"] == {"rerank": 2}
    search_api(client, saved="blues", reranker="http://elsewhere.example")
    assert reranker.names == [None]


@pytest.mark.parametrize("fields", [{"rerank": 0}, {"rerank": 201}, {"rerank": "all"}])
def test_a_wrong_number_is_refused(client: Any, fields: dict[str, Any]) -> None:
    assert search_api(client, text="blue", **fields).status_code == 422


def test_a_reranker_that_does_not_start_is_an_error(
    library: Path, fake_engines: FakeEngines
) -> None:
    """The next request tries again; searches without it still work."""
    names = list[str | None]()

    def fail(name: str | None) -> FakeReranker:
        names.append(name)
        raise EngineError("too little memory")

    with (
        serve_library(library, fake_engines, start_reranker=fail) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        for _ in range(2):
            answer = search_api(client, text="blue", rerank=2)
            assert "too little memory" in answer.json()["detail"]
        assert len(names) == 2
        assert hit_names(search_api(client, text="blue", count=1)) == ["blue.jpg"]


def test_the_command_prints_both_scores(
    run: RunCommand, library: Path, reranker: FakeReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of --rerank can be left out: a text that follows it is the query."""
    monkeypatch.setattr(start_reranker, "start_reranker", lambda name, **_: reranker(name))
    result = run("query", "--rerank", "blue", "--json")
    assert result.exit_code == 0, result.output
    hits = json.loads(result.stdout)
    assert Path(hits[0]["path"]).name == "blue.jpg"
    assert all(0 <= hit["rerank_score"] <= 1 for hit in hits)
    result = run("query", "blue", "--rerank=1", "--by", "vector", "--reranker", "some-name")
    first, second, _ = result.stdout.splitlines()
    assert "[rerank: 1.000]" in first or "[rerank: 0.99" in first
    assert "[rerank" not in second
    assert reranker.names == [None, "some-name"]
    hits = json.loads(run("query", "blue", "--rerank", "2", "--by", "vector", "--json").stdout)
    assert [hit["rerank_score"] is None for hit in hits] == [False, False, True]
    for arguments in (["blue", "--reranker", "x"], ["blue", "--rerank=0"], ["--rerank", "2021"]):
        assert run("query", *arguments).exit_code == 2


def test_a_saved_search_is_reranked(
    run: RunCommand,
    library: Path,
    reranker: FakeReranker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It keeps the number of hits to rerank, and the reranker, wherever it runs."""
    monkeypatch.setattr(start_reranker, "start_reranker", lambda name, **_: reranker(name))
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    saving = run("saved", "add", "blues", "--rerank", "blue", "--reranker", "./model")
    assert saving.exit_code == 0, saving.output
    monkeypatch.chdir("/")
    hits = json.loads(run("query", "--saved", "blues", "--json").stdout)
    assert hits[0]["rerank_score"] is not None
    assert reranker.names == [str(tmp_path / "model")]
