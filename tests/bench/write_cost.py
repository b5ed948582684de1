"""Measure how much time writing catalog and vectors adds to an index run.

    python tests/bench/write_cost.py [PICTURES] [IMAGES_PER_SECOND]

Indexes files with a fake engine that yields batches at a fixed rate and blocks when
MAX_PENDING_BATCHES are not written yet. Prints the seconds of the run from the first batch, the
seconds of the engine alone, and the share that writing adds.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from queue import Queue

import numpy as np

from searchapp.catalog import FileTask
from searchapp.indexing.embedding.outcomes import EmbeddedPicture, Outcome
from searchapp.library import Library
from searchapp.pictures.metadata import METADATA_READER_VERSION
from searchapp.types import EngineStarting, IndexOptions, PictureInfo, RunFinished
from searchapp.vectors import pack_vector

BATCH_SIZE, DIMENSIONS = 128, 768
MAX_PENDING_BATCHES = 42  # three for each of 14 engines
PICTURE_INFO = PictureInfo(
    format="JPEG", width=640, height=480, taken_at="2024-06-17T12:00:00", camera="Canon EOS 5D",
    latitude=48.85, longitude=2.35, reader=METADATA_READER_VERSION,
)  # fmt: skip


class FixedRateSource:
    """Embedding source that yields random vectors at a fixed rate, from a thread."""

    def __init__(self, images_per_s: float) -> None:
        self.rate = images_per_s
        self.ready_at: float | None = None
        self.file_count_by_node: Mapping[str, int] = {}
        self.seconds_by_stage: Mapping[str, float] = {"embed": 0.0}
        self._finished: Queue[list[Outcome] | None] = Queue(MAX_PENDING_BATCHES)

    def run(self, works: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        rng, tasks = np.random.default_rng(0), iter(works)
        batches = list(iter(lambda: list(islice(tasks, BATCH_SIZE)), []))
        vectors = [pack_vector(v / np.linalg.norm(v)) for v in rng.normal(size=(999, DIMENSIONS))]

        def produce_outcomes() -> None:
            number, started_at = 0, time.monotonic()
            for batch in batches:
                outcomes = []
                for task in batch:
                    number += 1
                    sha256 = hashlib.sha256(task.path.encode()).hexdigest()
                    picture = EmbeddedPicture(sha256, PICTURE_INFO, vectors[number % 999])
                    outcomes.append(Outcome(task, picture, task.state))
                time.sleep(max(0.0, started_at + number / self.rate - time.monotonic()))
                self._finished.put(outcomes)
            self._finished.put(None)

        threading.Thread(target=produce_outcomes, daemon=True).start()
        self.ready_at = time.monotonic()
        while (batch := self._finished.get()) is not None:
            yield batch

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        return ()

    def close(self) -> None:
        pass


def main(pictures: int, images_per_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        for number in range(pictures):
            subfolder = folder / f"{number // 1000:03}"
            if number % 1000 == 0:
                subfolder.mkdir(parents=True)
            (subfolder / f"IMG_{number:06}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(28))
        source = FixedRateSource(images_per_s)
        with Library.open(
            Path(temporary) / "library", create=True, start_many=lambda *_: source
        ) as library:
            started_at = time.monotonic()
            for event in library.index([folder], IndexOptions("clip-vit-l-14")):
                if isinstance(event, RunFinished):
                    summary = event.summary
            ended_at = time.monotonic()
        assert summary.added == pictures, summary
        assert source.ready_at is not None
        run_s, engine_s = ended_at - source.ready_at, pictures / images_per_s
        print(f"scan of {pictures:,} files: {source.ready_at - started_at:.2f} s")
        print(f"run after the scan: {run_s:.2f} s; engine alone: {engine_s:.2f} s")
        print(f"writing to the catalog: {summary.stages['write']:.2f} s")
        print(f"writing adds {100 * (run_s - engine_s) / run_s:.1f} % to the run")


if __name__ == "__main__":
    main(*(int(value) for value in (sys.argv[1:] + ["50000", "5000"][len(sys.argv) - 1 :])))
