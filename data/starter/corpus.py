"""Read photos, rendered scenes and captions, and make more texts from captions."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

STORED_SIDE_PX = 192  # photos are squashed to a square of this size
JOINT_PATTERN = re.compile(r" (?:with|in|on|near|next to|beside|behind|under|by|at|while|and) ")


@dataclass(frozen=True)
class Photos:
    """Photos in memory, and their captions."""

    pixels: Tensor  # uint8 [photos, 3, STORED_SIDE_PX, STORED_SIDE_PX]
    captions: list[tuple[str, ...]]  # empty for photos that only the teachers describe

    def __len__(self) -> int:
        return len(self.captions)

    def list_captioned_rows(self) -> list[int]:
        """Return the rows of photos with captions."""
        return [i for i, captions in enumerate(self.captions) if captions]

    def select_rows(self, rows: Sequence[int]) -> Photos:
        """Return the photos of these rows."""
        return Photos(self.pixels[list(rows)], [self.captions[i] for i in rows])


def _decode_photo(file: Path) -> np.ndarray:
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        rgb = image.convert("RGB")
    if rgb.size != (STORED_SIDE_PX, STORED_SIDE_PX):
        rgb = rgb.resize((STORED_SIDE_PX, STORED_SIDE_PX), Image.Resampling.BICUBIC)
    return np.asarray(rgb)


def load_files(files: Sequence[Path], captions: Iterable[Sequence[str]]) -> Photos:
    """Decode files, and squash them to squares; captions: those of each file."""
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(_decode_photo, files))
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return Photos(pixels, [tuple(c) for c in captions])


def load_photos(root: Path, captions: dict[str, Any], limit: int | None) -> tuple[Photos, Photos]:
    """Read the photos below root; return the training photos and the dev photos.

    captions: the content of the captions file. limit: the maximal number of each.
    """
    pairs = captions["pairs"]
    dev = dict(pairs["dev"][:limit])
    dev_names = {name for name, _ in pairs["dev"]}
    known_captions = {
        name: texts for part in ("train", "inet", "cmini") for name, texts in pairs[part]
    }
    names = sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file())
    # Photos of Flickr8k are used only if the training list names them: its test split is not.
    train = [
        n
        for n in names
        if n not in dev_names and (n in known_captions or not n.startswith("flickr8k/"))
    ]
    if limit:
        random.Random(0).shuffle(train)
    train = train[:limit]
    return (
        load_files([root / n for n in train], [known_captions.get(n, ()) for n in train]),
        load_files([root / n for n in dev], dev.values()),
    )


def load_scenes(folder: Path, held_out: int, limit: int | None) -> tuple[Photos, Photos]:
    """Read rendered scenes; return those for training, and those held out.

    folder: contains the pictures and captions.json, a list of {"file", "captions"}.
    """
    entries = json.loads((folder / "captions.json").read_text())
    random.Random(0).shuffle(entries)
    entries = entries[:limit]
    scenes = load_files([folder / e["file"] for e in entries], [e["captions"] for e in entries])
    rows = range(len(entries))
    return scenes.select_rows(rows[held_out:]), scenes.select_rows(rows[:held_out])


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
    beginnings, ends = [], []
    for caption in captions:
        joints = list(JOINT_PATTERN.finditer(caption))
        if joints:
            cut = rng.choice(joints).start()
            beginnings.append(caption[:cut])
            ends.append(caption[cut:])
    return [rng.choice(beginnings) + rng.choice(ends) for _ in range(count)]
