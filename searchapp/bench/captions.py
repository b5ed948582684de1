"""Read captioned pictures from the forms that the usual data sets come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import SearchAppError

FORMS = (
    "Karpathy's JSON, COCO's captions JSON, Flickr8k's token file (or its CSV), or a JSON list of "
    '{"file": ..., "captions": [...]}'
)


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture below the folder of images, and its captions."""

    file: str
    captions: tuple[str, ...]


class CaptionsError(SearchAppError):
    """Say what is wrong with a file of captions."""


def read(file: Path, split: str = "test") -> list[Captioned]:
    """Return the captioned pictures of a file; split picks among Karpathy's.

    Raise CaptionsError where the file is in none of FORMS, or holds nothing.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CaptionsError(f"{file} cannot be read: {reason}") from error
    try:
        if text.lstrip().startswith(("{", "[")):
            pictures = _from_json(json.loads(text), split)
        else:
            pictures = _from_lines(text.splitlines())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptionsError(f"{file} is in no form that is known; known are {FORMS}") from error
    pictures = [picture for picture in pictures if picture.captions]
    if not pictures:
        raise CaptionsError(f"{file} holds no captioned picture (of the split {split})")
    return pictures


def _from_json(content: Any, split: str) -> list[Captioned]:
    if isinstance(content, list):
        return [Captioned(entry["file"], tuple(entry["captions"])) for entry in content]
    if "annotations" in content:
        return _from_coco(content)
    return [
        Captioned(
            str(Path(image.get("filepath", ""), image["filename"])),
            tuple(sentence["raw"] for sentence in image["sentences"]),
        )
        for image in content["images"]
        if image.get("split", split) == split
    ]


def _from_coco(content: Any) -> list[Captioned]:
    captions: dict[int, list[str]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    return [
        Captioned(image["file_name"], tuple(captions[image["id"]])) for image in content["images"]
    ]


def _from_lines(lines: Iterable[str]) -> list[Captioned]:
    """Read lines of `name.jpg#0<TAB>caption`, or of the CSV with the columns image and caption."""
    captions: dict[str, list[str]] = {}
    lines = [line for line in lines if line.strip()]
    if lines and lines[0].strip() == "image,caption":
        for row in csv.DictReader(lines):
            captions.setdefault(row["image"], []).append(row["caption"].strip())
    else:
        for line in lines:
            name, caption = line.split("\t")
            captions.setdefault(name.rsplit("#", 1)[0], []).append(caption.strip())
    return [Captioned(file, tuple(several)) for file, several in captions.items()]
