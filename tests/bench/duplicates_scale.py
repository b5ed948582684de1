"""Measure time and memory of `searchapp duplicates` among 200,000 pictures.

    python tests/bench/duplicates_scale.py [IMAGES] [DIMENSIONS]

Embeddings and fingerprints are synthetic. They contain 3,000 duplicate pairs: 1,000 compressed
again, 1,000 rotated by 90°, 1,000 cropped by 5 %. They also contain 3,000 look-alikes, which have
an additional object. The search runs in a subprocess.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from searchapp.bench.synthetic_vectors import VectorSource
from searchapp.catalog import Catalog
from searchapp.duplicates import fingerprint as prints
from searchapp.library import Library
from searchapp.types import ComparisonStarted, DuplicatesFound
from searchapp.vectors import pack_vector
from searchapp.vectors.indexes import Indexes

PLANTED_PAIRS = 3000  # duplicate pairs; there are as many look-alikes
PICTURES_PER_BATCH = 2000


def make_thumbnails(rng: np.random.Generator, count: int) -> np.ndarray:
    """Make random small copies with the spectrum of photos, [count, COPY_SIDE_PX, COPY_SIDE_PX]."""
    side = prints.COPY_SIDE_PX + 16
    across = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None, :] ** 2
    strength = 1 / np.maximum(np.sqrt(across), 1 / side) ** 1.3
    noise = rng.normal(size=(count, side, side)).astype(np.float32)
    luma = np.fft.irfft2(np.fft.rfft2(noise) * strength, s=(side, side))
    luma = luma[:, : prints.COPY_SIDE_PX, : prints.COPY_SIDE_PX]
    luma -= luma.mean((1, 2), keepdims=True)
    return (128 + 45 * luma / luma.std((1, 2), keepdims=True)).astype(np.float32)


def change_thumbnails(rng: np.random.Generator, luma: np.ndarray, change_number: int) -> np.ndarray:
    """Return small copies rotated (1), cropped (2) or with an object added (3), with noise."""
    if change_number == 1:
        luma = np.rot90(luma, axes=(1, 2))
    elif change_number == 2:
        source_positions = (
            0.025 * prints.COPY_SIDE_PX + 0.95 * (np.arange(prints.COPY_SIDE_PX) + 0.5) - 0.5
        )
        weights = np.maximum(
            0, 1 - np.abs(source_positions[:, None] - np.arange(prints.COPY_SIDE_PX)[None, :])
        )
        luma = weights @ luma @ weights.T
    elif change_number == 3:
        luma = luma.copy()
        luma[:, 10:18, 20:28] += 60
    return luma + rng.normal(0, 0.5, luma.shape)


def pack_thumbnails(luma: np.ndarray) -> list[bytes]:
    """Return gray small copies in their stored form."""
    gray = bytes([128]) * (prints.COPY_BYTES - prints.COPY_SIDE_PX**2)
    return [one.tobytes() + gray for one in np.clip(luma + 0.5, 0, 255).astype(np.uint8)]


def write_pictures(
    catalog: Catalog, run: int, first_id: int, vectors: np.ndarray, copies: list[bytes]
) -> None:
    """Write pictures with consecutive ids from first_id."""
    (collection,) = catalog.list_collections()
    ids = range(first_id, first_id + len(copies))
    connection = catalog._db.conn
    with catalog.write_transaction():
        connection.executemany(
            "insert into images (id, sha256, format, width, height)"
            " values (?, ?, 'JPEG', 4000, 4000)",
            ((id, f"{id:064x}") for id in ids),
        )
        connection.executemany(
            "insert into files (path, image_id, size, mtime_ns, run_id) values (?, ?, 1000, 0, ?)",
            ((f"{picture_folder(id)}/{id}.jpg", id, run) for id in ids),
        )
        connection.executemany(
            "insert into embeddings (collection_id, image_id, vector) values (?, ?, ?)",
            ((collection.id, id, pack_vector(v)) for id, v in zip(ids, vectors, strict=True)),
        )
    luma, _ = prints.unpack_copies(copies)
    hashes = prints.compute_hashes(prints.compute_coefficients(luma)).tolist()
    store = catalog.get_fingerprints(prints.FINGERPRINT_VERSION)
    store.save_fingerprints(zip(ids, hashes, copies, strict=True))
    store.save_pixel_hashes((id, f"{id:064x}") for id in ids)


pictures_folder = ""


def picture_folder(id: int) -> str:
    return f"{pictures_folder}/{id // 1000}"


def make_nearby_vectors(rng: np.random.Generator, vectors: np.ndarray, cosine: float) -> np.ndarray:
    """Return random unit vectors that have the given cosine to the given vectors."""
    directions = rng.normal(size=vectors.shape).astype(np.float32)
    directions -= (directions * vectors).sum(1, keepdims=True) * vectors
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return cosine * vectors + np.sqrt(1 - cosine**2) * directions


def make_library(library: Path, pictures: Path, count: int, dimensions: int) -> None:
    """Write a library; its picture files are empty space of the right size."""
    global pictures_folder
    pictures_folder = str(pictures)
    rng = np.random.default_rng(0)
    library.mkdir()
    catalog = Catalog.open(library / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", dimensions, "{}")
    run = catalog.writer.start_run(collection, [])
    plain = count - 2 * PLANTED_PAIRS
    source = VectorSource("clustered", dimensions)
    kept_vectors, kept_luma = [], []
    for start in range(0, plain, PICTURES_PER_BATCH):
        size = min(PICTURES_PER_BATCH, plain - start)
        vectors, luma = source.draw_vectors(size), make_thumbnails(rng, size)
        write_pictures(catalog, run, start + 1, vectors, pack_thumbnails(luma))
        if start < 2 * PLANTED_PAIRS:
            kept_vectors.append(vectors)
            kept_luma.append(luma)
    vectors, luma = np.concatenate(kept_vectors), np.concatenate(kept_luma)
    for number in range(2 * PLANTED_PAIRS // 1000):  # copies of pictures 1, 2, 3 ...
        part = slice(1000 * number, 1000 * number + 1000)
        change_number = number % 3 if number < PLANTED_PAIRS // 1000 else 3
        cosine = 0.75 if change_number == 1 else 0.97
        write_pictures(
            catalog,
            run,
            plain + 1 + 1000 * number,
            make_nearby_vectors(rng, vectors[part], cosine),
            pack_thumbnails(change_thumbnails(rng, luma[part], change_number)),
        )
    for id in range(1, count + 1):
        if id % 1000 in (0, 1):
            Path(picture_folder(id)).mkdir(parents=True, exist_ok=True)
        if id <= 2 * PLANTED_PAIRS or id > plain:
            with Path(f"{picture_folder(id)}/{id}.jpg").open("wb") as file:
                file.truncate(1000)
    list(Indexes(library, catalog).save_index(collection))
    catalog.close()


def measure_search(library: Path, count: int) -> None:
    """Search for duplicates, and print time, memory, and how many planted pairs were found."""
    started_at, plain = time.monotonic(), count - 2 * PLANTED_PAIRS
    with Library.open(library) as opened:
        for event in opened.duplicates():
            if not isinstance(event, DuplicatesFound):
                assert isinstance(event, ComparisonStarted), event
                print(f"{time.monotonic() - started_at:.1f} s: {event}", flush=True)
                continue
            pairs = {
                tuple(sorted((group.keeper.image_id, copy.image_id)))
                for group in event.duplicates.groups
                for copy in group.others
            }
    wall_s = time.monotonic() - started_at
    usage = resource.getrusage(resource.RUSAGE_SELF)
    planted = {(n, plain + n) for n in range(1, PLANTED_PAIRS + 1)}
    look_alikes = {(n, plain + n) for n in range(PLANTED_PAIRS + 1, 2 * PLANTED_PAIRS + 1)}
    for name, part in (("compressed", 0), ("rotated", 1), ("cropped", 2)):
        planted_part = {pair for pair in planted if (pair[0] - 1) // 1000 % 3 == part}
        print(f"{name}: {len(planted_part & pairs):,} of {len(planted_part):,} found")
    print(f"look-alikes reported as duplicates: {len(look_alikes & pairs):,}")
    print(f"wrong pairs in total: {len(pairs - planted):,}")
    print(
        f"{wall_s:.1f} s, user time {usage.ru_utime:.1f} s, system time {usage.ru_stime:.1f} s, "
        f"peak memory {usage.ru_maxrss >> 10} MB"
    )


def main() -> None:
    """Write the library, and search it in a subprocess."""
    count = int((sys.argv[1:] or ["200000"])[0])
    dimensions = int((sys.argv[2:] or ["384"])[0])
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        library, pictures = Path(temporary) / "library", Path(temporary) / "pictures"
        make_library(library, pictures, count, dimensions)
        print(f"{count:,} pictures, {dimensions} dimensions", flush=True)
        command = [sys.executable, __file__, "--search", str(library), str(count)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        measure_search(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
