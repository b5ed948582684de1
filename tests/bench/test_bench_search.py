"""bench search, on few vectors: its figures belong to what they are said to belong to."""

import json
from pathlib import Path
from xml.etree import ElementTree

import faiss
import numpy as np
import pytest
from support.library import RunCommand

from searchapp.bench import search as bench
from searchapp.bench.synthetic_vectors import VectorSource
from searchapp.errors import LibraryError


@pytest.mark.parametrize("shape", ["clustered", "hard"])
def test_made_vectors_are_the_same_each_time(shape: bench.Shape) -> None:
    """Of length one, and by the seed alone."""
    vectors = VectorSource(shape, 32).draw_vectors(50)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, VectorSource(shape, 32).draw_vectors(50))


def test_it_measures_what_it_names(run: RunCommand, tmp_path: Path) -> None:
    """The exact scan first, right by definition; the kind asked for after it, really made."""
    kind, svg = "IVF16,SQ8", tmp_path / "curve.svg"
    result = run(
        "bench", "search", "--vectors", 2000, "--dim", 32, "--queries", 10, "--index", kind,
        "--filters", "--upkeep", "--json", "--svg", svg, "--scratch", tmp_path,
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert (document["vectors"], document["dim"]) == (2000, 32)
    exact, other = document["rows"]
    assert (exact["index"], exact["recall_at_10"], other["index"]) == ("exact", 1.0, kind)
    assert other["disk_mb"] < exact["disk_mb"] / 2
    assert other["curve"][0][0] <= other["curve"][-1][0]
    for name in ("p50_ms", "p95_ms", "p99_ms", "qps_1", "qps_all", "build_s", "open_s"):
        assert exact[name] >= 0
    assert {each["fewest"] for each in document["filters"]} <= {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
    assert document["upkeep"][0]["add_1000_s"] > 0
    assert len(ElementTree.parse(svg).findall(".//{*}polyline")) == 2
    assert [path.name for path in tmp_path.iterdir() if "bench" in path.name] == []


def test_a_kind_that_cannot_be_made_gives_no_row(tmp_path: Path) -> None:
    """Too few vectors to train it: an exact index must not pass for it."""
    *_, made = bench.make_synthetic_bench(tmp_path, "clustered", 100, 16, 5)
    with pytest.raises(LibraryError, match="too few vectors to train IVF1024,SQ8"):
        bench._build_index_file(made.catalog_file, made.collection, "IVF1024,SQ8", tmp_path)


def test_what_is_built_is_what_was_asked_for(tmp_path: Path) -> None:
    """On disk, not by its label."""
    *_, made = bench.make_synthetic_bench(tmp_path, "hard", 500, 16, 5)
    file, _ = bench._build_index_file(made.catalog_file, made.collection, "IVF8,SQ8", tmp_path)
    assert isinstance(faiss.read_index(str(file)), faiss.IndexIVFScalarQuantizer)
