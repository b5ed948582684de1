"""List the photos and texts of a material folder, and hold back a tenth of each new set.

A material folder contains:

photos/                SET/NAME, the photos of all sets
scenes/                rendered scenes with captions.json, from data/render_photos.py
teachers/              output of extract_teachers.py
captions.json          {"pairs": {"train", "dev", "inet", "cmini": [[file, [caption, ...]], ...]},
                       "sentences", "phrases", "imagenet_labels": [...]}
more.json              {"pairs": {file: [caption or class name, ...]}, "sets": {...}}: the new sets
captions-only.json.gz  a list of captions without photos
left-out.json          output of near_copies.py: photos that look like held-back photos
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Nobody recorded where the photos of doduc come from, and most of ostax-nc name no license.
LEFT_OUT_SETS = frozenset({"doduc", "ostax-nc"})
# New sets with captions by people; the other new sets have names of classes, or no texts.
CAPTIONED_SETS = frozenset({"bio", "ostax-by", "ostax-cc"})
HELD_BACK_ONE_IN = 10
Captions = dict[str, tuple[str, ...]]  # captions by file


def get_set_name(file: str) -> str:
    """Return the set of a photo: its first folder."""
    return file.split("/", 1)[0]


def is_held_back(file: str) -> bool:
    """Return whether a photo of a new set is held back; this depends on its name only."""
    digest = hashlib.sha256(file.encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_BACK_ONE_IN == 0


def simplify_text(text: str) -> str:
    """Return the letters and digits of a text in lower case, to compare captions."""
    return "".join(c for c in text.lower() if c.isalnum())


@dataclass(frozen=True)
class Sources:
    """The texts of a material folder, and its photos by name."""

    folder: Path
    first: dict[str, Any]  # captions.json
    more: dict[str, Any]  # more.json
    loose_captions: list[str]  # captions-only.json.gz
    left_out: frozenset[str]  # files that are not trained on

    @classmethod
    def read(cls, folder: Path) -> Sources:
        """Read the JSON files of a material folder."""
        left_out_file = folder / "left-out.json"
        return cls(
            folder=folder,
            first=json.loads((folder / "captions.json").read_text()),
            more=json.loads((folder / "more.json").read_text()),
            loose_captions=json.loads(gzip.decompress(
                (folder / "captions-only.json.gz").read_bytes())),
            left_out=frozenset(json.loads(left_out_file.read_text())
                               if left_out_file.exists() else ()),
        )  # fmt: skip

    def is_used(self, file: str) -> bool:
        """Return whether the set of a photo is used."""
        return get_set_name(file) not in LEFT_OUT_SETS

    def is_trained_on(self, file: str) -> bool:
        """Return whether a photo is used for training."""
        is_new = get_set_name(file) in self.more["sets"]
        return (
            self.is_used(file) and file not in self.left_out and not (is_new and is_held_back(file))
        )

    def list_training_captions(self) -> Captions:
        """Return the captions and class names of the photos to train on."""
        first = (pair for part in ("train", "inet", "cmini") for pair in self.first["pairs"][part])
        pairs = [*first, *self.more["pairs"].items()]
        return {f: tuple(texts) for f, texts in pairs if texts and self.is_trained_on(f)}

    def list_held_back(self) -> dict[str, Captions]:
        """Return the photos with texts that are not trained on, by set: `dev` and each new set."""
        held_back: dict[str, Captions] = {
            "dev": {file: tuple(texts) for file, texts in self.first["pairs"]["dev"]}
        }
        for file, texts in sorted(self.more["pairs"].items()):
            if texts and self.is_used(file) and is_held_back(file):
                held_back.setdefault(get_set_name(file), {})[file] = tuple(texts)
        return held_back

    def list_training_files(self) -> list[str]:
        """Return the photos on disk to train on, with and without captions."""
        root = self.folder / "photos"
        files = sorted(f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file())
        # Photos of Flickr8k are used only if the training list names them: its test split is not.
        flickr = {file for file, _ in self.first["pairs"]["train"]}
        return [
            file
            for file in files
            if self.is_trained_on(file) and (file in flickr or get_set_name(file) != "flickr8k")
        ]

    def list_loose_captions(self) -> list[str]:
        """Return captions without photos, except captions of photos that are held back.

        Flickr30k contains the photos of Flickr8k, so its captions contain those of dev.
        """
        held_back = {
            simplify_text(text)
            for captions in self.list_held_back().values()
            for texts in captions.values()
            for text in texts
        }
        texts = [*self.first["sentences"], *self.loose_captions]
        return [text for text in texts if simplify_text(text) not in held_back]


def has_class_names(set_name: str) -> bool:
    """Return whether a held-back set has names of classes instead of captions."""
    return set_name != "dev" and set_name not in CAPTIONED_SETS


def is_class_photo(file: str) -> bool:
    """Return whether the texts of a training photo are names of classes."""
    return get_set_name(file) not in CAPTIONED_SETS | {"flickr8k", "cmini", "c128"}
