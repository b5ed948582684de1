"""Take a path that a user entered: expand ~, make it absolute, and ask whether it exists.

A path of the system can be opened, or fails with an OSError. A path that a user typed can also name
an unknown user, hold a null byte, be too long, or be in a folder without permissions. These
functions turn each of these faults into one error with a reason.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from searchapp.errors import SearchAppError

MakeError = Callable[[str], SearchAppError]
MAX_SHOWN_CHARS = 200


def enter_path(path: str | Path, make_error: MakeError) -> Path:
    """Return an entered path as an absolute path without ~; symlinks and .. stay.

    make_error: the class of the error that is raised if the path is not valid.
    """
    text = str(path)
    if "\0" in text:
        raise make_error(f"the path {shorten_path(text)} contains a null byte. Correct the path.")
    try:
        expanded = Path(text).expanduser()
    except RuntimeError as reason:  # pathlib raises it for ~ of an unknown user.
        user = shorten_path(Path(text).parts[0])
        raise make_error(
            f"{shorten_path(text)}: there is no home folder for {user}. "
            f"Correct the path, or write ./{user} for a folder with this name."
        ) from reason
    try:
        return expanded.absolute()
    except OSError as reason:  # The current folder was removed.
        raise make_error(
            f"{shorten_path(text)}: the current folder does not exist any more. "
            "Change to another folder."
        ) from reason


def find_entered(path: str | Path, make_error: MakeError) -> os.stat_result | None:
    """Return the state of an entered path; None if nothing exists there.

    make_error: the class of the error that is raised if the system cannot tell.
    """
    entered = enter_path(path, make_error)
    try:
        return entered.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as reason:
        if getattr(reason, "errno", None) == errno.ELOOP:
            return None
        why = getattr(reason, "strerror", None) or "its characters are not valid"
        raise make_error(
            f"{shorten_path(entered)} cannot be read: {why}. Correct the path, or check the "
            "permissions of its folders."
        ) from reason


def resolve_if_exists(text: str, make_error: MakeError) -> str:
    """Return the absolute path of an existing file or folder; return any other text unchanged.

    make_error: the class of the error that is raised if the system cannot tell.
    """
    if find_entered(text, make_error) is None:
        return text
    return os.path.abspath(enter_path(text, make_error))  # noqa: PTH100


def has_entered_folder(path: str | Path, make_error: MakeError) -> bool:
    """Return whether an entered path is a folder; raise an error if the system cannot tell."""
    state = find_entered(path, make_error)
    return state is not None and stat.S_ISDIR(state.st_mode)


def shorten_path(path: str | Path) -> str:
    """Return a path for a message; the middle of a very long path is left out."""
    text = str(path)
    half = MAX_SHOWN_CHARS // 2
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:half]}...{text[-half:]}"
