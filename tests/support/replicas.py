"""Run worker processes with fake engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from searchapp.catalog import FileTask
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.replicas import ReplicaPool
from support.paths import TESTS


def make_environments(count: int, **variables: str) -> list[dict[str, str]]:
    folders = [str(TESTS), str(TESTS / "indexing" / "embedding")]  # modules with engines for tests
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    return [{"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables} for _ in range(count)]


def list_works(folder: Path) -> list[FileTask]:
    return [FileTask(str(file), 1, 1, None) for file in sorted(folder.iterdir())]


def run_replicas(replicas: ReplicaPool, files: list[FileTask], size: int = 8) -> Iterator[Outcome]:
    for event in replicas.run(files, size):
        if isinstance(event, list):
            yield from event
    replicas.close()
