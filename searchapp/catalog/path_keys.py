"""Encode paths for SQLite, and build SQL conditions for the files in a folder."""

from __future__ import annotations

import hashlib
import os
import sys

MAX_NAME_BYTES = 255  # of a file name, in all common file systems


def encode_path(path: str) -> str | bytes:
    """Encode a path for SQLite: as a text, or as a blob if it is not valid UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


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
