"""Encode paths for SQLite, and build SQL conditions for the files in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import sys

from sqlite_utils import Database

from searchapp.files import storage
from searchapp.files.display_path import is_utf8
from searchapp.files.text_form import normalize_text

MAX_NAME_BYTES = 255  # of a file name, in all common file systems


def encode_path(path: str) -> str | bytes:
    """Encode a path for SQLite: as a text, or as a blob if it is not valid UTF-8."""
    return path if is_utf8(path) else os.fsencode(path)


def decode_path(key: str | bytes) -> str:
    """Decode a path that encode_path() has encoded."""
    return os.fsdecode(key)


def build_subtree_condition(path: str) -> tuple[str, dict[str, str | bytes]]:
    """Return an SQL condition and its parameters: the column path equals a path, or is below it."""
    condition, parameters = build_below_condition(path)
    itself = {"itself": encode_path(path), "blob_itself": os.fsencode(path)}
    return f"(path = :itself or path = :blob_itself or {condition})", parameters | itself


def build_below_condition(folder: str) -> tuple[str, dict[str, str | bytes]]:
    """Return an SQL condition and its parameters: the column path is below a folder."""
    return build_prefix_condition(folder.rstrip(os.sep) + os.sep)


def build_folder_condition(db: Database, folder: str) -> tuple[str, dict[str, str | bytes]]:
    """Return a condition as build_below_condition does, for a folder that a user typed.

    The condition ignores the Unicode normal form. It is valid until the next call.
    """
    if folder.isascii():
        return build_below_condition(folder)
    db.conn.create_function(
        "is_below_folder", 1, lambda key: storage.is_below(decode_path(key), folder)
    )
    # All normal forms of the folder begin with the same ASCII characters.
    ascii_start = re.match("[\x00-\x7f]*", normalize_text(folder))
    assert ascii_start is not None
    condition, parameters = build_prefix_condition(ascii_start[0])
    return f"{condition} and is_below_folder(path)", parameters


def build_prefix_condition(prefix: str) -> tuple[str, dict[str, str | bytes]]:
    """Return an SQL condition and its parameters: the column path starts with a prefix.

    The condition compares ranges of bytes, so that SQLite can use the index on path.
    """
    condition = "(path >= :start and path <= :end or path >= :blob_start and path <= :blob_end)"
    return condition, {
        "start": encode_path(prefix),
        "end": encode_path(f"{prefix}{sys.maxunicode:c}"),
        "blob_start": os.fsencode(prefix),
        "blob_end": os.fsencode(prefix) + b"\xff" * MAX_NAME_BYTES,
    }


def make_frame_key(sha256: str, seconds: float) -> str:
    """Return the unique key of a video frame, from the SHA-256 and the time of the frame.

    The table images stores it in the column sha256.
    """
    return hashlib.sha256(f"{sha256}@{seconds:.3f}".encode()).hexdigest()
