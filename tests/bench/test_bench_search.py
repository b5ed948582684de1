"""Test `bench search` on few vectors: each figure belongs to the index type of its row."""

import json
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import faiss
import numpy as np
import pytest
from support.library import RunCommand

from searchapp.bench import index_probe, true_neighbors
from searchapp.bench.bench_collections import make_synthetic_bench
from searchapp.bench.index_bench import FilteredRow, IndexBench, IndexRow, build_index_file
from searchapp.bench.index_probe import ProbeJob, probe_index
from searchapp.bench.synthetic_vectors import Shape, VectorSource
from searchapp.engines import machine
from searchapp.errors import LibraryError


@pytest.mark.parametrize("shape", ["clustered", "hard"])
def test_synthetic_vectors_are_reproducible(shape: Shape) -> None:
    """The vectors have length one, and depend on the seed alone."""
    vectors = VectorSource(shape, 32).draw_vectors(50)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, VectorSource(shape, 32).draw_vectors(50))


def test_rows_have_plausible_figures(run: RunCommand, tmp_path: Path) -> None:
    """Exact search comes first, with recall 1; the requested index type is smaller on disk."""
    kind, svg = "IVF16,SQ8", tmp_path / "curve.svg"
    result = run(
        "bench", "search", "--vectors", 2000, "--dim", 128, "--queries", 10, "--index", kind,
        "--filters", "--upkeep", "--json", "--svg", svg, "--scratch", tmp_path,
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert (document["vectors"], document["dim"]) == (2000, 128)
    exact, other = document["rows"]
    assert (exact["index"], exact["recall_at_10"], other["index"]) == ("exact", 1.0, kind)
    assert other["disk_mb"] < exact["disk_mb"]  # with the vector file
    assert other["curve"][0][0] <= other["curve"][-1][0]
    for name in ("p50_ms", "p95_ms", "p99_ms", "qps_1", "qps_all", "build_s", "open_s"):
        assert exact[name] >= 0
    assert {row["fewest"] for row in document["filters"]} <= set(range(11))
    assert document["upkeep"][0]["add_1000_s"] > 0
    assert len(ElementTree.parse(svg).findall(".//{*}polyline")) == 2
    assert [path.name for path in tmp_path.iterdir() if "bench" in path.name] == []


def test_too_few_vectors_are_an_error(tmp_path: Path) -> None:
    """With too few vectors to train an index, no exact index is measured in its place."""
    *_, bench = make_synthetic_bench(tmp_path, "clustered", 100, 16, 5)
    assert isinstance(bench, IndexBench)
    with pytest.raises(LibraryError, match="too few vectors to train the index IVF1024,SQ8"):
        build_index_file(bench.catalog_file, bench.collection, "IVF1024,SQ8", tmp_path)


def test_the_requested_index_type_is_built(tmp_path: Path) -> None:
    """The file on disk has the type, not only its label."""
    *_, bench = make_synthetic_bench(tmp_path, "hard", 500, 16, 5)
    assert isinstance(bench, IndexBench)
    file, _ = build_index_file(bench.catalog_file, bench.collection, "IVF8,SQ8", tmp_path)
    assert isinstance(faiss.read_index(str(file)), faiss.IndexIVFScalarQuantizer)


def test_the_probe_uses_the_vector_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a search does: no vector is read from the catalog, which has none left here."""
    monkeypatch.setattr(index_probe, "ALL_THREADS_DURATION_S", 0.01)
    *_, bench = make_synthetic_bench(tmp_path, "hard", 500, 16, 5)
    assert isinstance(bench, IndexBench)
    file, _ = build_index_file(bench.catalog_file, bench.collection, "IVF8,SQ8", tmp_path)
    with sqlite3.connect(bench.catalog_file) as db:
        db.execute("update embeddings set vector = ''")
    job = ProbeJob(
        file, "IVF8,SQ8", bench.catalog_file, 500, bench.queries, bench.warmup_queries,
        filter_ids=(np.arange(100, 400),),
    )  # fmt: skip
    result = probe_index(job)
    for timings in (*result.timings_by_effort.values(), *result.timings_by_filter):
        assert [len(ids) for ids in timings.found_ids] == [10] * 5


def test_recall_needs_no_exact_index_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that are read page by page give the same recall, with and without filters."""
    monkeypatch.setattr(index_probe, "ALL_THREADS_DURATION_S", 0.01)
    monkeypatch.setattr(true_neighbors, "MIN_ROWS", 100)
    *_, bench = make_synthetic_bench(tmp_path, "hard", 3000, 16, 20)
    assert isinstance(bench, IndexBench)

    def measure() -> list[tuple[str, float, float]]:
        return [
            (row.index, getattr(row, "share", 1.0), row.recall_at_10)
            for row in bench.measure_kinds(("IVF64,PQ4x4fs",), filters=True)
            if isinstance(row, IndexRow | FilteredRow)
        ]

    in_memory = measure()
    monkeypatch.setattr(machine, "read_free_memory_mib", lambda: 0)
    assert measure() == [row for row in in_memory if row[0] != "exact"]
    assert [row[1] for row in in_memory if row[0] != "exact"] == [1.0, 0.001, 0.01, 0.1, 0.5]
    assert min(recall for _, _, recall in in_memory) < 1.0
