"""Test `bench search --peers` on few vectors: each index at its own effort, all with ratios."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.library import RunCommand

from searchapp.bench.bench_collections import make_synthetic_bench
from searchapp.bench.compare_peers import (
    PeerRow,
    build_peer,
    compare_peers,
    find_nearest_exactly,
)
from searchapp.bench.index_bench import IndexBench, call_with_catalog, compute_recall
from searchapp.bench.peers import PEERS, Peer

# hnswlib's interface, with an exact search that finds nothing with a small effort.
FAKE_HNSWLIB = """
import numpy as np

class Index:
    def __init__(self, space, dim):
        assert space == "ip"

    def init_index(self, max_elements, M, ef_construction):
        self.ids, self.vectors = [], []

    def add_items(self, vectors, ids):
        self.ids.extend(ids)
        self.vectors.extend(vectors)

    def save_index(self, file):
        with open(file, "wb") as opened:
            np.savez(opened, ids=self.ids, vectors=self.vectors)

    def load_index(self, file):
        stored = np.load(file)
        self.ids, self.vectors = stored["ids"], stored["vectors"]

    def set_num_threads(self, count):
        assert count == 1

    def set_ef(self, ef):
        self.ef = ef

    def knn_query(self, queries, k):
        order = np.argsort(-queries @ self.vectors.T, axis=1)[:, :k]
        return self.ids[order] if self.ef >= 64 else np.zeros_like(order), None
"""


@pytest.fixture
def bench(tmp_path: Path) -> IndexBench:
    *_, made = make_synthetic_bench(tmp_path, "clustered", 600, 16, 12)
    assert isinstance(made, IndexBench)
    return made


def test_rows_compare_with_the_index_of_searchapp(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing library is named; an installed one is searched at its smallest good effort."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/hnswlib.py").write_text(FAKE_HNSWLIB)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    kind = "IVF16,SQ8"
    result = run(
        "bench", "search", "--vectors", 1500, "--dim", 16, "--queries", 12, "--index", kind,
        "--peers", "--json", "--scratch", tmp_path,
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert [row["index"] for row in document["rows"]] == ["exact", kind]
    ours, *others = document["peers"]
    assert ours["index"] == kind
    assert {ours[name] for name in ours if name.endswith("_ratio")} <= {1.0, 0.0}
    by_name = {row["index"]: row for row in others}
    assert (by_name["hnswlib M32"]["effort"], by_name["hnswlib M32"]["recall_at_10"]) == (64, 1)
    assert by_name["faiss HNSW32"]["recall_at_10"] >= 0.98
    for row in others:
        assert row["qps_ratio"] == pytest.approx(row["qps"] / ours["qps"], rel=0.01)
        assert row["p50_ratio"] == pytest.approx(row["p50_ms"] / ours["p50_ms"], rel=0.1)
        assert row["build_s"] > 0
    missing = {each["index"]: each["package"] for each in document["missing_peers"]}
    assert {*missing, *by_name} == {peer.name for peer in PEERS}
    assert missing.get("usearch f16 M32", "usearch") == "usearch"


def test_a_missing_library_is_named_with_its_package(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "is_installed", property(lambda peer: peer.module == "faiss"))
    result = run(
        "bench", "search", "--vectors", 600, "--dim", 16, "--queries", 4, "--index", "IVF4,SQ8",
        "--peers", "--scratch", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "faiss HNSW32" in result.stdout and "hnswlib" not in result.stdout
    assert "hnswlib M32 was not measured; install it: pip install hnswlib" in result.stderr
    assert "usearch f16 M32 was not measured; install it: pip install usearch" in result.stderr


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.module)
def test_an_index_finds_nearly_what_a_scan_finds(
    bench: IndexBench, tmp_path: Path, peer: Peer
) -> None:
    """With a high effort; the ids are those of the catalog."""
    pytest.importorskip(peer.module)
    file = tmp_path / "index"
    assert build_peer(peer, bench.catalog_file, bench.collection, file) > 0
    truth = call_with_catalog(bench.catalog_file, lambda it: find_nearest_exactly(it, bench))
    assert np.shape(truth) == (12, 10)
    find = peer.open(file, bench.collection.dimensions)
    found = [find(query, 10, 512) for query in bench.queries]
    assert compute_recall(found, truth) >= 0.98


def test_an_index_without_enough_recall_is_measured_at_its_highest_effort(
    bench: IndexBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recall is in the row."""
    monkeypatch.setattr(Peer, "is_installed", property(lambda peer: False))
    monkeypatch.setattr("searchapp.bench.compare_peers.run_in_process", lambda f, *a: f(*a))
    monkeypatch.setattr("searchapp.bench.compare_peers.MIN_RECALL", 1.1)
    (row,) = (each for each in compare_peers(bench, "IVF4,SQ8") if isinstance(each, PeerRow))
    assert (row.effort, row.qps_ratio) == (4.0, 1.0)
    assert row.recall_at_10 > 0.9
