"""Read the table of shipped pictures."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .compose import Scene, SceneItem
from .glyphs import COLOR_HUES, COLORLESS_TONES
from .subjects import SUBJECTS

PICTURE_SIZES = {
    "": (640, 480),
    "big": (800, 600),
    "wide": (768, 512),
    "tall": (480, 640),
    "pano": (1200, 400),
}


@dataclass(frozen=True)
class CameraShot:
    """When, where and with what a picture was taken."""

    taken_at: datetime
    utc_offset: str
    make: str
    model: str
    gps: tuple[float, float] | None


@dataclass(frozen=True)
class ShippedPhoto:
    """One shipped picture."""

    file: str
    scene: Scene
    captions: tuple[str, ...]
    size: tuple[int, int]
    kind: str
    seed: int
    shot: CameraShot


@dataclass(frozen=True)
class ShippedDuplicate:
    """Another copy of a shipped picture: cropped, squeezed or brightened."""

    file: str
    of: str
    how: str


def parse_item(words: str) -> SceneItem:
    """Return the subject written as "number name colour"."""
    count, name = words.split(" ", 1)
    head, _, last = name.rpartition(" ")
    if name not in SUBJECTS and last in {*COLOR_HUES, *COLORLESS_TONES}:
        return SceneItem(head, int(count), last)
    return SceneItem(name, int(count))


def load_table(table: Path) -> tuple[list[ShippedPhoto], list[ShippedDuplicate]]:
    """Return the shipped pictures and their near duplicates."""
    data = tomllib.loads(table.read_text("utf-8"))
    photos = [_parse_photo(row, number, data) for number, row in enumerate(data["photo"])]
    return photos, [ShippedDuplicate(**row) for row in data["duplicate"]]


def _parse_photo(row: dict[str, Any], number: int, data: dict[str, Any]) -> ShippedPhoto:
    place, mood, *items = row["scene"]
    seed = row.get("seed", 7000 + number)
    return ShippedPhoto(
        file=row["file"],
        scene=Scene(place, mood, tuple(parse_item(item) for item in items), row.get("zoom", 1.0)),
        captions=tuple(row["captions"]),
        size=PICTURE_SIZES[row.get("size", "")],
        kind=row.get("kind", ""),
        seed=seed,
        shot=_invent_shot(row, seed, data),
    )


def _invent_shot(row: dict[str, Any], seed: int, data: dict[str, Any]) -> CameraShot:
    """Make up the date, camera and spot of a picture, fitting its folder and its light."""
    rng = np.random.default_rng(seed)
    folder = data["folders"][row["file"].rpartition("/")[0]]
    first, last = (datetime.fromisoformat(day) for day in folder["dates"])
    day = first + timedelta(days=int(rng.integers((last - first).days + 1)))
    mood = row["scene"][1]
    hour = 22 if mood.startswith("night") else 20 if mood == "sunset" else int(rng.integers(8, 18))
    minute, second = (int(value) for value in rng.integers(0, 60, 2))
    spot = data["spots"].get(row.get("at", ""))
    spot_offset = rng.uniform(-0.004, 0.004, 2)
    return CameraShot(
        taken_at=day.replace(hour=hour, minute=minute, second=second),
        utc_offset=folder["offset"],
        make=data["cameras"][folder["camera"]][0],
        model=data["cameras"][folder["camera"]][1],
        gps=(spot[0] + spot_offset[0], spot[1] + spot_offset[1]) if spot else None,
    )
