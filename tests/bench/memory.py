"""Check that memory stays bounded: index FILES tiny pictures, then ten times as many.

    python tests/bench/memory.py [FILES]

Two workers with fake engines read and decode the pictures, and catalog and index are written.
Prints the peak memory of the parent process and of the largest worker.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))


def write_pictures(folder: Path, count: int) -> None:
    encoded = BytesIO()
    Image.new("RGB", (2, 2), "red").save(encoded, "PNG")
    for number in range(count):
        subfolder = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            subfolder.mkdir(parents=True)
        (subfolder / f"IMG_{number:07}.png").write_bytes(encoded.getvalue() + str(number).encode())


def index_pictures(temporary: Path, files: int) -> None:
    from support.library import write_fake_clip

    from searchapp.indexing.embedding.replicas import ReplicaPool
    from searchapp.library import Library
    from searchapp.types import IndexOptions, RunFinished

    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    write_fake_clip(temporary / "model")
    with Library.open(
        temporary / "library",
        create=True,
        start_many=lambda job, *_: ReplicaPool(
            replace(job, engine="support.fake_engine:FakeEngine"), [environment, environment]
        ),
    ) as library:
        options = IndexOptions(str(temporary / "model"), batch_size=128)
        for event in library.index([temporary / "pictures"], options):
            if isinstance(event, RunFinished):
                assert event.summary.added == files, event.summary
    print(*(resource.getrusage(who).ru_maxrss >> 10
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))  # fmt: skip


def measure_memory(files: int) -> tuple[int, int]:
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        write_pictures(Path(temporary) / "pictures", files)
        started_at = time.monotonic()
        command = [sys.executable, __file__, "--index", temporary, str(files)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        parent, worker = (int(value) for value in done.stdout.split())
        took_s = time.monotonic() - started_at
        print(f"{files:,} files: parent {parent} MB, largest worker {worker} MB, {took_s:.0f} s")
        return parent, worker


if __name__ == "__main__":
    if sys.argv[1:2] == ["--index"]:
        index_pictures(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        file_count = int((sys.argv[1:] or ["10000"])[0])
        small_run_mb, large_run_mb = measure_memory(file_count), measure_memory(10 * file_count)
        for name, one, other in zip(("parent", "worker"), small_run_mb, large_run_mb, strict=True):
            print(f"{name}: {100 * (other / one - 1):+.1f} %")
