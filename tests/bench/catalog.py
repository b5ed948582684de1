"""Measure the catalog with many files: write rate, scan comparison, disk size, memory.

    python tests/bench/catalog.py [FILES] [DIMENSIONS]

Writes rows of files, images and embeddings with the calls of an index run. Then compares them with
a scan in which 1 % of the files are new, 1 % changed and 1 % vanished. No picture is on disk.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, FileTask
from searchapp.files.scan import ScannedFile
from searchapp.types import PictureInfo
from searchapp.vectors import pack_vector

BATCH_SIZE, SCAN_BATCH_SIZE = 128, 5000
CAMERAS = ("Canon EOS 5D", "iPhone 15", "Pixel 8", None)


def make_path(number: int) -> str:
    return f"/photos/{number // 100_000:04}/{number // 1000 % 100:02}/IMG_{number:09}.jpg"


def make_info(number: int) -> PictureInfo:
    day = f"20{10 + number % 15}-{1 + number % 12:02}-{1 + number % 28:02}T12:00:00"
    return PictureInfo(
        format="JPEG", width=4032, height=3024, taken_at=day, camera=CAMERAS[number % 4],
        latitude=48.0 + number % 90 / 90, longitude=2.35,
    )  # fmt: skip


def fill_catalog(catalog: Catalog, files: int, dimensions: int) -> None:
    collection = catalog.add_collection("synthetic", "synthetic", "1", dimensions, "{}")
    run = catalog.writer.start_run(collection, ["/photos"])
    random = np.random.default_rng(0).normal(size=(997, dimensions)).astype(np.float32)
    vectors = [pack_vector(vector / np.linalg.norm(vector)) for vector in random]
    for start in range(0, files, BATCH_SIZE):
        numbers = range(start, min(files, start + BATCH_SIZE))
        shas = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
        with catalog.write_transaction():
            ids = catalog.writer.save_images(
                {sha: make_info(n) for sha, n in zip(shas, numbers, strict=True)}
            )
            tasks = [FileTask(make_path(n), 1_000_000 + n, 10**18 + n, None) for n in numbers]
            catalog.writer.save_files(
                run, [(task, ids[sha]) for task, sha in zip(tasks, shas, strict=True)]
            )
            catalog.writer.save_embeddings(
                collection,
                {ids[sha]: vectors[n % 997] for sha, n in zip(shas, numbers, strict=True)},
            )
            catalog.writer.delete_failures(collection, [task.path for task in tasks])


def rescan_files(files: int) -> Iterator[ScannedFile]:
    for number in range(files):
        if number % 100 == 2:  # vanished
            continue
        added_bytes = 1 if number % 100 == 1 else 0  # changed
        yield ScannedFile(make_path(number), 1_000_000 + number + added_bytes, 10**18 + number)
    for number in range(files, files + files // 100):
        yield ScannedFile(make_path(number), 1, 1)


def peak_memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    dimensions = int(sys.argv[2]) if len(sys.argv) > 2 else 768
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        file = Path(temporary) / "catalog.db"
        catalog = Catalog.open(file, create=True)
        started_at = time.monotonic()
        fill_catalog(catalog, files, dimensions)
        seconds = time.monotonic() - started_at
        print(
            f"wrote {files:,} files in {seconds:.0f} s: {files / seconds:,.0f} per second, in "
            f"batches of {BATCH_SIZE}; {file.stat().st_size / 1e6:,.0f} MB, "
            f"{file.stat().st_size / files:,.0f} bytes per file, including "
            f"{2 * dimensions:,} bytes for its vector; peak memory {peak_memory_mb()} MB",
            flush=True,
        )
        catalog.close()
        catalog = Catalog.open(file)
        (collection,) = catalog.list_collections()
        started_at = time.monotonic()
        scan = catalog.begin_scan()
        batch: list[ScannedFile] = []
        for found in rescan_files(files):
            batch.append(found)
            if len(batch) == SCAN_BATCH_SIZE:
                scan.add_files(batch)
                batch = []
        scan.add_files(batch)
        stored_at = time.monotonic()
        plan = scan.plan_work(collection, retry_failed=False, limit=None)
        planned_at = time.monotonic()
        vanished = len(scan.find_vanished_files("/photos"))
        ended_at = time.monotonic()
        count = sum(1 for _ in scan.read_tasks())
        assert (plan.pending_files, vanished) == (count, files // 100), (plan, vanished, count)
        print(
            f"scan of {plan.seen_files:,} files: stored in {stored_at - started_at:.0f} s "
            f"({plan.seen_files / (stored_at - started_at):,.0f} per second), "
            f"compared in {planned_at - stored_at:.0f} s, "
            f"{vanished:,} vanished files found in {ended_at - planned_at:.0f} s; "
            f"{plan.pending_files:,} files to embed; peak memory {peak_memory_mb()} MB"
        )
        catalog.close()


main()
