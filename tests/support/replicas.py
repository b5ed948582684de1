"""Run worker processes with fake engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from searchapp.catalog import Work
from searchapp.indexing.embedding.pipeline import Outcome
from searchapp.indexing.embedding.replicas import Replicas
from searchapp.types import (
    EngineStarting,
)
from support.paths import TESTS


def places(count: int, **more: str) -> list[dict[str, str]]:
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return [{"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more} for _ in range(count)]


def works(folder: Path) -> list[Work]:
    return [Work(str(file), 1, 1, None) for file in sorted(folder.iterdir())]


def outcomes(replicas: Replicas, files: list[Work], size: int = 8) -> Iterator[Outcome]:
    for event in replicas.run(files, size):
        if not isinstance(event, EngineStarting):
            yield from event
    replicas.close()
