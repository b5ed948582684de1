"""Shorten answers of the HTTP API for assistants: bounded lists and texts, no empty fields.

An assistant pays for each word that it reads, and a library can hold any number of keywords and
folders, and texts of any length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from searchapp.files.display_path import HALF_CHARACTERS

MAX_HITS_CHARS = 60_000  # about 20,000 tokens
MAX_TEXT_CHARS = 500
MAX_LIST_ITEMS = 20
MAX_FACET_VALUES = 30
MAX_MONTHS = 120
FACETS = ("folders", "cameras", "lenses", "keywords", "ratings", "formats", "place_names")
PICTURE_KEYS = (
    "path", "score", "good_match", "date", "date_from", "title", "description", "keywords", "city",
    "region", "country", "latitude", "longitude", "camera", "lens", "rating", "width", "height",
    "format", "file_bytes", "seconds", "moments", "also", "companions",
)  # fmt: skip
PATH_KEYS = frozenset({"path", "also", "companions"})
LIBRARY_KEYS = (
    "library", "images", "files", "model", "modalities", "model_state", "first_date", "last_date",
)  # fmt: skip


def describe_hits(hits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first hits, as many as MAX_HITS_CHARS allow, and how many are left out."""
    shown: list[dict[str, Any]] = []
    size = 0
    for hit in hits:
        described = describe_picture(hit)
        size += len(json.dumps(described, ensure_ascii=False))
        if shown and size > MAX_HITS_CHARS:
            break
        shown.append(described)
    left_out = len(hits) - len(shown)
    return {"hits": shown, **({"hits_left_out": left_out} if left_out else {})}


def describe_picture(picture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an assistant needs of a picture or hit; unknown values are left out.

    Paths are never cut, because a cut path names another file.
    """
    values = {"id": picture.get("id") or picture["image_id"]}
    for key in PICTURE_KEYS:
        value = picture.get(key)
        if value not in (None, [], (), ""):
            values[key] = _bound_value(value, MAX_LIST_ITEMS, is_path=key in PATH_KEYS)
    snippets = [match["snippet"] for match in picture.get("match", ()) if match["snippet"]]
    if snippets:
        values["matching_words"] = shorten_texts(snippets)
    return values


def describe_facets(facets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the most frequent values of each facet, and the last months."""
    values: dict[str, Any] = {"images": facets["images"]}
    for name in FACETS:
        found = facets[name]["values"]
        shown = {
            _bound_value(value, 0, is_path=name == "folders"): count
            for value, count in found[:MAX_FACET_VALUES]
        }
        if shown:
            values[name] = shown
        if more := facets[name]["more"] + len(found) - len(shown):
            values[f"more_{name}"] = more
    months = facets["months"]
    values["months"] = {month["month"]: month["images"] for month in months[-MAX_MONTHS:]}
    if len(months) > MAX_MONTHS:
        values["earlier_months"] = len(months) - MAX_MONTHS
    if facets["warnings"]:
        values["warnings"] = shorten_texts(facets["warnings"])
    return values


def describe_library(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the size, dates, model, collections and folders of a library."""
    values = {key: _bound_value(info[key], MAX_LIST_ITEMS, is_path=True) for key in LIBRARY_KEYS}
    folders = {
        make_valid(folder["path"]): folder["images"] for folder in info["folders"][:MAX_LIST_ITEMS]
    }
    collections = {
        shorten_text(item["name"]): {"model": shorten_text(item["model"]), "images": item["images"]}
        for item in info["collections"][:MAX_LIST_ITEMS]
    }
    return {**values, "folders": folders, "collections": collections}


def shorten_texts(texts: Iterable[str]) -> list[str]:
    """Return the first MAX_LIST_ITEMS texts, each at most MAX_TEXT_CHARS long."""
    return [shorten_text(text) for text, _ in zip(texts, range(MAX_LIST_ITEMS), strict=False)]


def shorten_text(text: str) -> str:
    """Return a valid text of at most MAX_TEXT_CHARS characters."""
    text = make_valid(text)
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…"


def make_valid(text: str) -> str:
    """Return a text with U+FFFD for bytes that are not UTF-8, which JSON cannot hold."""
    text = HALF_CHARACTERS.sub("\ufffd", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _bound_value(value: Any, max_items: int, *, is_path: bool) -> Any:
    if isinstance(value, str):
        return make_valid(value) if is_path else shorten_text(value)
    if isinstance(value, list | tuple):
        return [_bound_value(item, 0, is_path=is_path) for item in value[:max_items]]
    return value
