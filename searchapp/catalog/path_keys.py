"""Paths as the catalogue stores them: text, or a blob where a name is no valid UTF-8."""

from __future__ import annotations

import hashlib
import os


def encode_path(path: str) -> str | bytes:
    """Return a path as it is stored: text, or a blob where its name is no valid UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def decode_path(key: str | bytes) -> str:
    """Return the path that is stored so."""
    return os.fsdecode(key)


def build_subtree_condition(path: str) -> tuple[str, dict[str, str | bytes]]:
    """Return the condition that a column `path` is a path, or lies below it."""
    condition, parameters = build_below_condition(path)
    itself = {"itself": encode_path(path), "blob_itself": os.fsencode(path)}
    return f"(path = :itself or path = :blob_itself or {condition})", parameters | itself


def build_below_condition(folder: str) -> tuple[str, dict[str, str | bytes]]:
    """Return the condition that a column `path` lies below a folder, by the path's bytes."""
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
    """Return what stands for the SHA-256 of a video's frame: the video's, and the time."""
    return hashlib.sha256(f"{sha256}@{seconds:.3f}".encode()).hexdigest()
