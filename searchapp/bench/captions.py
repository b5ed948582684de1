"""Read captioned pictures in the formats of common data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import SearchAppError
from searchapp.files.local import read_bounded_file

MAX_CAPTIONS_BYTES = 1 << 30
CAPTION_FORMATS = (
    "Karpathy's JSON (dataset_coco.json), COCO's captions JSON, Flickr8k's token file (or its "
    'CSV), or a JSON list of {"file": ..., "captions": [...]}'
)


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """A picture and its captions."""

    file: str  # path relative to the folder of pictures
    captions: tuple[str, ...]


class CaptionsError(SearchAppError):
    """A captions file cannot be used, or a picture that the file names is missing or broken."""


def read_captions(file: Path, split: str = "test") -> list[CaptionedPicture]:
    """Return the captioned pictures of a file in one of CAPTION_FORMATS.

    split: read only pictures of this split, such as "test", from Karpathy's JSON.
    Errors: CaptionsError if the file cannot be read, has an unsupported format, or has no captions.
    """
    try:
        text = read_bounded_file(file, MAX_CAPTIONS_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CaptionsError(f"cannot read {file}: {reason}") from error
    try:
        if text.lstrip().startswith(("{", "[")):
            pictures = _parse_json(json.loads(text), split)
        else:
            pictures = _parse_lines(text.splitlines())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptionsError(
            f"{file} has an unknown format. Supported formats: {CAPTION_FORMATS}"
        ) from error
    pictures = [picture for picture in pictures if picture.captions]
    if not pictures:
        raise CaptionsError(f"{file} has no captioned picture in the split {split}")
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
    """Read lines of `name.jpg#0<TAB>caption`, or a CSV file with the columns image and caption."""
    captions: dict[str, list[str]] = {}
    lines = [line for line in lines if line.strip()]
    if lines and lines[0].strip() == "image,caption":
        for row in csv.DictReader(lines):
            captions.setdefault(row["image"], []).append(row["caption"].strip())
    else:
        for line in lines:
            name, caption = line.split("\t")
            captions.setdefault(name.rsplit("#", 1)[0], []).append(caption.strip())
    return [CaptionedPicture(file, tuple(lines)) for file, lines in captions.items()]
