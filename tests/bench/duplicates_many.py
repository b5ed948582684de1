"""How long `searchapp duplicates` takes among 200,000 pictures, and how much memory.

    python tests/bench/duplicates_many.py [IMAGES] [DIMENSIONS]

Embeddings and fingerprints are made, with 3,000 pairs planted: a third the same picture compressed
again, a third turned by 90 degrees, a third cut by 5 %; and 3,000 look-alikes: the same with a
thing in it that the other does not have. The search runs in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from searchapp.bench.synthetic_vectors import Made
from searchapp.catalog import Catalog
from searchapp.duplicates import fingerprint as prints
from searchapp.library import Library
from searchapp.types import Comparing, Found
from searchapp.vectors import pack
from searchapp.vectors.indexes import Indexes

PLANTED = 3000  # pairs, and as many look-alikes
AT_ONCE = 2000  # pictures


def waves(rng: np.random.Generator, count: int) -> np.ndarray:
    """Make small copies with a photograph's spectrum, [count, SIDE, SIDE], grey levels."""
    side = prints.SIDE + 16
    across = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None, :] ** 2
    strength = 1 / np.maximum(np.sqrt(across), 1 / side) ** 1.3
    noise = rng.normal(size=(count, side, side)).astype(np.float32)
    made = np.fft.irfft2(np.fft.rfft2(noise) * strength, s=(side, side))
    made = made[:, : prints.SIDE, : prints.SIDE]
    made -= made.mean((1, 2), keepdims=True)
    return (128 + 45 * made / made.std((1, 2), keepdims=True)).astype(np.float32)


def changed(rng: np.random.Generator, luma: np.ndarray, how: int) -> np.ndarray:
    """Change small copies the way of a number."""
    if how == 1:
        luma = np.rot90(luma, axes=(1, 2))
    elif how == 2:
        at = 0.025 * prints.SIDE + 0.95 * (np.arange(prints.SIDE) + 0.5) - 0.5
        weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(prints.SIDE)[None, :]))
        luma = weights @ luma @ weights.T
    elif how == 3:
        luma = luma.copy()
        luma[:, 10:18, 20:28] += 60
    return luma + rng.normal(0, 0.5, luma.shape)


def stored(luma: np.ndarray) -> list[bytes]:
    """Return small copies as they are stored, without colour."""
    grey = bytes([128]) * (prints.BYTES - prints.SIDE**2)
    return [one.tobytes() + grey for one in np.clip(luma + 0.5, 0, 255).astype(np.uint8)]


def write(catalog: Catalog, run: int, first: int, vectors: np.ndarray, copies: list[bytes]) -> None:
    """Write pictures with the ids from one on."""
    (collection,) = catalog.collections()
    ids = range(first, first + len(copies))
    connection = catalog._db.conn
    with catalog.atomic():
        connection.executemany(
            "insert into images (id, sha256, format, width, height)"
            " values (?, ?, 'JPEG', 4000, 4000)",
            ((id, f"{id:064x}") for id in ids),
        )
        connection.executemany(
            "insert into files values (?, ?, 1000, 0, ?)",
            ((f"{folder_of(id)}/{id}.jpg", id, run) for id in ids),
        )
        connection.executemany(
            "insert into embeddings (collection_id, image_id, vector) values (?, ?, ?)",
            ((collection.id, id, pack(v)) for id, v in zip(ids, vectors, strict=True)),
        )
    luma, _ = prints.unpack(copies)
    hashes = prints.hashes(prints.coefficients(luma)).tolist()
    store = catalog.fingerprints(prints.KIND)
    store.save(zip(ids, hashes, copies, strict=True))
    store.save_pixels((id, f"{id:064x}") for id in ids)


FOLDER = ""


def folder_of(id: int) -> str:
    return f"{FOLDER}/{id // 1000}"


def nearby(rng: np.random.Generator, vectors: np.ndarray, cosine: float) -> np.ndarray:
    """Return vectors at a cosine from others."""
    away = rng.normal(size=vectors.shape).astype(np.float32)
    away -= (away * vectors).sum(1, keepdims=True) * vectors
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return cosine * vectors + np.sqrt(1 - cosine**2) * away


def make(library: Path, pictures: Path, count: int, dimensions: int) -> None:
    """Make the library; the files have nothing in them but their size."""
    global FOLDER
    FOLDER = str(pictures)
    rng = np.random.default_rng(0)
    library.mkdir()
    catalog = Catalog.open(library / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", dimensions, "{}")
    run = catalog.writer.start_run(collection, [])
    plain = count - 2 * PLANTED
    source = Made("clustered", dimensions)
    kept_vectors, kept_luma = [], []
    for start in range(0, plain, AT_ONCE):
        size = min(AT_ONCE, plain - start)
        vectors, luma = source.take(size), waves(rng, size)
        write(catalog, run, start + 1, vectors, stored(luma))
        if start < 2 * PLANTED:
            kept_vectors.append(vectors)
            kept_luma.append(luma)
    vectors, luma = np.concatenate(kept_vectors), np.concatenate(kept_luma)
    for number in range(2 * PLANTED // 1000):  # of pictures 1, 2, 3 ...
        part = slice(1000 * number, 1000 * number + 1000)
        how = number % 3 if number < PLANTED // 1000 else 3
        cosine = 0.75 if how == 1 else 0.97
        write(
            catalog, run, plain + 1 + 1000 * number, nearby(rng, vectors[part], cosine),
            stored(changed(rng, luma[part], how)),
        )  # fmt: skip
    for id in range(1, count + 1):
        if id % 1000 in (0, 1):
            Path(folder_of(id)).mkdir(parents=True, exist_ok=True)
        if id <= 2 * PLANTED or id > plain:
            with Path(f"{folder_of(id)}/{id}.jpg").open("wb") as file:
                file.truncate(1000)
    list(Indexes(library, catalog).save(collection))
    catalog.close()


def search(library: Path, count: int) -> None:
    begun, plain = time.monotonic(), count - 2 * PLANTED
    with Library.open(library) as opened:
        for event in opened.duplicates():
            if not isinstance(event, Found):
                assert isinstance(event, Comparing), event
                print(f"{time.monotonic() - begun:.1f} s: {event}", flush=True)
                continue
            pairs = {
                tuple(sorted((group.keeper.image_id, copy.image_id)))
                for group in event.duplicates.groups
                for copy in group.others
            }
    wall = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    planted = {(n, plain + n) for n in range(1, PLANTED + 1)}
    alike = {(n, plain + n) for n in range(PLANTED + 1, 2 * PLANTED + 1)}
    for name, part in (("compressed", 0), ("turned", 1), ("cut", 2)):
        those = {pair for pair in planted if (pair[0] - 1) // 1000 % 3 == part}
        print(f"{name}: {len(those & pairs):,} of {len(those):,} found")
    print(f"look-alikes taken for duplicates: {len(alike & pairs):,} of {len(alike):,}")
    print(f"wrong: {len(pairs - planted):,}")
    print(
        f"{wall:.1f} s, {used.ru_utime:.1f} s of user and {used.ru_stime:.1f} s of system time, "
        f"peak {used.ru_maxrss >> 10} MB"
    )


def main() -> None:
    """Run it."""
    count = int((sys.argv[1:] or ["200000"])[0])
    dimensions = int((sys.argv[2:] or ["384"])[0])
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        library, pictures = Path(temporary) / "library", Path(temporary) / "pictures"
        make(library, pictures, count, dimensions)
        print(f"{count:,} pictures, {dimensions} dimensions", flush=True)
        command = [sys.executable, __file__, "--search", str(library), str(count)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        search(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
