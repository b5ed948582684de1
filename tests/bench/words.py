"""Measure searches by words: quality with real pictures, speed with a million, cost of indexing.

    python tests/bench/words.py quality [PHOTOS] [CAPTIONS]
    python tests/bench/words.py places [PHOTOS] [CAPTIONS]
    python tests/bench/words.py speed [IMAGES] [DIMENSIONS]
    python tests/bench/words.py cost [PICTURES] [IMAGES_PER_SECOND] [RUNS]

quality: indexes PHOTOS (data/photos) with the starter. Asks 50 file names and 50 titles, up to
360 captions, and two-word questions that are in no text. Prints ranks with and without words.
CAPTIONS is a file as `searchapp eval` takes it, by default captions.json in PHOTOS.
places: the same pictures, in five cities by turns. Asks "CAPTION in CITY", and captions with an
ordinary word that is a city, too. Prints the ranks with and without words.
speed: times the words alone, and the whole search by vectors and by both, in a synthetic catalog.
cost: alternates index runs with and without the text index, with a fake engine of a fixed rate.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from searchapp.bench.captions import read_captions
from searchapp.catalog import Catalog, FileTask, TextQuery
from searchapp.files import storage
from searchapp.library import Library
from searchapp.search.fusion import MAX_FUSED_IMAGES, find_text_matches
from searchapp.search.good_match import JudgeCache
from searchapp.search.ranking import Ranking
from searchapp.types import IndexOptions, PictureInfo, Place, Query, RunFinished, SearchOptions
from searchapp.vectors import pack_vector
from searchapp.vectors.indexes import Indexes

PHOTOS = Path(__file__).parents[2] / "data/photos"
QUESTIONS = 50
MAX_PICTURES, MAX_QUESTIONS, MAX_RANK = 1000, 360, 10
CITIES = ("Lisbon", "Munich", "New York City", "Kyoto", "Reykjavík")
COMMON_CITIES = 5
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


class Question(NamedTuple):
    """A text, and the picture that it describes."""

    text: str
    file: str


class Pictures:
    """A library with captioned pictures, which counts how often a question finds its picture."""

    def __init__(self, photos: Path, captions: Path | None, temporary: Path) -> None:
        """Index the captioned pictures with the starter; their file names say nothing."""
        captioned = read_captions(captions or photos / "captions.json", "dev")
        self.pictures = captioned[:MAX_PICTURES]
        self.folder = temporary / "photos"
        for picture in self.pictures:
            target = self.folder / picture.file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photos / picture.file, target)
        self.library = Library.open(temporary / "library", create=True)
        index_folder(self.library, self.folder)

    def list_questions(self) -> list[Question]:
        """Return all captions, or an equal number of each picture if there are many."""
        texts = [[Question(text, p.file) for text in p.captions] for p in self.pictures]
        columns = list(zip(*texts, strict=False))
        return [each for column in columns for each in column][:MAX_QUESTIONS]

    def rank(self, question: Question, by: str, **options: Any) -> int:
        """Return the rank of the picture that a question describes."""
        chosen = SearchOptions(count=MAX_RANK, by=by, **options)  # type: ignore[arg-type]
        paths = [hit.path for hit in self.library.search(Query(question.text), chosen)]
        path = str(self.folder / question.file)
        return paths.index(path) + 1 if path in paths else MAX_RANK + 1

    def print_recall(self, name: str, questions: Sequence[Question]) -> None:
        """Print how often the right picture is first and among the first ten, by both rankings."""
        for by in ("vector", "both"):
            ranks = [self.rank(question, by) for question in questions]
            shares = [100 * np.mean([rank <= k for rank in ranks]) for k in (1, 10)]
            print(
                f"{by}: {len(ranks)} {name}: R@1 {shares[0]:.1f} %, R@10 {shares[1]:.1f} %",
                flush=True,
            )

    def write_titles(self, titles: Sequence[Question]) -> None:
        """Write the titles of pictures, as sidecars, and index them."""
        for title in titles:
            sidecar = self.folder / f"{title.file}.xmp"
            sidecar.write_text(TITLE_SIDECAR.format(escape(title.text)))
        index_folder(self.library, self.folder)

    def write_places(self, names: Sequence[str]) -> dict[str, str]:
        """Put the pictures into cities, by turns; return the city of each file."""
        catalog = self.library._catalog
        rows = catalog._db.execute("select path, image_id from files order by path").fetchall()
        cities = {path: names[number % len(names)] for number, (path, _) in enumerate(rows)}
        catalog.get_places().save_places(
            "bench",
            {id: Place(cities[path], f"Region of {cities[path]}", "X") for path, id in rows},
        )
        return {p.file: cities[str(self.folder / p.file)] for p in self.pictures}


def measure_quality(photos: Path, captions: Path | None = None) -> None:
    """Print how often the right picture is first, or among the first ten."""
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        found = Pictures(photos, captions, Path(temporary))
        chosen = found.pictures[:: max(1, len(found.pictures) // QUESTIONS)][:QUESTIONS]
        found.print_recall("file names", [Question(Path(p.file).stem, p.file) for p in chosen])
        found.print_recall("captions", found.list_questions())
        words = [" ".join(pair) for pair in product(ADJECTIVES, NOUNS)]
        changed = sum(
            found.library.search(Query(text))
            != found.library.search(Query(text), SearchOptions(by="vector"))
            for text in words
        )
        print(f"{changed} of {len(words)} two-word questions have other first ten hits")
        found.write_titles([Question(p.captions[0], p.file) for p in chosen])
        found.print_recall("titles", [Question(p.captions[0], p.file) for p in chosen])
        # Captions are found beside the titles of all pictures, which are other captions.
        found.write_titles([Question(p.captions[-1], p.file) for p in found.pictures])
        found.print_recall(
            "captions, all pictures with other titles",
            [q for q in found.list_questions() if q.text != titles_by_file(found)[q.file]],
        )
        found.library.close()


def titles_by_file(found: Pictures) -> dict[str, str]:
    """Return the title that measure_quality writes for each picture."""
    return {picture.file: picture.captions[-1] for picture in found.pictures}


def measure_places(photos: Path, captions: Path | None = None) -> None:
    """Print how often a question with a place finds the right picture."""
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        found = Pictures(photos, captions, Path(temporary))
        questions = found.list_questions()
        cities = found.write_places(CITIES)
        placed = [Question(f"{q.text} in {cities[q.file]}", q.file) for q in questions]
        found.print_recall('"CAPTION in CITY"', placed)
        others = {city: CITIES[number - 1] for number, city in enumerate(CITIES)}
        found.print_recall(
            '"CAPTION in OTHER CITY"',
            [Question(f"{q.text} in {others[cities[q.file]]}", q.file) for q in questions],
        )
        in_city = [
            hit.city == cities[each.file]
            for each in placed
            for hit in found.library.search(Query(each.text))
        ]
        print(f"{100 * np.mean(in_city):.0f} % of the first ten hits are in the city")
        # Cities with names that are ordinary words of captions.
        common = [word for word, _ in count_words(questions)[:COMMON_CITIES]]
        found.write_places(common)
        found.print_recall(f"captions, cities called {', '.join(common)}", questions)
        found.library.close()


def count_words(questions: Sequence[Question]) -> list[tuple[str, int]]:
    """Return the words of captions from five letters on, the most frequent first."""
    words = Counter(word for q in questions for word in q.text.lower().split() if len(word) > 4)
    return words.most_common()


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
        case ["quality" | "places" as kind, *rest] if len(rest) < 3:
            measure = measure_quality if kind == "quality" else measure_places
            measure(*(Path(each) for each in [*rest, PHOTOS][: max(1, len(rest))]))
        case ["speed", *rest]:
            measure_speed(*(int(value) for value in [*rest, *["1000000", "64"][len(rest) :]]))
        case ["cost", *rest]:
            measure_cost(*(int(value) for value in [*rest, *["20000", "1000", "3"][len(rest) :]]))
        case _:
            sys.exit(__doc__)
