"""Read shipped.toml, the table of the pictures in data/photos."""

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
    """Invented capture metadata of a picture, written into its EXIF."""

    taken_at: datetime
    utc_offset: str  # such as "+02:00"; empty: not written
    make: str
    model: str
    gps: tuple[float, float] | None  # latitude, longitude in degrees


@dataclass(frozen=True)
class ShippedPhoto:
    """A picture of data/photos."""

    file: str  # path below data/photos
    scene: Scene
    captions: tuple[str, ...]
    size: tuple[int, int]  # width, height in pixels
    kind: str  # special file: "rotated", "grey", "palette", "alpha", or ""
    seed: int
    shot: CameraShot


@dataclass(frozen=True)
class ShippedDuplicate:
    """A near duplicate of a picture of data/photos."""

    file: str
    original: str  # path of the other picture
    change: str  # "crop", "quality" or "bright"


def parse_item(words: str) -> SceneItem:
    """Parse "NUMBER SUBJECT [COLOR]"."""
    count, subject = words.split(" ", 1)
    head, _, last = subject.rpartition(" ")
    if subject not in SUBJECTS and last in {*COLOR_HUES, *COLORLESS_TONES}:
        return SceneItem(head, int(count), last)
    return SceneItem(subject, int(count))


def load_table(table: Path) -> tuple[list[ShippedPhoto], list[ShippedDuplicate]]:
    """Return the pictures of the table, and their near duplicates."""
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
    """Invent the date, camera and coordinates of a picture, to fit its folder and its light."""
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
