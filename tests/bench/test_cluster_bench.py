"""The bench of a cluster computes its rows, and reports engines that do not start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from searchapp.bench import cluster as cluster_bench
from searchapp.bench.cluster import ClusterBenchOptions, FixedTimeEngine, measure_cluster
from searchapp.catalog import FileTask
from searchapp.errors import EngineError
from searchapp.indexing.embedding import choose_engines
from searchapp.types import EngineStarting, Failure

SECONDS_BY_ENGINES = {1: 4.0, 3: 5.0}  # for 40 pictures of each engine


class SimulatedCluster:
    """A cluster with a clock of its own: each engine runs on its own node."""

    def __init__(self, engines: int, started_engines: int, result: object) -> None:
        self.answered_engines = {(f"node {number}", 7) for number in range(started_engines)}
        self.file_count_by_node = Counter(node for node, _ in self.answered_engines)
        self.ready_at = 100.0 - SECONDS_BY_ENGINES[engines]
        self.is_closed, self._result = False, result

    def run(self, tasks: Iterable[FileTask], size: int) -> Iterator[Any]:
        yield EngineStarting("model")
        yield [SimpleNamespace(task=task, result=self._result) for task in tasks]

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def options(model: Path) -> ClusterBenchOptions:
    return ClusterBenchOptions(str(model), 40, 8, 8, "auto", (1, 3), None, 16, ms_per_picture=50)


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> list[SimulatedCluster]:
    """The clusters to which the bench has connected."""
    connected: list[SimulatedCluster] = []

    def connect(job: Any, address: str, replicas: Any, arguments: Any, engines: int) -> Any:
        assert (address, arguments) == ("auto", {"seconds": 0.05})
        assert job.engine.endswith(f":{FixedTimeEngine.__name__}")
        connected.append(SimulatedCluster(engines, engines, None))
        return connected[-1]

    monkeypatch.setattr(choose_engines, "connect_to_cluster", connect)
    monkeypatch.setattr(cluster_bench, "time", SimpleNamespace(monotonic=lambda: 100.0))
    return connected


def test_rows_have_nodes_and_an_efficiency(
    options: ClusterBenchOptions, clusters: list[SimulatedCluster]
) -> None:
    """Each row has the nodes that answered, and an efficiency relative to the first row."""
    one, three = measure_cluster(options)
    assert (one.engines, one.nodes, one.images_per_s, one.efficiency) == (1, 1, 10.0, 1.0)
    assert (three.engines, three.nodes, three.images_per_s, three.efficiency) == (3, 3, 24.0, 0.8)
    assert all(cluster.is_closed for cluster in clusters)


@pytest.mark.parametrize(
    ("started_engines", "result", "message"),
    [
        (0, None, "only 0 of 1 engines started: the cluster has no resources"),
        (1, Failure("a.jpg", "decode", "no picture"), "a.jpg: no picture"),
    ],
)
def test_a_cluster_that_cannot_be_measured_is_an_error(
    options: ClusterBenchOptions,
    monkeypatch: pytest.MonkeyPatch,
    started_engines: int,
    result: object,
    message: str,
) -> None:
    cluster = SimulatedCluster(1, started_engines, result)
    monkeypatch.setattr(choose_engines, "connect_to_cluster", lambda *_: cluster)
    with pytest.raises(EngineError, match=message):
        list(measure_cluster(options))
    assert cluster.is_closed
