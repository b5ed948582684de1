"""Photos, captions and texts to learn from."""

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

STORED_SIDE_PX = 192  # every photo is kept squashed to this many pixels a side
JOINT_PATTERN = re.compile(r" (?:with|in|on|near|next to|beside|behind|under|by|at|while|and) ")


@dataclass(frozen=True)
class Photos:
    """Photos in memory, and their captions: none for those that only the teachers describe."""

    pixels: Tensor  # uint8 [photos, 3, STORED, STORED]
    captions: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.captions)

    def captioned_rows(self) -> list[int]:
        """Return the rows that have captions."""
        return [i for i, captions in enumerate(self.captions) if captions]

    def select_rows(self, rows: Sequence[int]) -> Photos:
        """Return some of the photos."""
        return Photos(self.pixels[list(rows)], [self.captions[i] for i in rows])


def _decode_photo(file: Path) -> np.ndarray:
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        rgb = image.convert("RGB")
    if rgb.size != (STORED_SIDE_PX, STORED_SIDE_PX):
        rgb = rgb.resize((STORED_SIDE_PX, STORED_SIDE_PX), Image.Resampling.BICUBIC)
    return np.asarray(rgb)


def load_files(files: Sequence[Path], captions: Iterable[Sequence[str]]) -> Photos:
    """Read files, squashed to a square, with the captions of each."""
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(_decode_photo, files))
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return Photos(pixels, [tuple(c) for c in captions])


def load_photos(root: Path, captions: dict[str, Any], limit: int | None) -> tuple[Photos, Photos]:
    """Read every photo under root as (train, dev); what captions calls dev is in dev alone."""
    pairs = captions["pairs"]
    dev = dict(pairs["dev"][:limit])
    dev_names = {name for name, _ in pairs["dev"]}
    known_captions = {
        name: texts for part in ("train", "inet", "cmini") for name, texts in pairs[part]
    }
    names = sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file())
    # Of Flickr8k only what the training list names: never a photo of its test split.
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
    """Read rendered scenes as (train, held out), from a folder with captions.json.

    captions.json: a list of {"file", "captions"}.
    """
    entries = json.loads((folder / "captions.json").read_text())
    random.Random(0).shuffle(entries)
    entries = entries[:limit]
    scenes = load_files([folder / e["file"] for e in entries], [e["captions"] for e in entries])
    rows = range(len(entries))
    return scenes.select_rows(rows[held_out:]), scenes.select_rows(rows[:held_out])


class Texts:
    """A growing list of different texts, each known by its row."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._rows: dict[str, int] = {}

    def add_texts(self, texts: Iterable[str]) -> list[int]:
        """Return each text's row, adding those that are new."""
        rows = []
        for text in texts:
            if text not in self._rows:
                self._rows[text] = len(self.texts)
                self.texts.append(text)
            rows.append(self._rows[text])
        return rows


def cut_spans(captions: Iterable[str], seed: int) -> list[str]:
    """Cut two runs of two to seven words out of each caption: what people type is short."""
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
    """Join the beginning of one caption to the end of another: scenes that nobody photographed."""
    rng = random.Random(seed)
    beginnings, ends = [], []
    for caption in captions:
        joints = list(JOINT_PATTERN.finditer(caption))
        if joints:
            cut = rng.choice(joints).start()
            beginnings.append(caption[:cut])
            ends.append(caption[cut:])
    return [rng.choice(beginnings) + rng.choice(ends) for _ in range(count)]
