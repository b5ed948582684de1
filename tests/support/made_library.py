"""Make large libraries without embedding: rows with made-up thumbnails, and linked files."""

from __future__ import annotations

import io
import os
import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from searchapp.catalog import Catalog, FileTask
from searchapp.library import Library
from searchapp.types import PictureInfo
from searchapp.vectors import pack_vector
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.sample_pictures import save_picture

SHAPES = ((400, 300), (300, 400), (480, 270), (400, 400))
SIDES = (320, 640)
DISTINCT_PICTURES = 64
MAX_LINKS = 30_000  # of one file: ext4 allows 65,000
CAMERAS = ("iPhone 13", "Halden Q4", None)
NEWEST = datetime(2025, 6, 30, 18, 0)


def make_large_library(root: Path, count: int, years: int = 20) -> Path:
    """Make a library of count pictures in 200 folders over some years; return its folder.

    The pictures are grouped in bursts of a day, as those of people are. The first of them is
    really indexed, with a fake engine.
    """
    library, album = root / "library", root / "album"
    save_picture(album / "first.jpg", "red")
    with Library.open(library, create=True, start=FakeEngine) as opened:
        index_folder(opened, album, write_fake_clip(root / "fake-clip"))
    chance = random.Random(7)
    dates = _draw_dates(chance, count - 1, years)
    catalog = Catalog.open(library / "catalog.db")
    (collection,) = catalog.list_collections()
    run = catalog.writer.start_run(collection, [])
    vectors = np.random.default_rng(7).normal(size=(256, collection.dimensions))
    packed = [pack_vector(v / np.linalg.norm(v)) for v in vectors.astype(np.float32)]
    templates = _draw_templates(root / "templates")
    colors = np.zeros(count + 2, "<u2")
    folders = [album / f"{2006 + n % years}" / f"folder {n:03}" for n in range(200)]
    for folder in folders:
        folder.mkdir(parents=True)
    for batch in (
        range(start, min(start + 5000, count - 1)) for start in range(0, count - 1, 5000)
    ):
        infos = {_make_key(n): _make_info(n, dates[n], chance) for n in batch}
        with catalog.write_transaction():
            ids = catalog.writer.save_images(infos)
            paths = {n: folders[n * 7 % 200] / f"IMG_{n:06}.jpg" for n in batch}
            tasks = [(FileTask(str(paths[n]), 1000, n, None), ids[_make_key(n)]) for n in batch]
            catalog.writer.save_files(run, tasks)
            embeddings = {ids[_make_key(n)]: packed[n % 256] for n in batch}
            catalog.writer.save_embeddings(collection, embeddings)
        for n in batch:
            template = templates[n % DISTINCT_PICTURES]
            _link(template / "320.webp", paths[n], n)
            for side in SIDES:
                folder = library / "thumbnails" / _make_key(n)[:2]
                folder.mkdir(parents=True, exist_ok=True)
                _link(template / f"{side}.webp", folder / f"{_make_key(n)}-{side}.webp", n)
            colors[ids[_make_key(n)]] = 0x8000 | chance.randrange(0x1000)
    colors.tofile(library / "thumbnails" / "colors.bin")
    catalog.close()
    return library


def _make_key(number: int) -> str:
    """Return a name in the place of a SHA-256, spread over the folders of thumbnails."""
    return f"{number * 2654435761 % 2**32:08x}{number:056x}"


def _make_info(number: int, date: datetime, chance: random.Random) -> PictureInfo:
    width, height = (10 * side for side in SHAPES[number % DISTINCT_PICTURES % len(SHAPES)])
    text = date.isoformat(timespec="seconds")
    return PictureInfo(
        format="JPEG", width=width, height=height, taken_at=text, date=text, date_from="exif",
        camera=CAMERAS[number % 3], rating=chance.choice((None, None, 3, 5)),
        keywords=("Sea",) if number % 11 == 0 else (),
        latitude=48.0 + number % 7 if number % 4 == 0 else None,
        longitude=2.0 + number % 5 if number % 4 == 0 else None,
    )  # fmt: skip


def _draw_dates(chance: random.Random, count: int, years: int) -> list[datetime]:
    """Return dates of bursts of 1 to 60 pictures each."""
    dates = list[datetime]()
    while len(dates) < count:
        start = NEWEST - timedelta(minutes=chance.randrange(years * 365 * 24 * 60))
        dates += [start - timedelta(minutes=m) for m in range(chance.randrange(1, 60))]
    return dates[:count]


def _draw_templates(folder: Path) -> list[Path]:
    """Draw distinct pictures, and return the folders with their thumbnails."""
    chance, found = random.Random(3), list[Path]()
    for number in range(DISTINCT_PICTURES):
        (folder / str(number)).mkdir(parents=True)
        size = SHAPES[number % len(SHAPES)]
        picture = Image.effect_noise(size, 40).convert("RGB")
        draw = ImageDraw.Draw(picture)
        for _ in range(6):
            color = tuple(chance.randrange(256) for _ in range(3))
            x, y = chance.randrange(size[0]), chance.randrange(size[1])
            draw.ellipse((x - 90, y - 60, x + 90, y + 60), fill=color)
        for side in SIDES:
            copy, buffer = picture.resize((side, side * size[1] // size[0])), io.BytesIO()
            copy.save(buffer, "WEBP", quality=80)
            (folder / str(number) / f"{side}.webp").write_bytes(buffer.getvalue())
        found.append(folder / str(number))
    return found


def _link(source: Path, target: Path, number: int) -> None:
    """Link a file; after MAX_LINKS links, link a copy."""
    copy = source.with_name(f"{source.stem}-{number // MAX_LINKS}.webp")
    if not copy.exists():
        copy.write_bytes(source.read_bytes())
    os.link(copy, target)
