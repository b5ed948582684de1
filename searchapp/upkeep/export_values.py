"""Validate single values of an export: types, ranges and formats, one test for each field.

SQLite stores any value, so each value is tested before it is stored.
"""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args

from searchapp.files import storage
from searchapp.files.file_state import MAX_INTEGER, MIN_INTEGER
from searchapp.types import Precision

ValueTest = Callable[[Any], bool]
DATE_TIME_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d(:\d\d)?)?")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
MAX_SIDE_PX = 2**31 - 1  # so that width times height is at most MAX_INTEGER


def check_values(values: dict[str, Any], tests: Mapping[str, ValueTest]) -> None:
    """Raise ValueError for the first value that fails its test.

    Raises KeyError for a missing name, and TypeError if values is not a mapping.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{shorten_value(values)} is not a JSON object")
    for name, test in tests.items():
        if not test(values[name]):
            raise ValueError(f"{name} has the invalid value {shorten_value(values[name])}")


def shorten_value(value: Any) -> str:
    """Return a value as ASCII text of at most 63 characters, for messages."""
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:60]}..."


def _make_integer_test(low: int, high: int) -> ValueTest:
    return lambda value: type(value) is int and low <= value <= high


def _make_number_test(low: float, high: float) -> ValueTest:
    # NaN fails both comparisons.
    return lambda value: type(value) in (int, float) and low <= value <= high


def _make_choice_test(*texts: str) -> ValueTest:
    return lambda value: value in texts


def _make_optional_test(test: ValueTest) -> ValueTest:
    return lambda value: value is None or test(value)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:  # A lone surrogate, which JSON can contain.
        return False


def _is_date_time(value: Any) -> bool:
    if not isinstance(value, str) or not DATE_TIME_PATTERN.fullmatch(value):
        return False
    try:
        return bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_path(value: Any) -> bool:
    """Return whether a value is an absolute path of any operating system, or a URL."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if not (os.path.isabs(value) or ntpath.isabs(value) or storage.is_url(value)):  # noqa: PTH117
        return False
    try:
        return bool(os.fsencode(value))  # Paths need not be valid UTF-8.
    except UnicodeEncodeError:
        return False


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256_PATTERN.fullmatch(value) is not None


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))  # The default is a tuple.


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


OPTIONAL_TEXT = _make_optional_test(_is_text)
OPTIONAL_DATE_TIME = _make_optional_test(_is_date_time)
OPTIONAL_COUNT = _make_optional_test(_make_integer_test(1, MAX_INTEGER))
HEADER_TESTS: dict[str, ValueTest] = {
    "model": _is_text,
    "revision": _is_text,
    "dimensions": _make_integer_test(1, 2**20),
    "settings": _is_text,
}
SETTINGS_TESTS: dict[str, ValueTest] = {"options": _is_mapping, "space": _is_mapping}
OPTION_TESTS: dict[str, ValueTest] = {
    "instruction": OPTIONAL_TEXT,
    "dimensions": OPTIONAL_COUNT,
    "max_pixels": OPTIONAL_COUNT,
    "num_crops": OPTIONAL_COUNT,
    "precision": _make_optional_test(_make_choice_test(*get_args(Precision))),
    "trust_remote_code": _is_bool,
}
ROW_TESTS: dict[str, ValueTest] = {"sha256": _is_sha256, "files": _is_list}
INFO_TESTS: dict[str, ValueTest] = {
    "format": _is_text,
    "width": _make_integer_test(1, MAX_SIDE_PX),
    "height": _make_integer_test(1, MAX_SIDE_PX),
    "taken_at": OPTIONAL_DATE_TIME,
    "camera": OPTIONAL_TEXT,
    "latitude": _make_optional_test(_make_number_test(-90, 90)),
    "longitude": _make_optional_test(_make_number_test(-180, 180)),
    "lens": OPTIONAL_TEXT,
    "rating": _make_optional_test(_make_integer_test(-1, 5)),
    "keywords": _make_optional_test(_is_text_list),
    "title": OPTIONAL_TEXT,
    "description": OPTIONAL_TEXT,
    "date": OPTIONAL_DATE_TIME,
    "date_from": _make_optional_test(_make_choice_test("exif", "xmp", "iptc", "json", "file")),
    "reader": _make_integer_test(0, MAX_INTEGER),
    "city": OPTIONAL_TEXT,
    "region": OPTIONAL_TEXT,
    "country": OPTIONAL_TEXT,
}
FILE_TESTS: dict[str, ValueTest] = {
    "path": _is_path,
    "size": _make_integer_test(0, MAX_INTEGER),
    "mtime_ns": _make_integer_test(MIN_INTEGER, MAX_INTEGER),
}
FRAME_TESTS: dict[str, ValueTest] = {
    "video": _make_optional_test(_is_sha256),
    "seconds": _make_optional_test(_make_number_test(0, 1e9)),
}
