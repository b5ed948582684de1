"""A row of an export: all that is known of an image, as JSON and Parquet have it, and back.

What comes back may have been edited, or be another program's: each value is looked at, because
SQLite takes any.
"""

from __future__ import annotations

import json
import ntpath
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from datetime import datetime
from typing import Any

import numpy as np

from searchapp.files import storage
from searchapp.pictures.metadata import dated
from searchapp.types import FORMAT, Header, Known, KnownFile, ModelOptions, PictureInfo

Test = Callable[[Any], bool]
WRONG = (ArithmeticError, KeyError, RecursionError, TypeError, ValueError)  # what it can raise
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d(:\d\d)?)?")
SHA256 = re.compile(r"[0-9a-f]{64}")
OF_OLD = {  # what a file of an earlier version does not have
    field.name: field.default for field in fields(PictureInfo) if field.default is not MISSING
}
MOST = 2**63 - 1  # of SQLite's integers
PIXELS = 2**31 - 1  # of a side: an area of such is an integer still


def row_of(known: Known) -> dict[str, Any]:
    """Return what is known of an image, but its vector."""
    return {
        "sha256": known.sha256,
        **{name: getattr(known.info, name) for name in INFO},
        "files": [asdict(file) for file in known.files],
        "video": known.video,
        "seconds": known.seconds,
    }


def header_of(values: dict[str, Any]) -> Header:
    """Return what vectors were made with; one of WRONG where that is not told."""
    told = Header(**{field.name: values[field.name] for field in fields(Header)})
    if told.searchapp != FORMAT:
        raise ValueError(f"its version is {told.searchapp}, not {FORMAT}")
    _check(values, HEADER)
    settings = json.loads(told.settings)
    _check(settings, SETTINGS)
    if unknown := settings["options"].keys() - OPTIONS.keys():
        raise ValueError(f"options are {_short(sorted(unknown))}")
    _check(asdict(ModelOptions()) | settings["options"], OPTIONS)
    return told


def known_of(rows: Iterable[tuple[Any, Any]], first: int = 1) -> Iterator[Known]:
    """Yield what rows say, each with its vector; ValueError names the first that is none.

    first: the number of the first row.
    """
    for number, (values, vector) in enumerate(rows, first):
        try:
            yield _known(values, vector)
        except WRONG as error:
            raise ValueError(f"row {number:,}: {said(error)}") from error


def said(error: Exception) -> str:
    """Return what is wrong, in words."""
    return f"there is no {error.args[0]}" if isinstance(error, KeyError) else str(error)


def _known(values: dict[str, Any], vector: Any) -> Known:
    _check(values, ROW)
    told = OF_OLD | {name: values[name] for name in INFO if name in values or name not in OF_OLD}
    _check(told, INFO)
    unset = {"rating": told["rating"] or None, "keywords": tuple(told["keywords"] or ())}
    info = PictureInfo(**(told | unset))
    for file in values["files"]:
        _check(file, FILE)
    files = tuple(KnownFile(*(file[name] for name in FILE)) for file in values["files"])
    if files:
        info = dated(info, min(file.mtime_ns for file in files))
    frame = {name: values.get(name) for name in FRAME}  # older versions did not write it
    _check(frame, FRAME)
    with np.errstate(over="ignore"):  # which makes it of no length
        stored = np.asarray(vector, "<f2").tobytes()
    return Known(values["sha256"], info, files, stored, **frame)


def _check(values: dict[str, Any], tests: Mapping[str, Test]) -> None:
    """Raise ValueError for the first value that is none."""
    if not isinstance(values, dict):
        raise TypeError(f"{_short(values)} is no set of names and values")
    for name, test in tests.items():
        if not test(values[name]):
            raise ValueError(f"{name} is {_short(values[name])}")


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:60]}..."


# What a value has to be


def _whole(low: int, high: int) -> Test:
    return lambda it: type(it) is int and low <= it <= high


def _number(low: float, high: float) -> Test:
    # Not-a-number lies nowhere.
    return lambda it: type(it) in (int, float) and low <= it <= high


def _one_of(*texts: str) -> Test:
    return lambda it: it in texts


def _maybe(test: Test) -> Test:
    return lambda it: it is None or test(it)


def _is_text(it: Any) -> bool:
    if not isinstance(it, str):
        return False
    try:
        return it.isascii() or bool(it.encode())
    except UnicodeEncodeError:  # half a character, which JSON can write
        return False


def _is_moment(it: Any) -> bool:
    if not isinstance(it, str) or not MOMENT.fullmatch(it):
        return False
    try:
        return bool(datetime.fromisoformat(it))
    except ValueError:
        return False


def _is_path(it: Any) -> bool:
    """Tell whether it is the whole path of a file, of this system or of another, or a URL."""
    if not isinstance(it, str) or "\0" in it:
        return False
    if not (os.path.isabs(it) or ntpath.isabs(it) or storage.is_url(it)):  # noqa: PTH117
        return False
    try:
        return bool(os.fsencode(it))  # which may be no UTF-8
    except UnicodeEncodeError:
        return False


def _is_sha256(it: Any) -> bool:
    return isinstance(it, str) and SHA256.fullmatch(it) is not None


def _is_list(it: Any) -> bool:
    return isinstance(it, list)


def _is_texts(it: Any) -> bool:
    return isinstance(it, list | tuple) and all(map(_is_text, it))  # a tuple is none at all


def _is_set(it: Any) -> bool:
    return isinstance(it, dict)


def _is_bool(it: Any) -> bool:
    return isinstance(it, bool)


TEXT, MOMENT_OR_NONE, COUNT = _maybe(_is_text), _maybe(_is_moment), _maybe(_whole(1, MOST))
HEADER: dict[str, Test] = {
    "model": _is_text, "revision": _is_text, "dimensions": _whole(1, 2**20), "settings": _is_text,
}  # fmt: skip
SETTINGS: dict[str, Test] = {"options": _is_set, "space": _is_set}
OPTIONS: dict[str, Test] = {
    "instruction": TEXT, "dimensions": COUNT, "max_pixels": COUNT, "num_crops": COUNT,
    "trust_remote_code": _is_bool,
}  # fmt: skip
ROW: dict[str, Test] = {"sha256": _is_sha256, "files": _is_list}
INFO: dict[str, Test] = {
    "format": _is_text, "width": _whole(1, PIXELS), "height": _whole(1, PIXELS),
    "taken_at": MOMENT_OR_NONE, "camera": TEXT,
    "latitude": _maybe(_number(-90, 90)), "longitude": _maybe(_number(-180, 180)), "lens": TEXT,
    "rating": _maybe(_whole(-1, 5)), "keywords": _maybe(_is_texts), "title": TEXT,
    "description": TEXT, "date": MOMENT_OR_NONE,
    "date_from": _maybe(_one_of("exif", "xmp", "iptc", "file")), "reader": _whole(0, MOST),
}  # fmt: skip
FILE: dict[str, Test] = {
    "path": _is_path, "size": _whole(0, MOST), "mtime_ns": _whole(-MOST, MOST),
}  # fmt: skip
FRAME: dict[str, Test] = {"video": _maybe(_is_sha256), "seconds": _maybe(_number(0, 1e9))}
