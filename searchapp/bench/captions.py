"""Read captioned pictures from the forms that the usual data sets come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import SearchAppError

CAPTION_FORMATS = (
    "Karpathy's JSON, COCO's captions JSON, Flickr8k's token file (or its CSV), or a JSON list of "
    '{"file": ..., "captions": [...]}'
)


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """A picture below the folder of images, and its captions."""

    file: str
    captions: tuple[str, ...]


class CaptionsError(SearchAppError):
    """Say what is wrong with a file of captions."""


def read_captions(file: Path, split: str = "test") -> list[CaptionedPicture]:
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
            pictures = _parse_json(json.loads(text), split)
        else:
            pictures = _parse_lines(text.splitlines())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptionsError(
            f"{file} is in no form that is known; known are {CAPTION_FORMATS}"
        ) from error
    pictures = [picture for picture in pictures if picture.captions]
    if not pictures:
        raise CaptionsError(f"{file} holds no captioned picture (of the split {split})")
    return pictures


def _parse_json(content: Any, split: str) -> list[CaptionedPicture]:
    if isinstance(content, list):
        return [CaptionedPicture(entry["file"], tuple(entry["captions"])) for entry in content]
    if "annotations" in content:
        return _parse_coco(content)
    return [
        CaptionedPicture(
            str(Path(image.get("filepath", ""), image["filename"])),
            tuple(sentence["raw"] for sentence in image["sentences"]),
        )
        for image in content["images"]
        if image.get("split", split) == split
    ]


def _parse_coco(content: Any) -> list[CaptionedPicture]:
    captions: dict[int, list[str]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    return [
        CaptionedPicture(image["file_name"], tuple(captions[image["id"]]))
        for image in content["images"]
    ]


def _parse_lines(lines: Iterable[str]) -> list[CaptionedPicture]:
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
    return [CaptionedPicture(file, tuple(several)) for file, several in captions.items()]
