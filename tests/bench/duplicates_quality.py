"""Measure recall and precision of `searchapp duplicates` for each kind of change to a file.

    python tests/bench/duplicates_quality.py [--photos FOLDER] [--limit PHOTOS] [--scenes NUMBER]
        [--more] [--changes NAME ...] [--fonts FOLDER] [--seed NUMBER] [--folder FOLDER] [-v]

Changes photos (data/photos by default) and rendered scenes in known ways. Of each scene there are
also three other moments, which are no duplicates: an object moved, an object was added, the camera
rotated. All are indexed with the starter model by vLLM. Prints for each change how many copies
were found (grouped with their original), missed, and wrong (grouped with another picture); -v lists
the missed files.

--more makes the changes with which no limit was chosen. --changes makes only these. --folder keeps
the pictures, their vectors and the result of each pair: the next run continues. Other code of the
comparison starts again, but embeds nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
MOMENTS = ("object moved", "object added", "camera rotated")
MAX_SIDE_PX = 1280  # of a photo
FONT_SUFFIXES = (".ttf", ".otf")


class Task(NamedTuple):
    """An original to write, with its changed copies."""

    name: str
    photo: str  # file; empty: a scene
    seed: int
    font: str  # file; empty: Pillow's font
    is_more: bool  # changes with which no limit was chosen
    changes: tuple[str, ...]


def list_tasks(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield the originals: photos with different contents, then scenes."""
    fonts = [""]
    if arguments.fonts:
        files = sorted(arguments.fonts.rglob("*"))
        fonts = [str(file) for file in files if file.suffix in FONT_SUFFIXES]
    is_more = arguments.more
    changes = tuple(arguments.changes or list_changes(is_more=is_more))
    photos = sorted(arguments.photos.rglob("*.jpg"))
    step = max(1, len(photos) // arguments.limit)
    for number, photo in enumerate(photos[::step][: arguments.limit]):
        font, seed = fonts[number % len(fonts)], arguments.seed + number
        yield Task(f"photo{number}", str(photo), seed, font, is_more, changes)
    for number in range(arguments.scenes):
        font, seed = fonts[number % len(fonts)], arguments.seed + number
        yield Task(f"scene{number}", "", seed, font, is_more, changes)


def list_changes(*, is_more: bool) -> list[str]:
    """Return the names of the changes; each is also the name of a folder."""
    from support import more_copies, near_duplicates

    return list(more_copies.MORE_CHANGES if is_more else near_duplicates.CHANGES)


def write_pictures(task: Task, folder: Path) -> None:
    """Write an original, its changed copies, and the other moments of a scene."""
    from PIL import Image
    from support import more_copies, near_duplicates

    if task.photo:
        with Image.open(task.photo) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    else:
        scene = near_duplicates.make_scene(task.seed)
        picture = near_duplicates.render_scene(scene)
        for number, moment in enumerate(MOMENTS):
            other = near_duplicates.render_scene(near_duplicates.make_other_moment(scene, number))
            near_duplicates.write_original(other, folder / moment / f"{task.name}.jpg")
    file = folder / "original" / f"{task.name}.jpg"
    original = near_duplicates.write_original(picture, file)
    with Image.open(original) as opened:
        decoded = opened.convert("RGB")
    for change in task.changes:
        if task.is_more:
            data = more_copies.make_changed_copy(decoded, change, task.seed, task.font)
            copy = near_duplicates.change_folder(change, folder) / f"{task.name}.jpg"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
        else:
            near_duplicates.write_changed_copy(original, change, folder)


def index_pictures(tasks: list[Task], folder: Path) -> None:
    """Write and index the pictures, unless an earlier run has."""
    from searchapp.library import Library
    from searchapp.types import IndexOptions

    if not (folder / "pictures").exists():
        with ProcessPoolExecutor(os.cpu_count()) as processes:
            pictures = [folder / "unfinished"] * len(tasks)
            list(processes.map(write_pictures, tasks, pictures, chunksize=1))
        (folder / "unfinished").rename(folder / "pictures")
    with Library.open(folder / "library", create=True) as library:
        list(library.index([folder / "pictures"], IndexOptions(model="starter")))


def copy_library(folder: Path) -> Path:
    """Return a copy of the library, in which only this version of the comparison has searched."""
    from searchapp import duplicates

    code = b"".join(
        file.read_bytes() for file in sorted(Path(duplicates.__file__).parent.glob("*.py"))
    )
    copy = folder / f"library-{hashlib.sha256(code).hexdigest()[:8]}"
    if not copy.exists():
        shutil.copytree(folder / "library", copy)
    return copy


def find_groups(folder: Path) -> list[list[Path]]:
    """Return the files of each group of duplicates."""
    from searchapp.library import Library
    from searchapp.types import DuplicatesFound

    with Library.open(copy_library(folder)) as library:
        *_, last = library.duplicates()
    assert isinstance(last, DuplicatesFound)
    groups = last.duplicates.groups
    return [[Path(copy.path) for copy in (group.keeper, *group.others)] for group in groups]


def print_figures(tasks: list[Task], groups: list[list[Path]], *, is_verbose: bool) -> None:
    """Print how many copies and other moments were found, for each change."""
    from support import near_duplicates

    group_by_file, originals = dict[tuple[str, str], int](), defaultdict[int, set[str]](set)
    for number, files in enumerate(groups):
        for file in files:
            group_by_file[file.parent.name, file.stem] = number
            if file.parent.name not in MOMENTS:
                originals[number].add(file.stem)
    print(f"{len(tasks)} pictures, {len(groups)} groups")
    print(f"{'':20}{'found':>7}{'missed':>8}{'wrong':>7}{'recall':>9}{'precision':>11}")
    for change in tasks[0].changes:
        kind = near_duplicates.change_folder(change, Path()).name
        counts: Counter[str] = Counter()
        for task in tasks:
            number = group_by_file.get((kind, task.name), -1)
            is_together = number == group_by_file.get(("original", task.name), -2)
            counts["found" if is_together else "missed"] += 1
            counts["wrong"] += number >= 0 and bool(originals[number] - {task.name})
            if not is_together and is_verbose:
                print("  missed", kind, task.name, Path(task.photo).name, Path(task.font).stem)
        found, missed, wrong = (counts[what] for what in ("found", "missed", "wrong"))
        precision = found / (found + wrong) if found else 0.0
        recall = found / (found + missed)
        print(f"{change:20}{found:7}{missed:8}{wrong:7}{recall:9.3f}{precision:11.3f}")
    scenes = [task for task in tasks if not task.photo]
    for moment in MOMENTS if scenes else ():
        wrong = sum((moment, task.name) in group_by_file for task in scenes)
        print(f"{moment}: {wrong} of {len(scenes)} wrongly reported as duplicates")


def main() -> None:
    """Render, change, index and compare the pictures, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path, default=TESTS.parent / "data" / "photos")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--scenes", type=int, default=0)
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--changes", nargs="+", metavar="NAME")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("-v", dest="is_verbose", action="store_true")
    arguments = parser.parse_args()
    known = list_changes(is_more=arguments.more)
    if unknown := set(arguments.changes or ()) - set(known):
        parser.error(f"unknown changes: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    tasks = list(list_tasks(arguments))
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        index_pictures(tasks, folder)
        print_figures(tasks, find_groups(folder), is_verbose=arguments.is_verbose)


if __name__ == "__main__":
    main()
