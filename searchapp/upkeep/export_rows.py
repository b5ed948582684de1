"""Convert an image of the catalog to a row of a JSON or Parquet export, and back.

A row to import can be edited, or come from another program, so all values are validated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, fields
from typing import Any

import numpy as np

from searchapp.errors import QueryError
from searchapp.pictures.metadata import fill_date_from_mtime
from searchapp.types import (
    EXPORT_FORMAT_VERSION,
    CatalogedFile,
    CatalogedImage,
    ExportHeader,
    ModelOptions,
    PictureInfo,
    SavedSearch,
)
from searchapp.upkeep.export_values import (
    FILE_TESTS,
    FRAME_TESTS,
    HEADER_TESTS,
    INFO_TESTS,
    OPTION_TESTS,
    ROW_TESTS,
    SETTINGS_TESTS,
    check_values,
    shorten_value,
)

ROW_ERRORS = (ArithmeticError, KeyError, RecursionError, TypeError, ValueError)  # of parsing
FILE_INFO_KEY = "metadata"  # of a file, if the files of an image have different metadata
INFO_DEFAULTS = {  # for fields that an export of an earlier version lacks
    field.name: field.default for field in fields(PictureInfo) if field.default is not MISSING
}


def image_to_row(image: CatalogedImage) -> dict[str, Any]:
    """Return an image as JSON values, without its vector."""
    return {
        "sha256": image.sha256,
        **_info_to_row(image.info),
        "files": [_file_to_row(file) for file in image.files],
        "video": image.video,
        "seconds": image.seconds,
    }


def _info_to_row(info: PictureInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in INFO_TESTS}


def _file_to_row(file: CatalogedFile) -> dict[str, Any]:
    row = {name: getattr(file, name) for name in FILE_TESTS}
    return row if file.info is None else row | {FILE_INFO_KEY: _info_to_row(file.info)}


def parse_header(values: dict[str, Any]) -> ExportHeader:
    """Return the header of an export; raise one of ROW_ERRORS if it is invalid."""
    earlier = {"saved_searches": ()}  # an export of an earlier version has none
    known = {**earlier, **values}
    header = ExportHeader(**{field.name: known[field.name] for field in fields(ExportHeader)})
    if header.searchapp != EXPORT_FORMAT_VERSION:
        raise ValueError(
            f"the format version is {header.searchapp}, but only {EXPORT_FORMAT_VERSION} "
            "is supported"
        )
    check_values(values, HEADER_TESTS)
    settings = json.loads(header.settings)
    check_values(settings, SETTINGS_TESTS)
    if unknown := settings["options"].keys() - OPTION_TESTS.keys():
        raise ValueError(f"the options {shorten_value(sorted(unknown))} are unknown")
    check_values(asdict(ModelOptions()) | settings["options"], OPTION_TESTS)
    try:
        for search in header.saved_searches:
            SavedSearch.from_dict(search)
    except QueryError as error:
        raise ValueError(f"a saved search is not valid: {error}") from error
    return header


def parse_rows(rows: Iterable[tuple[Any, Any]], first_number: int = 1) -> Iterator[CatalogedImage]:
    """Convert rows to images; for the first invalid row, raise ValueError with its number.

    rows: pairs of JSON values and vector. first_number: the number of the first row.
    """
    for number, (values, vector) in enumerate(rows, first_number):
        try:
            yield _parse_row(values, vector)
        except ROW_ERRORS as error:
            raise ValueError(f"row {number:,}: {describe_error(error)}") from error


def describe_error(error: Exception) -> str:
    """Return the text of an error for a message."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _parse_row(values: dict[str, Any], vector: Any) -> CatalogedImage:
    check_values(values, ROW_TESTS)
    info = _parse_info(values)
    for file in values["files"]:
        check_values(file, FILE_TESTS)
    files = tuple(_parse_file(file) for file in values["files"])
    if files:
        info = fill_date_from_mtime(info, min(file.mtime_ns for file in files))
    frame = {name: values.get(name) for name in FRAME_TESTS}  # Earlier versions did not write it.
    check_values(frame, FRAME_TESTS)
    with np.errstate(over="ignore"):  # An infinite value fails the test of the vector later.
        stored = np.asarray(vector, "<f2").tobytes()
    return CatalogedImage(values["sha256"], info, files, stored, **frame)


def _parse_info(values: dict[str, Any]) -> PictureInfo:
    info_values = INFO_DEFAULTS | {
        name: values[name] for name in INFO_TESTS if name in values or name not in INFO_DEFAULTS
    }
    check_values(info_values, INFO_TESTS)
    normalized_values = {
        "rating": info_values["rating"] or None,
        "keywords": tuple(info_values["keywords"] or ()),
    }
    return PictureInfo(**(info_values | normalized_values))


def _parse_file(values: dict[str, Any]) -> CatalogedFile:
    info_values = values.get(FILE_INFO_KEY)
    info = None if info_values is None else _parse_info(info_values)
    return CatalogedFile(values["path"], values["size"], values["mtime_ns"], info)
