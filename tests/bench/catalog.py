"""What the catalogue costs with many files: rows a second, the difference of a scan, size, memory.

    python tests/bench/catalog.py [FILES] [DIMENSIONS]

Makes a library with so many rows of files, images and embeddings, by the calls that a run of index
makes; then compares it with what a scan would see: the same files, of which one in a hundred is
new, one changed and one gone. No file is on disk but the catalogue's.
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

from searchapp.catalog import Catalog, Work
from searchapp.files.scan import Found
from searchapp.types import PictureInfo
from searchapp.vectors import pack

BATCH, SEEN_AT_ONCE = 128, 5000
CAMERAS = ("Canon EOS 5D", "iPhone 15", "Pixel 8", None)


def path_of(number: int) -> str:
    return f"/photos/{number // 100_000:04}/{number // 1000 % 100:02}/IMG_{number:09}.jpg"


def info_of(number: int) -> PictureInfo:
    day = f"20{10 + number % 15}-{1 + number % 12:02}-{1 + number % 28:02}T12:00:00"
    return PictureInfo(
        format="JPEG", width=4032, height=3024, taken_at=day, camera=CAMERAS[number % 4],
        latitude=48.0 + number % 90 / 90, longitude=2.35,
    )  # fmt: skip


def fill(catalog: Catalog, files: int, dimensions: int) -> None:
    collection = catalog.add_collection("made", "made", "1", dimensions, "{}")
    run = catalog.writer.start_run(collection, ["/photos"])
    made = np.random.default_rng(0).normal(size=(997, dimensions)).astype(np.float32)
    vectors = [pack(vector / np.linalg.norm(vector)) for vector in made]
    for start in range(0, files, BATCH):
        numbers = range(start, min(files, start + BATCH))
        shas = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
        with catalog.atomic():
            ids = catalog.writer.save_images(
                {sha: info_of(n) for sha, n in zip(shas, numbers, strict=True)}
            )
            works = [Work(path_of(n), 1_000_000 + n, 10**18 + n, None) for n in numbers]
            catalog.writer.save_files(
                run, [(work, ids[sha]) for work, sha in zip(works, shas, strict=True)]
            )
            catalog.writer.save_embeddings(
                collection,
                {ids[sha]: vectors[n % 997] for sha, n in zip(shas, numbers, strict=True)},
            )
            catalog.writer.forget_failures(collection, [work.path for work in works])


def seen_again(files: int) -> Iterator[Found]:
    for number in range(files):
        kind = number % 100
        if kind == 2:  # gone
            continue
        changed = 1 if kind == 1 else 0
        yield Found(path_of(number), 1_000_000 + number + changed, 10**18 + number)
    for number in range(files, files + files // 100):
        yield Found(path_of(number), 1, 1)


def megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    dimensions = int(sys.argv[2]) if len(sys.argv) > 2 else 768
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        file = Path(temporary) / "catalog.db"
        catalog = Catalog.open(file, create=True)
        begun = time.monotonic()
        fill(catalog, files, dimensions)
        seconds = time.monotonic() - begun
        print(
            f"{files:,} files written in {seconds:.0f} s: {files / seconds:,.0f} a second, in "
            f"batches of {BATCH}; {file.stat().st_size / 1e6:,.0f} MB, "
            f"{file.stat().st_size / files:,.0f} bytes a file, of which "
            f"{2 * dimensions:,} are its vector; memory {megabytes()} MB",
            flush=True,
        )
        catalog.close()
        catalog = Catalog.open(file)
        (collection,) = catalog.collections()
        begun = time.monotonic()
        seen = catalog.begin_scan()
        batch: list[Found] = []
        for found in seen_again(files):
            batch.append(found)
            if len(batch) == SEEN_AT_ONCE:
                seen.see(batch)
                batch = []
        seen.see(batch)
        noted = time.monotonic()
        plan = seen.plan(collection, retry_failed=False, limit=None)
        planned = time.monotonic()
        gone = len(seen.vanished("/photos"))
        ended = time.monotonic()
        count = sum(1 for _ in seen.work())
        assert (plan.work, gone) == (count, files // 100), (plan, gone, count)
        print(
            f"a scan of {plan.seen:,}: noted in {noted - begun:.0f} s "
            f"({plan.seen / (noted - begun):,.0f} a second), compared in {planned - noted:.0f} s, "
            f"{gone:,} gone found in {ended - planned:.0f} s; {plan.work:,} to do; memory "
            f"{megabytes()} MB"
        )
        catalog.close()


main()
