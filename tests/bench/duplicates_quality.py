"""Measure recall and precision of `searchapp duplicates` for each kind of change to a file.

    python tests/bench/duplicates_quality.py [SCENES] [-v]

Uses the pictures of data/photos and SCENES rendered scenes (200 by default). Each is changed in
known ways. Of each scene there are also three other moments, which are no duplicates: an object
moved, an object was added, the camera rotated. All are indexed with the starter model by vLLM.
Prints for each change how many copies were found (grouped with their original), missed, and wrong
(grouped with another picture); -v lists the missed files.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
PHOTOS = TESTS.parent / "data" / "photos"
MOMENTS = ("object moved", "object added", "camera rotated")


def write_scene(folder: Path, number: int) -> None:
    """Write a scene, its changed copies and other moments."""
    from support import near_duplicates

    scene = near_duplicates.make_scene(number)
    write_copies(near_duplicates.render_scene(scene), folder, f"scene{number}")
    for moment_number, name in enumerate(MOMENTS):
        other_scene = near_duplicates.make_other_moment(scene, moment_number)
        moment = near_duplicates.render_scene(other_scene)
        near_duplicates.write_original(moment, folder / name / f"scene{number}.jpg")


def write_photo(folder: Path, name: str) -> None:
    """Write a photo and its changed copies."""
    with Image.open(PHOTOS / name) as image:
        write_copies(image.convert("RGB"), folder, name.replace("/", "-").rpartition(".")[0])


def write_copies(image: Image.Image, folder: Path, name: str) -> None:
    from support import near_duplicates

    original = near_duplicates.write_original(image, folder / "original" / f"{name}.jpg")
    for change in near_duplicates.CHANGES:
        near_duplicates.write_changed_copy(original, change, folder)


def main() -> None:
    """Render, change, index and compare the pictures, and print the figures."""
    from support import near_duplicates

    from searchapp.library import Library
    from searchapp.types import DuplicatesFound, IndexOptions

    arguments = [argument for argument in sys.argv[1:] if argument != "-v"]
    scenes = int((arguments or ["200"])[0])
    rows = json.loads((PHOTOS / "captions.json").read_text("utf-8"))
    photos = [row["file"] for row in rows if "duplicate_of" not in row]
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        with ProcessPoolExecutor(os.cpu_count()) as processes:
            list(processes.map(partial(write_photo, folder), photos))
            list(processes.map(partial(write_scene, folder), range(scenes)))
        with Library.open(Path(temporary) / "library", create=True) as library:
            list(library.index([folder], IndexOptions(model="starter")))
            *_, last = library.duplicates()
            assert isinstance(last, DuplicatesFound)
            groups = [(g.keeper, *g.others) for g in last.duplicates.groups]
        with Library.open(Path(temporary) / "library2", create=True) as library:
            list(library.index([PHOTOS], IndexOptions(model="starter")))
            *_, last = library.duplicates()
            assert isinstance(last, DuplicatesFound)
            shipped_groups = {
                frozenset(str(Path(c.path).relative_to(PHOTOS)) for c in (g.keeper, *g.others))
                for g in last.duplicates.groups
            }
    group_by_file, originals = dict[tuple[str, str], int](), defaultdict[int, set[str]](set)
    for number, group in enumerate(groups):
        for copy in group:
            path = Path(copy.path)
            kind, name = path.parent.name, path.stem
            group_by_file[kind, name] = number
            if kind not in MOMENTS:
                originals[number].add(name)
    names = sorted({file.rpartition(".")[0].replace("/", "-") for file in photos})
    names += [f"scene{number}" for number in range(scenes)]
    print(f"{len(names)} pictures, {len(groups)} groups")
    print(f"{'':20}{'found':>7}{'missed':>8}{'wrong':>7}{'recall':>9}{'precision':>11}")
    for change in near_duplicates.CHANGES:
        kind = near_duplicates.change_folder(change, Path()).name
        counts: Counter[str] = Counter()
        for name in names:
            number = group_by_file.get((kind, name), -1)
            is_together = number == group_by_file.get(("original", name), -2)
            counts["found" if is_together else "missed"] += 1
            counts["wrong"] += number >= 0 and bool(originals[number] - {name})
            if not is_together and "-v" in sys.argv:
                print("  missed", kind, name)
        found, missed, wrong = (counts[what] for what in ("found", "missed", "wrong"))
        precision = found / (found + wrong) if found else 0.0
        recall = found / (found + missed)
        print(f"{change:20}{found:7}{missed:8}{wrong:7}{recall:9.3f}{precision:11.3f}")
    for moment in MOMENTS:
        wrong = sum((moment, f"scene{number}") in group_by_file for number in range(scenes))
        print(f"{moment}: {wrong} of {scenes} wrongly reported as duplicates")
    known_pairs = {
        frozenset((row["file"], row["duplicate_of"])) for row in rows if "duplicate_of" in row
    }
    print(
        f"data/photos unchanged: {len(known_pairs & shipped_groups)} of {len(known_pairs)} pairs "
        f"found, {len(shipped_groups - known_pairs)} wrong"
    )


if __name__ == "__main__":
    main()
