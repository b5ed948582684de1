"""Measure whether `searchapp duplicates` takes pictures with a small difference for the same.

    python tests/bench/duplicates_look_alikes.py [--more] [--photos FOLDER] [--fonts FOLDER]
        [--seed NUMBER] [--limit PHOTOS] [--results FILE] [--part 1/4] [-v]

Draws pairs that differ in a digit, a word, a sign, a face or an object, into photos (data/photos
by default), and pairs of documents, forms and chats. Each pair goes through the comparison of small
copies and of details, as if its embeddings were near. Prints how many pairs were found to be the
same, which is wrong; -v lists them. Then it prints how many changed copies of the same photos were
found, and the processor time for a pair.

--more draws other kinds of differences and of changes, with which no limit was chosen. Name other
photos, fonts and a seed with it. --results keeps the result of each pair: the next run continues,
and several parts share one file.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
PAIRS_PER_PHOTO = 12
DOCUMENT_PAIRS = 140  # of each kind
CHANGED_PHOTOS = 60  # of which changed copies are made
MAX_PHOTO_SIDE_PX = 640
MORE_PHOTO_SIDES_PX = (640, 1000, 1280)
MORE_SCALES = (1.0, 1.0, 0.8, 0.6)  # of the second picture
FONT_SUFFIXES = (".ttf", ".otf")


class Task(NamedTuple):
    """A pair to draw and to compare."""

    kind: str
    photo: str  # file; empty: none
    seed: int
    font: str  # file; empty: Pillow's font
    is_copy: bool
    is_more: bool  # of the kinds with which no limit was chosen


def list_tasks(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield what to draw: look-alikes of photos and of documents, then changed copies."""
    from support import look_alikes, more_copies, more_look_alikes, near_duplicates

    more, seed = arguments.more, arguments.seed
    photos = sorted(str(file) for file in arguments.photos.rglob("*.jpg"))[: arguments.limit]
    fonts = [""]
    if arguments.fonts:
        files = sorted(arguments.fonts.rglob("*"))
        fonts = [str(file) for file in files if file.suffix in FONT_SUFFIXES]
    kinds = list(more_look_alikes.MORE_PHOTO_KINDS if more else look_alikes.PHOTO_KINDS)
    documents = more_look_alikes.MORE_DOCUMENT_KINDS if more else look_alikes.DOCUMENT_KINDS
    for number, photo in enumerate(photos):
        for place in range(PAIRS_PER_PHOTO):
            font = fonts[(number + 5 * place) % len(fonts)]
            kind = kinds[(number + place) % len(kinds)]
            yield Task(kind, photo, seed + place, font, False, more)
    for kind in documents:
        for number in range(DOCUMENT_PAIRS):
            yield Task(kind, "", seed + number, fonts[number % len(fonts)], False, more)
    step = max(1, len(photos) // CHANGED_PHOTOS) if more else 1
    for change in more_copies.MORE_CHANGES if more else near_duplicates.CHANGES:
        for number, photo in enumerate(photos[::step][:CHANGED_PHOTOS]):
            yield Task(change, photo, seed + number, fonts[number % len(fonts)], True, more)


def draw_pair(task: Task) -> tuple[bytes, bytes]:
    """Return the two encoded pictures of a task."""
    from PIL import Image
    from support import look_alikes, more_copies, more_look_alikes, near_duplicates

    photo = None
    if task.photo:
        with Image.open(task.photo) as opened:
            photo = opened.convert("RGB")
        sides = MORE_PHOTO_SIDES_PX if task.is_more else (MAX_PHOTO_SIDE_PX,)
        photo.thumbnail((sides[task.seed % len(sides)],) * 2)
    if task.is_copy:
        assert photo is not None
        first = near_duplicates.encode_original(photo)
        with Image.open(io.BytesIO(first)) as opened:
            decoded = opened.convert("RGB")
        if task.is_more:
            return first, more_copies.make_changed_copy(decoded, task.kind, task.seed, task.font)
        return first, near_duplicates.CHANGES[task.kind](first, decoded)[1]
    kinds: dict[str, Any] = {
        **(more_look_alikes.MORE_PHOTO_KINDS if photo else more_look_alikes.MORE_DOCUMENT_KINDS),
        **(look_alikes.PHOTO_KINDS if photo else look_alikes.DOCUMENT_KINDS),
    }
    pen = look_alikes.Pen(f"{task.kind} {task.seed}", task.font)
    scales = MORE_SCALES if task.is_more else ()
    pair = look_alikes.make_look_alike(kinds[task.kind], photo, pen, scales)
    return pair.first, pair.second


def run_task(task: Task) -> dict[str, Any]:
    """Draw a pair and compare it; return the result, the edits and the seconds it took."""
    from support.compare_files import compare_files
    from support.look_alikes import InvisibleChangeError

    try:
        first, second = draw_pair(task)
    except InvisibleChangeError:
        return {"result": "invisible", "edits": [], "seconds": 0.0}
    started_at = time.process_time()
    verdict = compare_files(first, second)
    seconds = time.process_time() - started_at
    return {"result": verdict.result, "edits": verdict.edits, "seconds": seconds}


def run_tasks(tasks: list[Task], file: Path | None, part: str) -> list[dict[str, Any]]:
    """Return the results of all tasks that are known: those in the file, and those of this part."""
    lines = file.read_text("utf-8").splitlines() if file and file.exists() else []
    results = {tuple(row["task"]): row for row in map(json.loads, lines)}
    number, parts = map(int, part.split("/"))
    missing = [task for task in tasks[number - 1 :: parts] if tuple(task) not in results]
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        outcomes = processes.map(run_task, missing, chunksize=2)
        for task, outcome in zip(missing, outcomes, strict=True):
            results[tuple(task)] = {"task": list(task), **outcome}
            if file:
                with file.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps(results[tuple(task)]) + "\n")
    return [results[tuple(task)] for task in tasks if tuple(task) in results]


def print_figures(rows: list[dict[str, Any]], *, is_verbose: bool) -> None:
    """Print how many pairs and copies had each result."""
    counts: Counter[tuple[bool, str, str]] = Counter()
    named, seconds, total = Counter[str](), Counter[bool](), Counter[bool]()
    for row in rows:
        task = Task(*row["task"])
        if row["result"] == "invisible":
            continue
        counts[task.is_copy, task.kind, row["result"]] += 1
        total[task.is_copy] += 1
        seconds[task.is_copy] += row["seconds"]
        named[task.kind] += task.kind in row["edits"]
        if is_verbose and (row["result"] == "same") != task.is_copy:
            font = Path(task.font).stem or "-"
            photo = Path(task.photo).name or "document"
            print(f"  {task.kind}, {photo}, {task.seed}, {font}: {row['result']}")
    kinds = {is_copy: list(dict.fromkeys(k for c, k, _ in counts if c == is_copy))
             for is_copy in (False, True)}  # fmt: skip
    print(f"{'look-alikes':26}{'pairs':>7}{'wrong':>7}{'left out':>10}")
    for kind in kinds[False]:
        same, different, unreadable = (
            counts[False, kind, result] for result in ("same", "different", "unreadable")
        )
        print(f"{kind:26}{same + different + unreadable:7}{same:7}{unreadable:10}")
    wrong = sum(counts[False, kind, "same"] for kind in kinds[False])
    print(f"{total[False]:,} look-alikes, {wrong} wrong\n")
    print(f"{'copies':26}{'found':>7}{'missed':>8}{'named':>7}")
    for kind in kinds[True]:
        found = counts[True, kind, "same"]
        missed = sum(counts[True, kind, result] for result in ("different", "unreadable"))
        print(f"{kind:26}{found:7}{missed:8}{named[kind]:7}")
    times = [1000 * seconds[is_copy] / max(1, total[is_copy]) for is_copy in (False, True)]
    print(f"\nprocessor time: {times[0]:.0f} ms for a look-alike, {times[1]:.0f} ms for a copy")


def main() -> None:
    """Draw and compare all pairs, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--photos", type=Path, default=TESTS.parent / "data" / "photos")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("-v", dest="is_verbose", action="store_true")
    arguments = parser.parse_args()
    rows = run_tasks(list(list_tasks(arguments)), arguments.results, arguments.part)
    print_figures(rows, is_verbose=arguments.is_verbose)


if __name__ == "__main__":
    main()
