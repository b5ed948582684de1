"""Measure searches by words: quality with real pictures, speed with a million, cost of indexing.

    python tests/bench/words.py quality [PHOTOS]
    python tests/bench/words.py speed [IMAGES] [DIMENSIONS]
    python tests/bench/words.py cost [PICTURES] [IMAGES_PER_SECOND] [RUNS]

quality: indexes PHOTOS (data/photos) with the starter. Asks 50 file names and 50 titles, the
captions, and two-word questions that are in no text. Prints the ranks with and without words.
speed: times the words alone, and the whole search by vectors and by both, in a synthetic catalog.
cost: alternates index runs with and without the text index, with a fake engine of a fixed rate.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from searchapp.bench.captions import read_captions
from searchapp.catalog import Catalog, FileTask, TextQuery
from searchapp.files import storage
from searchapp.library import Library
from searchapp.search.fusion import MAX_FUSED_IMAGES, find_text_matches
from searchapp.search.good_match import JudgeCache
from searchapp.search.ranking import Ranking
from searchapp.types import IndexOptions, PictureInfo, Query, RunFinished, SearchOptions
from searchapp.vectors import pack_vector
from searchapp.vectors.indexes import Indexes

PHOTOS = Path(__file__).parents[2] / "data/photos"
QUESTIONS = 50
# Pairs of these words are questions that no name and no title contains.
ADJECTIVES = ("purple", "wooden", "broken", "modern", "ancient", "frozen", "tiny")
NOUNS = ("kitchen", "bridge", "ladder", "keyboard", "pyramid", "carpet", "candle")
BATCH_SIZE, REPEATS, DIMENSIONS = 128, 7, 384
FOLDERS = ("2022-08 Italy/Venice", "Family/Birthday Anna", "Work/Invoices", "2019/Summer Norway")
SPEED_QUESTIONS = (
    "IMG_123456", "IMG_123456.jpg", "1234", "img_12", "20220817", '"harbor at dawn 77"',
    "harbor at dawn 77", "Venice", "venice harbor", "purple keyboard", "a dog on the beach",
)  # fmt: skip
TITLE_SIDECAR = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li'
    ' xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>'
    "</x:xmpmeta>"
)


def measure_quality(photos: Path) -> None:
    """Print how often the right picture is first, or among the first ten."""
    pictures = read_captions(photos / "captions.json")
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "photos"
        for picture in pictures:
            target = folder / picture.file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(photos / picture.file, target)
        with Library.open(Path(temporary) / "library", create=True) as library:
            index_folder(library, folder)

            def rank(text: str, file: str, by: str) -> int:
                options = SearchOptions(count=len(pictures), by=by)  # type: ignore[arg-type]
                paths = [hit.path for hit in library.search(Query(text), options)]
                return paths.index(str(folder / file)) + 1 if str(folder / file) in paths else 999

            step = max(1, len(pictures) // QUESTIONS)
            chosen = pictures[::step][:QUESTIONS]
            questions = [(caption, p.file) for p in pictures for caption in p.captions]
            for by in ("vector", "both"):
                ranks = [rank(Path(p.file).stem, p.file, by) for p in chosen]
                print(f"{by}: {ranks.count(1)} of {len(ranks)} file names have rank 1", flush=True)
                found = [rank(caption, file, by) for caption, file in questions]
                shares = [100 * np.mean([r <= k for r in found]) for k in (1, 10)]
                print(
                    f"{by}: {len(found)} captions: R@1 {shares[0]:.1f} %, R@10 {shares[1]:.1f} %",
                    flush=True,
                )
            words = [" ".join(pair) for pair in product(ADJECTIVES, NOUNS)]
            changed = sum(
                library.search(Query(text))
                != library.search(Query(text), SearchOptions(by="vector"))
                for text in words
            )
            print(f"{changed} of {len(words)} two-word questions have other first ten hits")
            for picture in chosen:
                text = TITLE_SIDECAR.format(escape(picture.captions[0]))
                (folder / f"{picture.file}.xmp").write_text(text)
            index_folder(library, folder)
            for by in ("vector", "both"):
                ranks = [rank(p.captions[0], p.file, by) for p in chosen]
                print(f"{by}: {ranks.count(1)} of {len(ranks)} titles have rank 1", flush=True)


def index_folder(library: Library, folder: Path) -> None:
    """Index a folder with the starter."""
    for event in library.index([folder], IndexOptions("starter")):
        if isinstance(event, RunFinished):
            print(f"indexed {event.summary.added} pictures", flush=True)


def make_name(number: int) -> str:
    """Return a file name as cameras, phones and programs write them."""
    return (
        f"IMG_{number:06}.jpg",
        f"DSC{number % 100_000:05}.ARW",
        f"2022{number % 12 + 1:02}{number % 28 + 1:02}_{number % 240_000:06}.jpg",
        f"Screenshot 2021-{number % 12 + 1:02}-17 at {number // 60 % 24}.{number % 60:02}.png",
    )[number % 4]


def fill_catalog(catalog: Catalog, count: int, dimensions: int) -> None:
    """Write a catalog of images with names, and a title for one in 100."""
    collection = catalog.add_collection("c", "m", "r", dimensions, "{}")
    run = catalog.writer.start_run(collection, ["/p"])
    rng = np.random.default_rng(0)
    for start in range(0, count, BATCH_SIZE):
        numbers = range(start, min(count, start + BATCH_SIZE))
        vectors = rng.normal(size=(len(numbers), dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with catalog.write_transaction():
            ids = catalog.writer.save_images(
                {
                    hashlib.sha256(str(n).encode()).hexdigest(): PictureInfo(
                        format="JPEG", width=4032, height=3024,
                        title=f"Harbor at dawn {n // 100}" if n % 100 == 0 else None,
                    )
                    for n in numbers
                }
            )  # fmt: skip
            tasks = [
                FileTask(f"/p/{FOLDERS[n // 1000 % 4]}/{n // 1000}/{make_name(n)}", n, n, None)
                for n in numbers
            ]
            image_ids = list(ids.values())
            catalog.writer.save_files(run, zip(tasks, image_ids, strict=True))
            catalog.writer.save_embeddings(
                collection,
                {id: pack_vector(v) for id, v in zip(image_ids, vectors, strict=True)},
            )


def measure_speed(count: int, dimensions: int) -> None:
    """Print the shortest of several times for each question."""
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        catalog = Catalog.open(Path(temporary) / "catalog.db", create=True)
        fill_catalog(catalog, count, dimensions)
        measure_questions(catalog, Path(temporary))
        catalog.close()


def measure_questions(catalog: Catalog, folder: Path) -> None:
    """Print the shortest of several times for each question to a catalog in a folder."""
    (collection,) = catalog.list_collections()
    count = catalog.get_embeddings(collection).read_extent().count
    (bytes_used,) = catalog._db.execute("select sum(length(block)) from texts_data").fetchone()
    print(f"{count:,} images; index of the texts: {bytes_used / count:.0f} bytes per image")
    catalog.get_embeddings(collection).set_requested_kind("exact")
    indexes = Indexes(folder, catalog)
    list(indexes.save_index(collection))
    ranking = Ranking(catalog, indexes, JudgeCache(catalog))
    storage.can_exist = lambda path: True  # No picture is on disk.
    vector = np.ones(collection.dimensions, np.float32) / np.sqrt(collection.dimensions)
    find = partial(find_text_matches, drop_frequent=True)
    print("words ms  vector ms  both ms  text ms  images  question")
    for question in SPEED_QUESTIONS:
        text = TextQuery.parse(question)
        options = SearchOptions()
        matches = find(catalog, collection, text, None, MAX_FUSED_IMAGES)
        words_ms = shortest_ms(find, catalog, collection, text, None, MAX_FUSED_IMAGES)
        vector_ms = shortest_ms(ranking.find_nearest, collection, vector, options, None)
        both_ms = shortest_ms(ranking.find_nearest, collection, vector, options, None, text)
        text_ms = shortest_ms(ranking.find_by_text, collection, text, options)
        print(
            f"{words_ms:8.1f} {vector_ms:10.1f} {both_ms:8.1f} {text_ms:8.1f}"
            f" {len(matches.level_by_id):7}  {question}",
            flush=True,
        )


def shortest_ms(call: Callable[..., Any], *arguments: Any) -> float:
    """Return the shortest of several times of a call."""
    times = []
    for _ in range(REPEATS):
        started_at = time.perf_counter()
        call(*arguments)
        times.append(time.perf_counter() - started_at)
    return 1000 * min(times)


def measure_cost(pictures: int, images_per_s: float, runs: int) -> None:
    """Print the time of index runs with the text index, relative to runs without it."""
    from write_cost import FixedRateSource

    seconds: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        for number in range(pictures):
            file = folder / FOLDERS[number // 1000 % 4] / f"{number // 1000:03}" / make_name(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"\xff\xd8\xff\xe0" + number.to_bytes(28))
        for run in range(2 * runs):
            has_texts = run % 2 == 0
            with Library.open(
                Path(temporary) / f"library {run}",
                create=True,
                start_many=lambda *_: FixedRateSource(images_per_s),
            ) as library:
                if not has_texts:
                    drop_text_triggers(library._catalog)
                started_at = time.monotonic()
                for event in library.index([folder], IndexOptions("clip-vit-l-14")):
                    if isinstance(event, RunFinished):
                        assert event.summary.added == pictures, event.summary
                seconds[has_texts].append(time.monotonic() - started_at)
    ratio = statistics.median(a / b for a, b in zip(seconds[True], seconds[False], strict=True))
    print(f"time of an index run: ratio {ratio:.3f} (median of {runs} pairs)")
    added_us = measure_write_cpu(pictures, runs)
    print(
        f"CPU time of writing: {added_us:.0f} µs more per picture, "
        f"{added_us * images_per_s / 1e4:.1f} % of one core at {images_per_s:,.0f} images/s"
    )


def measure_write_cpu(pictures: int, runs: int) -> float:
    """Return the CPU time in µs that the text index adds to the writing of a picture."""
    cpu_seconds: dict[bool, list[float]] = {False: [], True: []}
    for run in range(2 * runs):
        has_texts = run % 2 == 0
        with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
            catalog = Catalog.open(Path(temporary) / "catalog.db", create=True)
            if not has_texts:
                drop_text_triggers(catalog)
            started_at = time.thread_time()
            fill_catalog(catalog, pictures, DIMENSIONS)
            cpu_seconds[has_texts].append(time.thread_time() - started_at)
            catalog.close()
    return 1e6 * (min(cpu_seconds[True]) - min(cpu_seconds[False])) / pictures


def drop_text_triggers(catalog: Catalog) -> None:
    """Let a catalog no longer note the images whose texts change."""
    for name in [t.name for t in catalog._db.triggers if t.name.startswith("text_")]:
        catalog._db.execute(f"drop trigger {name}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["quality", *rest]:
            measure_quality(Path(*rest) if rest else PHOTOS)
        case ["speed", *rest]:
            measure_speed(*(int(value) for value in [*rest, *["1000000", "64"][len(rest) :]]))
        case ["cost", *rest]:
            measure_cost(*(int(value) for value in [*rest, *["20000", "1000", "3"][len(rest) :]]))
        case _:
            sys.exit(__doc__)
