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
from searchapp.pictures.metadata import fill_date_from_mtime
from searchapp.types import (
    EXPORT_FORMAT_VERSION,
    CatalogedFile,
    CatalogedImage,
    ExportHeader,
    ModelOptions,
    PictureInfo,
)

ValueTest = Callable[[Any], bool]
ROW_ERRORS = (ArithmeticError, KeyError, RecursionError, TypeError, ValueError)  # what it can raise
DATE_TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d(:\d\d)?)?")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
INFO_DEFAULTS = {  # what a file of an earlier version does not have
    field.name: field.default for field in fields(PictureInfo) if field.default is not MISSING
}
MAX_INTEGER = 2**63 - 1  # of SQLite's integers
MAX_SIDE_PX = 2**31 - 1  # of a side: an area of such is an integer still


def known_to_row(known: CatalogedImage) -> dict[str, Any]:
    """Return what is known of an image, but its vector."""
    return {
        "sha256": known.sha256,
        **{name: getattr(known.info, name) for name in INFO_TESTS},
        "files": [asdict(file) for file in known.files],
        "video": known.video,
        "seconds": known.seconds,
    }


def parse_header(values: dict[str, Any]) -> ExportHeader:
    """Return what vectors were made with; one of WRONG where that is not told."""
    header = ExportHeader(**{field.name: values[field.name] for field in fields(ExportHeader)})
    if header.searchapp != EXPORT_FORMAT_VERSION:
        raise ValueError(f"its version is {header.searchapp}, not {EXPORT_FORMAT_VERSION}")
    _check_values(values, HEADER_TESTS)
    settings = json.loads(header.settings)
    _check_values(settings, SETTINGS_TESTS)
    if unknown := settings["options"].keys() - OPTION_TESTS.keys():
        raise ValueError(f"options are {_shorten_value(sorted(unknown))}")
    _check_values(asdict(ModelOptions()) | settings["options"], OPTION_TESTS)
    return header


def parse_rows(rows: Iterable[tuple[Any, Any]], first_number: int = 1) -> Iterator[CatalogedImage]:
    """Yield what rows say, each with its vector; ValueError names the first that is none.

    first: the number of the first row.
    """
    for number, (values, vector) in enumerate(rows, first_number):
        try:
            yield _parse_row(values, vector)
        except ROW_ERRORS as error:
            raise ValueError(f"row {number:,}: {describe_error(error)}") from error


def describe_error(error: Exception) -> str:
    """Return what is wrong, in words."""
    return f"there is no {error.args[0]}" if isinstance(error, KeyError) else str(error)


def _parse_row(values: dict[str, Any], vector: Any) -> CatalogedImage:
    _check_values(values, ROW_TESTS)
    info_values = INFO_DEFAULTS | {
        name: values[name] for name in INFO_TESTS if name in values or name not in INFO_DEFAULTS
    }
    _check_values(info_values, INFO_TESTS)
    normalized_values = {
        "rating": info_values["rating"] or None,
        "keywords": tuple(info_values["keywords"] or ()),
    }
    info = PictureInfo(**(info_values | normalized_values))
    for file in values["files"]:
        _check_values(file, FILE_TESTS)
    files = tuple(CatalogedFile(*(file[name] for name in FILE_TESTS)) for file in values["files"])
    if files:
        info = fill_date_from_mtime(info, min(file.mtime_ns for file in files))
    frame = {name: values.get(name) for name in FRAME_TESTS}  # older versions did not write it
    _check_values(frame, FRAME_TESTS)
    with np.errstate(over="ignore"):  # which makes it of no length
        stored = np.asarray(vector, "<f2").tobytes()
    return CatalogedImage(values["sha256"], info, files, stored, **frame)


def _check_values(values: dict[str, Any], tests: Mapping[str, ValueTest]) -> None:
    """Raise ValueError for the first value that is none."""
    if not isinstance(values, dict):
        raise TypeError(f"{_shorten_value(values)} is no set of names and values")
    for name, test in tests.items():
        if not test(values[name]):
            raise ValueError(f"{name} is {_shorten_value(values[name])}")


def _shorten_value(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:60]}..."


# What a value has to be


def _make_integer_test(low: int, high: int) -> ValueTest:
    return lambda it: type(it) is int and low <= it <= high


def _make_number_test(low: float, high: float) -> ValueTest:
    # Not-a-number lies nowhere.
    return lambda it: type(it) in (int, float) and low <= it <= high


def _make_choice_test(*texts: str) -> ValueTest:
    return lambda it: it in texts


def _make_optional_test(test: ValueTest) -> ValueTest:
    return lambda it: it is None or test(it)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:  # half a character, which JSON can write
        return False


def _is_date_time(value: Any) -> bool:
    if not isinstance(value, str) or not DATE_TIME_PATTERN.fullmatch(value):
        return False
    try:
        return bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_path(value: Any) -> bool:
    """Tell whether it is the whole path of a file, of this system or of another, or a URL."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if not (os.path.isabs(value) or ntpath.isabs(value) or storage.is_url(value)):  # noqa: PTH117
        return False
    try:
        return bool(os.fsencode(value))  # which may be no UTF-8
    except UnicodeEncodeError:
        return False


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256_PATTERN.fullmatch(value) is not None


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))  # a tuple is none at all


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


OPTIONAL_TEXT, OPTIONAL_DATE_TIME, OPTIONAL_COUNT = (
    _make_optional_test(_is_text),
    _make_optional_test(_is_date_time),
    _make_optional_test(_make_integer_test(1, MAX_INTEGER)),
)
HEADER_TESTS: dict[str, ValueTest] = {
    "model": _is_text, "revision": _is_text, "dimensions": _make_integer_test(1, 2**20), "settings": _is_text,
}  # fmt: skip
SETTINGS_TESTS: dict[str, ValueTest] = {"options": _is_mapping, "space": _is_mapping}
OPTION_TESTS: dict[str, ValueTest] = {
    "instruction": OPTIONAL_TEXT, "dimensions": OPTIONAL_COUNT, "max_pixels": OPTIONAL_COUNT, "num_crops": OPTIONAL_COUNT,
    "trust_remote_code": _is_bool,
}  # fmt: skip
ROW_TESTS: dict[str, ValueTest] = {"sha256": _is_sha256, "files": _is_list}
INFO_TESTS: dict[str, ValueTest] = {
    "format": _is_text, "width": _make_integer_test(1, MAX_SIDE_PX), "height": _make_integer_test(1, MAX_SIDE_PX),
    "taken_at": OPTIONAL_DATE_TIME, "camera": OPTIONAL_TEXT,
    "latitude": _make_optional_test(_make_number_test(-90, 90)), "longitude": _make_optional_test(_make_number_test(-180, 180)), "lens": OPTIONAL_TEXT,
    "rating": _make_optional_test(_make_integer_test(-1, 5)), "keywords": _make_optional_test(_is_text_list), "title": OPTIONAL_TEXT,
    "description": OPTIONAL_TEXT, "date": OPTIONAL_DATE_TIME,
    "date_from": _make_optional_test(_make_choice_test("exif", "xmp", "iptc", "file")), "reader": _make_integer_test(0, MAX_INTEGER),
}  # fmt: skip
FILE_TESTS: dict[str, ValueTest] = {
    "path": _is_path, "size": _make_integer_test(0, MAX_INTEGER), "mtime_ns": _make_integer_test(-MAX_INTEGER, MAX_INTEGER),
}  # fmt: skip
FRAME_TESTS: dict[str, ValueTest] = {
    "video": _make_optional_test(_is_sha256),
    "seconds": _make_optional_test(_make_number_test(0, 1e9)),
}
