"""Read the change time (ctime) of a file, which a tool cannot set back, unlike the other times.

Tools restore the modification time after an edit: `exiftool -P`, `cp -p`, `touch -r`. The change
time also changes with permissions, hard links and names, so it is a hint and proves no edit.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

# These file systems store none; Linux invents one, which is different after the next mount.
FILE_SYSTEMS_WITHOUT_CHANGE_TIMES = frozenset({"vfat", "msdos", "exfat"})
MOUNTS_FILE = (
    "/proc/self/mountinfo"  # https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
)


def get_change_time_ns(status: os.stat_result) -> int | None:
    """Return the change time in a result of os.stat; None if the file system stores none."""
    # On Windows, st_ctime is the time of creation.
    if sys.platform == "win32" or not _has_change_times(status.st_dev):
        return None
    return status.st_ctime_ns


@cache
def _has_change_times(device: int) -> bool:
    return read_has_change_times(device, MOUNTS_FILE)


def forget_devices() -> None:
    """Look up the file systems again, because a device can hold another card now."""
    _has_change_times.cache_clear()


def read_has_change_times(device: int, mounts_file: str) -> bool:
    """Return whether the file system of a device stores change times; True if it is unknown.

    mounts_file: Linux's list of the mounted file systems with their devices.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path(mounts_file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True
    for line in lines:
        mount, _, source = line.partition(" - ")
        if mount.split(" ")[2:3] == [number]:
            return source.split(" ")[0] not in FILE_SYSTEMS_WITHOUT_CHANGE_TIMES
    return True
