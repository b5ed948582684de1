"""Encode paths for SQLite, and build SQL conditions for the files in a folder."""

from __future__ import annotations

import hashlib
import os

from searchapp.files.display_path import is_utf8


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
    """Return an SQL condition and its parameters: the column path is below a folder.

    The condition compares ranges of bytes, so that SQLite can use the index on path.
    """
    start = folder.rstrip(os.sep) + os.sep
    end = start[:-1] + chr(ord(os.sep) + 1)
    condition = "(path >= :start and path < :end or path >= :blob_start and path < :blob_end)"
    return condition, {
        "start": encode_path(start),
        "end": encode_path(end),
        "blob_start": os.fsencode(start),
        "blob_end": os.fsencode(end),
    }


def make_frame_key(sha256: str, seconds: float) -> str:
    """Return the unique key of a video frame, from the SHA-256 and the time of the frame.

    The table images stores it in the column sha256.
    """
    return hashlib.sha256(f"{sha256}@{seconds:.3f}".encode()).hexdigest()
