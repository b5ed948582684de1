"""Measure whether `searchapp duplicates` takes pictures with a small difference for the same.

    python tests/bench/duplicates_look_alikes.py [PHOTOS] [-v]

Draws pairs that differ in a digit, a word, a sign, a face or an object, into PHOTOS pictures of
data/photos (all by default), and pairs of documents, forms and chats. Each pair goes through the
comparison of small copies and of details, as if its embeddings were near. Prints how many pairs
were found to be the same, which is wrong; -v lists them. Then it prints how many changed copies
of the same photos were found, and the time to fingerprint a picture and to compare a pair.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
PHOTOS = TESTS.parent / "data" / "photos"
PAIRS_PER_PHOTO = 12  # of photos: each kind once, and three kinds twice
DOCUMENT_PAIRS = 140  # of each kind
CHANGED_PHOTOS = 60  # of which changed copies are made
MAX_PHOTO_SIDE_PX = 640

Task = tuple[str, str, int]  # what to draw, file of a photo or "", seed
Outcome = tuple[Task, str, tuple[str, ...], float]


def list_tasks(photos: list[str]) -> Iterator[Task]:
    """Yield what to draw: look-alikes of photos and of documents, then changed copies."""
    from support import look_alikes, near_duplicates

    kinds = list(look_alikes.PHOTO_KINDS)
    for number, photo in enumerate(photos):
        for place in range(PAIRS_PER_PHOTO):
            yield kinds[(number + place) % len(kinds)], photo, place
    for kind in look_alikes.DOCUMENT_KINDS:
        yield from ((kind, "", number) for number in range(DOCUMENT_PAIRS))
    for change in near_duplicates.CHANGES:
        yield from ((change, photo, 0) for photo in photos[:CHANGED_PHOTOS])


def run_task(task: Task) -> Outcome:
    """Draw a pair and compare it; return the result, the edits and the seconds it took."""
    from PIL import Image
    from support import look_alikes, near_duplicates
    from support.compare_files import compare_files

    kind, photo, seed = task
    image = None
    if photo:
        with Image.open(PHOTOS / photo) as opened:
            image = opened.convert("RGB")
        image.thumbnail((MAX_PHOTO_SIDE_PX, MAX_PHOTO_SIDE_PX))
    if kind in near_duplicates.CHANGES:
        assert image is not None
        first = near_duplicates.encode_original(image)
        with Image.open(io.BytesIO(first)) as opened:
            _, second = near_duplicates.CHANGES[kind](first, opened.convert("RGB"))
    else:
        pair = look_alikes.make_look_alike(kind, image, seed)
        first, second = pair.first, pair.second
    started_at = time.process_time()
    verdict = compare_files(first, second)
    return task, verdict.result, verdict.edits, time.process_time() - started_at


def main() -> None:
    """Draw and compare all pairs, and print the figures."""
    from support import look_alikes, near_duplicates

    arguments = [argument for argument in sys.argv[1:] if argument != "-v"]
    photos = sorted(str(file.relative_to(PHOTOS)) for file in PHOTOS.rglob("*.jpg"))
    photos = photos[: int(arguments[0])] if arguments else photos
    counts: Counter[tuple[str, str]] = Counter()
    named: Counter[str] = Counter()
    seconds = Counter[str]()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for task, result, edits, task_s in processes.map(run_task, list_tasks(photos), chunksize=8):
            kind, photo, seed = task
            counts[kind, result] += 1
            named[kind] += kind in edits
            seconds["copy" if kind in near_duplicates.CHANGES else "look-alike"] += task_s
            is_copy = kind in near_duplicates.CHANGES
            if "-v" in sys.argv and (result == "same") != is_copy:
                print(f"  {kind}, {photo or 'document'}, {seed}: {result}", flush=True)
    look_alike_kinds = [*look_alikes.PHOTO_KINDS, *look_alikes.DOCUMENT_KINDS]
    total = sum(counts[kind, result] for kind, result in counts if kind in look_alike_kinds)
    print(f"{'look-alikes':26}{'pairs':>7}{'wrong':>7}{'left out':>10}")
    for kind in look_alike_kinds:
        results = {result: counts[kind, result] for result in ("same", "different", "unreadable")}
        print(f"{kind:26}{sum(results.values()):7}{results['same']:7}{results['unreadable']:10}")
    wrong = sum(counts[kind, "same"] for kind in look_alike_kinds)
    print(f"{total:,} look-alikes, {wrong} wrong\n")
    print(f"{'copies':26}{'found':>7}{'missed':>8}{'named':>7}")
    for change in near_duplicates.CHANGES:
        found = counts[change, "same"]
        missed = sum(counts[change, result] for result in ("different", "unreadable"))
        print(f"{change:26}{found:7}{missed:8}{named[change]:7}")
    copies = sum(counts.values()) - total
    print(
        f"\nprocessor time: {1000 * seconds['look-alike'] / max(1, total):.0f} ms for a "
        f"look-alike, {1000 * seconds['copy'] / max(1, copies):.0f} ms for a copy"
    )


if __name__ == "__main__":
    main()
