"""How well `searchapp duplicates` tells copies from other pictures: by what was done to the file.

    python tests/bench/duplicates.py [SCENES]

The pictures of data/photos and made scenes, 200 by default, each changed in known ways, and of each
scene three other moments: something moved, something came, the camera turned. All are indexed with
the model that ships, by vLLM. Prints for each change how many copies were found (in a group with
their original), missed, and wrong (in a group with another picture).
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
MOMENTS = ("something moved", "something came", "the camera turned")


def make(folder: Path, number: int) -> None:
    """Write a scene, its changed copies and other moments."""
    from support import near

    scene = near.scene(number)
    write(near.render(scene), folder, f"scene{number}")
    for how, name in enumerate(MOMENTS):
        moment = near.render(near.other_moment(scene, how))
        near.write_original(moment, folder / name / f"scene{number}.jpg")


def take(folder: Path, name: str) -> None:
    """Write a photo and its changed copies."""
    with Image.open(PHOTOS / name) as image:
        write(image.convert("RGB"), folder, name.replace("/", "-").rpartition(".")[0])


def write(image: Image.Image, folder: Path, name: str) -> None:
    from support import near

    original = near.write_original(image, folder / "original" / f"{name}.jpg")
    for change in near.CHANGES:
        near.write_changed(original, change, folder)


def main() -> None:
    """Run it."""
    from support import near

    from searchapp.library import Library
    from searchapp.types import Found, IndexOptions

    scenes = int((sys.argv[1:] or ["200"])[0])
    rows = json.loads((PHOTOS / "captions.json").read_text("utf-8"))
    photos = [row["file"] for row in rows if "duplicate_of" not in row]
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        with ProcessPoolExecutor(os.cpu_count()) as processes:
            list(processes.map(partial(take, folder), photos))
            list(processes.map(partial(make, folder), range(scenes)))
        with Library.open(Path(temporary) / "library", create=True) as library:
            list(library.index([folder], IndexOptions(model="starter")))
            *_, last = library.duplicates()
            assert isinstance(last, Found)
            groups = [(g.keeper, *g.others) for g in last.duplicates.groups]
        with Library.open(Path(temporary) / "library2", create=True) as library:
            list(library.index([PHOTOS], IndexOptions(model="starter")))
            *_, last = library.duplicates()
            assert isinstance(last, Found)
            shipped = {
                frozenset(str(Path(c.path).relative_to(PHOTOS)) for c in (g.keeper, *g.others))
                for g in last.duplicates.groups
            }
    whose, originals = dict[tuple[str, str], int](), defaultdict[int, set[str]](set)
    for number, group in enumerate(groups):
        for copy in group:
            path = Path(copy.path)
            kind, name = path.parent.name, path.stem
            whose[kind, name] = number
            if kind not in MOMENTS:
                originals[number].add(name)
    names = sorted({file.rpartition(".")[0].replace("/", "-") for file in photos})
    names += [f"scene{number}" for number in range(scenes)]
    print(f"{len(names)} pictures, {len(groups)} groups")
    print(f"{'':20}{'found':>7}{'missed':>8}{'wrong':>7}{'recall':>9}{'precision':>11}")
    for change in near.CHANGES:
        kind = near.folder_of(change, Path()).name
        counts: Counter[str] = Counter()
        for name in names:
            number = whose.get((kind, name), -1)
            together = number == whose.get(("original", name), -2)
            counts["found" if together else "missed"] += 1
            counts["wrong"] += number >= 0 and bool(originals[number] - {name})
            if not together and "-v" in sys.argv:
                print("  missed", kind, name)
        found, missed, wrong = (counts[what] for what in ("found", "missed", "wrong"))
        precision = found / (found + wrong) if found else 0.0
        recall = found / (found + missed)
        print(f"{change:20}{found:7}{missed:8}{wrong:7}{recall:9.3f}{precision:11.3f}")
    for moment in MOMENTS:
        taken = sum((moment, f"scene{number}") in whose for number in range(scenes))
        print(f"other moment, {moment}: {taken} of {scenes} taken for duplicates")
    known = {frozenset((row["file"], row["duplicate_of"])) for row in rows if "duplicate_of" in row}
    print(
        f"data/photos as it is: {len(known & shipped)} of {len(known)} pairs found, "
        f"{len(shipped - known)} wrong"
    )


if __name__ == "__main__":
    main()
