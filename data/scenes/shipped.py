"""Read the table of shipped pictures."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .compose import Item, Scene
from .glyphs import HUES, PALE
from .subjects import SUBJECTS

SIZES = {
    "": (640, 480),
    "big": (800, 600),
    "wide": (768, 512),
    "tall": (480, 640),
    "pano": (1200, 400),
}


@dataclass(frozen=True)
class Shot:
    """When, where and with what a picture was taken."""

    when: datetime
    offset: str
    make: str
    model: str
    gps: tuple[float, float] | None


@dataclass(frozen=True)
class Photo:
    """One shipped picture."""

    file: str
    scene: Scene
    captions: tuple[str, ...]
    size: tuple[int, int]
    kind: str
    seed: int
    shot: Shot


@dataclass(frozen=True)
class Duplicate:
    """Another copy of a shipped picture: cropped, squeezed or brightened."""

    file: str
    of: str
    how: str


def parse_item(words: str) -> Item:
    """Return the subject written as "number name colour"."""
    count, name = words.split(" ", 1)
    head, _, last = name.rpartition(" ")
    if name not in SUBJECTS and last in {*HUES, *PALE}:
        return Item(head, int(count), last)
    return Item(name, int(count))


def load(table: Path) -> tuple[list[Photo], list[Duplicate]]:
    """Return the shipped pictures and their near duplicates."""
    data = tomllib.loads(table.read_text("utf-8"))
    photos = [_photo(row, number, data) for number, row in enumerate(data["photo"])]
    return photos, [Duplicate(**row) for row in data["duplicate"]]


def _photo(row: dict[str, Any], number: int, data: dict[str, Any]) -> Photo:
    place, mood, *items = row["scene"]
    seed = row.get("seed", 7000 + number)
    return Photo(
        file=row["file"],
        scene=Scene(place, mood, tuple(parse_item(item) for item in items), row.get("zoom", 1.0)),
        captions=tuple(row["captions"]),
        size=SIZES[row.get("size", "")],
        kind=row.get("kind", ""),
        seed=seed,
        shot=_shot(row, seed, data),
    )


def _shot(row: dict[str, Any], seed: int, data: dict[str, Any]) -> Shot:
    """Make up the date, camera and spot of a picture, fitting its folder and its light."""
    rng = np.random.default_rng(seed)
    folder = data["folders"][row["file"].rpartition("/")[0]]
    first, last = (datetime.fromisoformat(day) for day in folder["dates"])
    day = first + timedelta(days=int(rng.integers((last - first).days + 1)))
    mood = row["scene"][1]
    hour = 22 if mood.startswith("night") else 20 if mood == "sunset" else int(rng.integers(8, 18))
    minute, second = (int(value) for value in rng.integers(0, 60, 2))
    spot = data["spots"].get(row.get("at", ""))
    near = rng.uniform(-0.004, 0.004, 2)
    return Shot(
        when=day.replace(hour=hour, minute=minute, second=second),
        offset=folder["offset"],
        make=data["cameras"][folder["camera"]][0],
        model=data["cameras"][folder["camera"]][1],
        gps=(spot[0] + near[0], spot[1] + near[1]) if spot else None,
    )
