"""Tell whether a file is there, is gone, or cannot be looked at."""

from __future__ import annotations

import errno
import os
from enum import Enum, auto

# No file has such a path. All other errors say nothing about the file: a folder without
# permissions, a network drive that does not answer (ESTALE, ETIMEDOUT), a failing disk.
GONE_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class Presence(Enum):
    """Whether a file exists; UNKNOWN must never count as GONE."""

    THERE = auto()
    GONE = auto()
    UNKNOWN = auto()


def is_gone_error(error: OSError) -> bool:
    """Return whether an error of a system call means that no file has this path."""
    return error.errno in GONE_ERRNOS


def check_presence(path: str) -> Presence:
    """Return whether a local file or folder exists; follow links."""
    try:
        os.stat(path)  # noqa: PTH116 (speed)
    except OSError as error:
        return Presence.GONE if is_gone_error(error) else Presence.UNKNOWN
    except ValueError:  # A null byte in the path
        return Presence.GONE
    return Presence.THERE
