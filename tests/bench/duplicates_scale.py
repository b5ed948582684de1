"""Measure time and memory of `searchapp duplicates` among 200,000 pictures.

    python tests/bench/duplicates_scale.py [IMAGES] [DIMENSIONS]

Embeddings and most fingerprints are synthetic. 300 pictures have a copy: 100 are compressed again,
100 rotated by 90°, 100 cropped by 5 %. Another 300 have a look-alike with an additional object.
These 1,200 pictures are files. The first search compares them in detail, the second one knows the
results. Each search runs in a subprocess.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.Image import Image as Picture

from searchapp.bench.synthetic_vectors import VectorSource
from searchapp.catalog import Catalog
from searchapp.duplicates import fingerprint as prints
from searchapp.library import Library
from searchapp.types import ComparisonStarted, DuplicatesFound, Progress
from searchapp.vectors import pack_vector
from searchapp.vectors.indexes import Indexes

PAIRS_PER_CHANGE = 100
CHANGES = ("compressed", "rotated", "cropped", "look-alike", "look-alike", "look-alike")
PLANTED_PAIRS = len(CHANGES) * PAIRS_PER_CHANGE
PICTURE_SIDE_PX = 4 * prints.COPY_SIDE_PX
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


def draw_picture(luma: np.ndarray) -> Picture:
    """Return a larger picture of a small copy, [COPY_SIDE_PX, COPY_SIDE_PX]."""
    small = Image.fromarray(np.clip(luma + 0.5, 0, 255).astype(np.uint8))
    size = (PICTURE_SIDE_PX, PICTURE_SIDE_PX)
    return small.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def change_picture(picture: Picture, change: str) -> Picture:
    """Return a changed copy of a picture, or one with an additional object."""
    if change == "rotated":
        return picture.transpose(Image.Transpose.ROTATE_90)
    if change == "cropped":
        edge = round(0.025 * picture.width)
        return picture.crop((edge, edge, picture.width - edge, picture.height - edge))
    if change == "look-alike":
        changed = picture.copy()
        changed.paste("#e8c020", (40, 80, 72, 112))
        return changed
    return picture


def pack_thumbnails(luma: np.ndarray) -> list[bytes]:
    """Return fingerprints of gray pictures, from their small copies."""
    gray = bytes([128]) * (prints.COPY_BYTES - prints.COPY_SIDE_PX**2)
    end = gray + prints.TRAILER.pack(1)
    return [one.tobytes() + end for one in np.clip(luma + 0.5, 0, 255).astype(np.uint8)]


def write_pictures(
    catalog: Catalog, run: int, first_id: int, vectors: np.ndarray, fingerprints: list[bytes]
) -> None:
    """Write pictures with consecutive ids from first_id; their files may be missing."""
    (collection,) = catalog.list_collections()
    ids = range(first_id, first_id + len(fingerprints))
    files = []
    for id in ids:
        file = Path(f"{picture_folder(id)}/{id}.jpg")
        state = file.stat() if file.exists() else None
        size, mtime_ns = (state.st_size, state.st_mtime_ns) if state else (1, 0)
        files.append((str(file), id, size, mtime_ns, run))
    connection = catalog._db.conn
    with catalog.write_transaction():
        connection.executemany(
            "insert into images (id, sha256, format, width, height)"
            f" values (?, ?, 'JPEG', {PICTURE_SIDE_PX}, {PICTURE_SIDE_PX})",
            ((id, f"{id:064x}") for id in ids),
        )
        connection.executemany(
            "insert into files (path, image_id, size, mtime_ns, run_id) values (?, ?, ?, ?, ?)",
            files,
        )
        connection.executemany(
            "insert into embeddings (collection_id, image_id, vector) values (?, ?, ?)",
            ((collection.id, id, pack_vector(v)) for id, v in zip(ids, vectors, strict=True)),
        )
    luma, _ = prints.unpack_copies(fingerprints)
    hashes = prints.compute_hashes(prints.compute_coefficients(luma)).tolist()
    store = catalog.get_fingerprints(prints.FINGERPRINT_VERSION)
    store.save_fingerprints(
        (id, hash, None, blob) for id, hash, blob in zip(ids, hashes, fingerprints, strict=True)
    )
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
    """Write a library; only the planted pictures have files."""
    global pictures_folder
    pictures_folder = str(pictures)
    rng = np.random.default_rng(0)
    library.mkdir()
    catalog = Catalog.open(library / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", dimensions, "{}")
    run = catalog.writer.start_run(collection, [])
    plain = count - PLANTED_PAIRS
    source = VectorSource("clustered", dimensions)
    kept_vectors, kept_pictures = list[np.ndarray](), list[Picture]()
    for folder in range(count // 1000 + 1):
        Path(picture_folder(1000 * folder)).mkdir(parents=True)
    for start in range(0, plain, PICTURES_PER_BATCH):
        size = min(PICTURES_PER_BATCH, plain - start)
        vectors, luma = source.draw_vectors(size), make_thumbnails(rng, size)
        fingerprints = pack_thumbnails(luma)
        for number in range(start, min(start + size, PLANTED_PAIRS)):
            picture = draw_picture(luma[number - start])
            fingerprints[number - start] = write_picture(picture, number + 1, 92)
            kept_pictures.append(picture)
            kept_vectors.append(vectors[number - start])
        write_pictures(catalog, run, start + 1, vectors, fingerprints)
    for number, change in enumerate(CHANGES):  # copies of pictures 1, 2, 3 ...
        part = slice(PAIRS_PER_CHANGE * number, PAIRS_PER_CHANGE * (number + 1))
        first_id = plain + 1 + part.start
        fingerprints = [
            write_picture(change_picture(picture, change), first_id + place, 60)
            for place, picture in enumerate(kept_pictures[part])
        ]
        cosine = 0.75 if change == "rotated" else 0.97
        vectors = make_nearby_vectors(rng, np.stack(kept_vectors[part]), cosine)
        write_pictures(catalog, run, first_id, vectors, fingerprints)
    list(Indexes(library, catalog).save_index(collection))
    catalog.close()


def write_picture(picture: Picture, id: int, quality: int) -> bytes:
    """Write the file of a picture; return its fingerprint."""
    file = f"{picture_folder(id)}/{id}.jpg"
    picture.save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return prints.compute_fingerprint(opened.convert("RGB"), 1)


def measure_search(library: Path, count: int) -> None:
    """Search for duplicates, and print time, memory, and how many planted pairs were found."""
    started_at, plain = time.monotonic(), count - PLANTED_PAIRS
    inspected = 0
    with Library.open(library) as opened:
        for event in opened.duplicates():
            if isinstance(event, Progress):
                inspected = event.done
            elif isinstance(event, ComparisonStarted):
                print(f"{time.monotonic() - started_at:.1f} s: {event}", flush=True)
            elif isinstance(event, DuplicatesFound):
                pairs = {
                    tuple(sorted((group.keeper.image_id, copy.image_id)))
                    for group in event.duplicates.groups
                    for copy in group.others
                }
    wall_s = time.monotonic() - started_at
    usage = resource.getrusage(resource.RUSAGE_SELF)
    planted = {
        (n, plain + n): CHANGES[(n - 1) // PAIRS_PER_CHANGE] for n in range(1, PLANTED_PAIRS + 1)
    }
    found = Counter(planted.get(pair, "other pairs") for pair in pairs)
    for change, total in Counter(planted.values()).items():
        print(f"{change}: {found[change]:,} of {total:,} reported as duplicates")
    print(f"other pairs reported as duplicates: {found['other pairs']:,}")
    print(
        f"{inspected:,} pairs compared in detail; {wall_s:.1f} s, user time "
        f"{usage.ru_utime:.1f} s, system time {usage.ru_stime:.1f} s, "
        f"peak memory {usage.ru_maxrss >> 10} MB",
        flush=True,
    )


def main() -> None:
    """Write the library, and search it twice, each time in a subprocess."""
    count = int((sys.argv[1:] or ["200000"])[0])
    dimensions = int((sys.argv[2:] or ["384"])[0])
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        library, pictures = Path(temporary) / "library", Path(temporary) / "pictures"
        make_library(library, pictures, count, dimensions)
        print(f"{count:,} pictures, {dimensions} dimensions", flush=True)
        command = [sys.executable, __file__, "--search", str(library), str(count)]
        for name in ("first", "second"):
            print(f"{name} search:", flush=True)
            subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--search"]:
        measure_search(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
