"""Read photos, rendered scenes and captions, and make more texts from captions."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from photo_sets import Captions, Sources, has_class_names
from PIL import Image
from torch import Tensor

MANY_FILES, FILES_PER_TASK = 2000, 64
STORED_SIDE_PX = 192  # photos are squashed to a square of this size
NAME_PREFIX = "a photo of a "
JOINT_PATTERN = re.compile(r" (?:with|in|on|near|next to|beside|behind|under|by|at|while|and) ")


@dataclass(frozen=True)
class Photos:
    """Photos in memory, and their captions."""

    pixels: Tensor  # uint8 [photos, 3, STORED_SIDE_PX, STORED_SIDE_PX]
    captions: list[tuple[str, ...]]  # empty for photos that only the teachers describe
    files: list[str]

    def __len__(self) -> int:
        return len(self.captions)

    def list_captioned_rows(self) -> list[int]:
        """Return the rows of photos with captions."""
        return [i for i, captions in enumerate(self.captions) if captions]


def _decode_photo(file: Path) -> np.ndarray:
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        rgb = image.convert("RGB")
    if rgb.size != (STORED_SIDE_PX, STORED_SIDE_PX):
        rgb = rgb.resize((STORED_SIDE_PX, STORED_SIDE_PX), Image.Resampling.BICUBIC)
    return np.asarray(rgb)


def load_files(folder: Path, captions: Captions) -> Photos:
    """Decode the files below a folder, and squash them to squares."""
    # Threads would wait for each other: Pillow decodes WebP without releasing Python's lock.
    executor = ThreadPoolExecutor if len(captions) < MANY_FILES else ProcessPoolExecutor
    with executor() as pool:
        arrays = list(
            pool.map(_decode_photo, [folder / file for file in captions], chunksize=FILES_PER_TASK)
        )
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return Photos(pixels, list(captions.values()), list(captions))


def choose_training_captions(sources: Sources, limit: int | None) -> Captions:
    """Return the captions of the photos to train on; with a limit, of a random few."""
    captions = sources.list_training_captions()
    return captions if limit is None else dict(random.Random(0).sample([*captions.items()], limit))


def choose_held_back(sources: Sources, limit: int | None) -> dict[str, Captions]:
    """Return the photos that are not trained on: `dev`, `new captions` and `new classes`.

    limit: the maximal number of each.
    """
    merged: dict[str, Captions] = {}
    for set_name, captions in sources.list_held_back().items():
        kind = "new classes" if has_class_names(set_name) else "new captions"
        merged.setdefault("dev" if set_name == "dev" else kind, {}).update(captions)
    return {name: dict([*captions.items()][:limit]) for name, captions in merged.items()}


def choose_scenes(sources: Sources, limit: int | None) -> Captions:
    """Return the captions of rendered scenes in random order; limit: the maximal number."""
    entries = json.loads((sources.folder / "scenes" / "captions.json").read_text())
    random.Random(0).shuffle(entries)
    return {entry["file"]: tuple(entry["captions"]) for entry in entries[:limit]}


def load_training_photos(sources: Sources, limit: int | None) -> Photos:
    """Read the photos to train on, with and without captions."""
    captions = choose_training_captions(sources, limit)
    files = sources.list_training_files() if limit is None else list(captions)
    return load_files(sources.folder / "photos", {file: captions.get(file, ()) for file in files})


class Texts:
    """A growing list of distinct texts, each identified by its row."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._rows: dict[str, int] = {}

    def add_texts(self, texts: Iterable[str]) -> list[int]:
        """Return the row of each text; new texts are added."""
        rows = []
        for text in texts:
            if text not in self._rows:
                self._rows[text] = len(self.texts)
                self.texts.append(text)
            rows.append(self._rows[text])
        return rows


def cut_spans(captions: Iterable[str], seed: int) -> list[str]:
    """Return two random spans of 2 to 7 words from each caption, because queries are short."""
    rng = random.Random(seed)
    result = []
    for caption in captions:
        words = caption.rstrip(" .").split()
        for _ in range(2):
            length = rng.randint(2, 7)
            if length < len(words):
                start = rng.randint(0, len(words) - length)
                result.append(" ".join(words[start : start + length]))
    return result


def recombine_captions(captions: Iterable[str], count: int, seed: int) -> list[str]:
    """Return count texts that join the beginning of one caption and the end of another."""
    rng = random.Random(seed)
    beginnings, ends = _split_captions(captions, rng)
    return [rng.choice(beginnings) + rng.choice(ends) for _ in range(count)]


def compose_object_texts(
    phrases: Iterable[str], captions: Iterable[str], count: int, seed: int
) -> list[str]:
    """Return count texts about objects with a name: alone, in pairs, and in parts of captions.

    phrases: of WordNet, LVIS and Objects365. "a photo of a NAME" gives the names.
    """
    rng = random.Random(seed)
    names = [phrase.removeprefix(NAME_PREFIX) for phrase in phrases
             if phrase.startswith(NAME_PREFIX)]  # fmt: skip
    beginnings, ends = _split_captions(captions, rng)
    result = []
    for _ in range(count):
        first, second = rng.choice(names), rng.choice(names)
        result.append(
            rng.choice(
                (
                    first,
                    f"{_add_article(first)} and {_add_article(second)}",
                    f"{rng.choice(beginnings)} with {_add_article(first)}",
                    f"{_add_article(first)}{rng.choice(ends)}",
                )
            )
        )
    return result


def _add_article(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _split_captions(captions: Iterable[str], rng: random.Random) -> tuple[list[str], list[str]]:
    """Return the beginnings and the ends of captions that have a joint."""
    beginnings, ends = [], []
    for caption in captions:
        joints = list(JOINT_PATTERN.finditer(caption))
        if joints:
            cut = rng.choice(joints).start()
            beginnings.append(caption[:cut])
            ends.append(caption[cut:])
    return beginnings, ends
