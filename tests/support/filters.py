"""Make a catalog of varied pictures, and values for filters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from searchapp.catalog import Catalog, FileTask
from searchapp.types import PictureInfo
from searchapp.vectors import pack_vector

CAMERAS = (None, "Apple iPhone 13", "Canon EOS 5D", "NIKON Z 6")


FORMATS = ("JPEG", "PNG", "MPO", "HEIF")


LENSES = (None, "EF 50mm f/1.8", "Summilux-M 1:1.4/50")


RATINGS = (None, -1, 1, 3, 4, 5)


KEYWORDS = ("Holiday", "new york", "sea[1]")


def make_varied_catalog(folder: Path, count: int) -> tuple[Catalog, np.ndarray]:
    """Return a catalog of images that differ in every filtered field, and their vectors."""
    folder.mkdir()
    catalog = Catalog.open(folder / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", 8, "{}")
    run = catalog.writer.start_run(collection, [])
    vectors = np.random.default_rng(1).normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with catalog.write_transaction():
        for n in range(count):
            taken_at = f"{2000 + n % 20}-{1 + n % 12:02}-{1 + n % 28:02}T12:00:{n % 60:02}"
            info = PictureInfo(
                format=FORMATS[n % 4],
                width=100 + n,
                height=200,
                taken_at=taken_at if n % 5 else None,
                camera=CAMERAS[n * 7 % 4],
                latitude=48.85 + n / 1000 if n % 3 else None,
                longitude=2.35 - n / 500 if n % 3 else None,
                lens=LENSES[n * 5 % 3],
                rating=RATINGS[n * 11 % 6],
                keywords=tuple(word for bit, word in enumerate(KEYWORDS) if n >> bit & 1),
                date=taken_at if n % 7 else None,
                date_from=("exif" if n % 5 else "file") if n % 7 else None,
            )
            (image,) = catalog.writer.save_images({f"{n:064}": info}).values()
            folders = [f"d{n % 3}", "copies"][: 2 if n % 6 == 0 else 1]
            works = [FileTask(f"{folder}/{name}/{n}.jpg", n, n, None) for name in folders]
            catalog.writer.save_files(run, [(work, image) for work in works])
            catalog.writer.save_embeddings(collection, {image: pack_vector(vectors[n])})
    return catalog, vectors


DATE_STRATEGY = st.sampled_from(["2003", "2010-06", "2010-06-03", "2015-11-28T12:00", "2019"])


WHERE_CONDITIONS = [
    "width > 200",
    "camera is null or height < 5",
    "path like '%/d1/%'",
    "sha256 in (select sha256 from photos group by sha256 having count(*) > 1)",
]
