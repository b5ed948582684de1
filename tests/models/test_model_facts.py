"""Published facts about the models: each has a source, and `searchapp models` shows them."""

import json
import re

from support.library import RunCommand

from searchapp.models import MODELS
from searchapp.models.model_facts import FACTS
from searchapp.models.qwen3_vl_reranker import RERANKERS
from searchapp.models.starter import STARTER_NAME


def test_every_model_has_facts_with_sources() -> None:
    """A score names its source and date; languages name their source unless none states them."""
    assert set(FACTS) == {STARTER_NAME, *MODELS, *RERANKERS}
    for name, facts in FACTS.items():
        assert (facts.languages_source == "") == (facts.is_multilingual is None), name
        if facts.score is not None:
            assert facts.score.source.startswith("https://")
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", facts.score.date)
            assert 0 < facts.score.value < 100


def test_the_list_shows_the_facts(run: RunCommand) -> None:
    """Languages, score with source and date, and what must be merged before use."""
    by_name = {entry["name"]: entry for entry in json.loads(run("models", "--json").stdout)}
    assert by_name["qwen3-vl-embedding-8b"]["benchmark"] == {
        "name": "MMEB-V2 image",
        "score": 80.1,
        "source": "https://github.com/QwenLM/Qwen3-VL-Embedding/blob/8ce3aab1/README.md",
        "date": "2026-01-19",
    }
    assert by_name["clip-vit-b-32"]["benchmark"] is None
    assert (by_name["gme-qwen2-vl-2b"]["languages"], by_name["starter"]["multilingual"]) == (
        "English, Chinese",
        False,
    )
    assert (by_name["vlm2vec-v2"]["merge_first"], by_name["vlm2vec-v2"]["on_disk"]) == (True, False)
    lines = run("models").stdout.splitlines()
    assert re.search(r"MMEB-V2 image +size +license +on disk$", lines[0])
    (line,) = [line for line in lines if line.startswith("vlm2vec-v2 ")]
    assert re.search(r"English +64\.9 +4420 MB +Apache-2\.0 +no: merge it first$", line)


def test_the_list_shows_the_rerankers(run: RunCommand) -> None:
    """Size, license, languages, and whether they are on disk; --json has the same keys for all."""
    entries = json.loads(run("models", "--json").stdout)
    rerankers = [entry for entry in entries if entry["kind"] == "reranker"]
    assert [entry["name"] for entry in rerankers] == list(RERANKERS)
    assert {frozenset(entry) for entry in entries} == {frozenset(rerankers[0])}
    large = rerankers[1]
    assert (large["weights_mb"], large["licence"], large["on_disk"]) == (17540, "Apache-2.0", False)
    assert (large["languages"], large["dimensions"]) == ("more than 30", None)
    lines = run("models").stdout.splitlines()
    assert "qwen3-vl-reranker-8b  more than 30        17540 MB  Apache-2.0          no" in lines
    assert "the default reranker is qwen3-vl-reranker-2b" in lines
