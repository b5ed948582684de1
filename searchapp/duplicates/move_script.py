"""Write a shell script that moves duplicates away, for a person to check and run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from searchapp.files import storage
from searchapp.files.atomic import write_output
from searchapp.types import DuplicateFile, DuplicateGroup

SCRIPT_HEAD = r"""#!/bin/sh
# Written by `searchapp duplicates`. Delete the lines of files that you want to keep, then run:
#
#   sh THIS_FILE          to move the other files to the trash
#   sh THIS_FILE FOLDER   to move them into FOLDER, with their full path below it
#
# The script deletes nothing. It skips a file if the file to keep is missing, or if the size of
# either file has changed. RAW files, Live Photo videos and .xmp sidecars move with their picture.
set -u
folder=${1:-}
moved=0 skipped=0

fail() { printf '%s\n' "$1" >&2; exit 2; }

if [ -n "$folder" ]; then
    mkdir -p -- "$folder" || fail "cannot create the folder $folder"
    folder=$(cd -- "$folder" && pwd && printf .) || fail "cannot open the folder $1"
    folder=${folder%??}
elif command -v gio >/dev/null 2>&1; then trash() { gio trash -- "$1"; }
elif command -v trash-put >/dev/null 2>&1; then trash() { trash-put -- "$1"; }
elif [ "$(uname)" = Darwin ] && [ -x /usr/bin/trash ]; then trash() { /usr/bin/trash "$1"; }
else fail "no trash command is installed; give a folder to move the files to: sh $0 FOLDER"
fi

skip() { skipped=$((skipped + 1)); printf 'skipped: %s: %s\n' "$2" "$1" >&2; }

size() { wc -c < "$1" | tr -d ' '; }

is_regular() {
    [ -f "$1" ] && [ ! -L "$1" ] || { skip "$1" "no longer a regular file"; return 1; }
}

move_file() {
    if [ -n "$folder" ]; then
        to=$folder$1
        [ ! -e "$to" ] && [ ! -L "$to" ] ||
            { skip "$1" "$to already exists"; return 1; }
        mkdir -p -- "${to%/*}" && mv -- "$1" "$to" || { skip "$1" "moving failed"; return 1; }
    else
        trash "$1" || { skip "$1" "moving to the trash failed"; return 1; }
    fi
    moved=$((moved + 1))
}

# move SIZE FILE SIZE_OF_FILE_TO_KEEP FILE_TO_KEEP COMPANION_OF_FILE...
move() {
    is_regular "$2" || return
    [ -f "$4" ] || { skip "$2" "the file to keep is missing"; return; }
    [ "$2" -ef "$4" ] && { skip "$2" "it is a link to the file to keep"; return; }
    [ "$(size "$2")" = "$1" ] || { skip "$2" "its size has changed"; return; }
    [ "$(size "$4")" = "$3" ] || { skip "$2" "the size of the file to keep has changed"; return; }
    move_file "$2" || return
    shift 4
    for file do is_regular "$file" && move_file "$file"; done
}

"""
SCRIPT_TAIL = r"""
printf '%s files moved, %s skipped\n' "$moved" "$skipped" >&2
[ "$skipped" -eq 0 ]
"""


def quote_path(path: str) -> str:
    r"""Return a path quoted for sh; bytes that are not valid UTF-8 become octal escapes.

    Raises ValueError if the script cannot move the file: it is in object storage, or its name
    is not valid UTF-8 and ends with a line break, which "$(printf ...)" removes.
    """
    if storage.is_url(path):
        raise ValueError(path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        if path.endswith("\n"):
            raise ValueError(path) from None
        safe = b"/._-"
        octal = "".join(
            chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in safe else f"\\{byte:03o}"
            for byte in os.fsencode(path)
        )
        return f"\"$(printf '{octal}')\""
    return "'" + path.replace("'", "'\\''") + "'"


def quote_companions(copy: DuplicateFile) -> str:
    """Return the companions of a file, each quoted for sh after a space.

    Raises ValueError if the script cannot move a companion.
    """
    return "".join(f" {quote_path(path)}" for path in copy.companions)


def can_move(copy: DuplicateFile) -> bool:
    """Return whether a script can move a file and its companions."""
    try:
        quote_path(copy.path), quote_companions(copy)
    except ValueError:
        return False
    return True


def make_commands(group: DuplicateGroup) -> list[str]:
    """Return the shell commands that move the duplicates in a group away from the file to keep.

    An earlier review decides which files stay. A file that the script cannot move becomes a
    comment.
    """
    keeper = group.kept[0]
    reason = group.reason if keeper is group.keeper else "your choice in an earlier review"
    commands = [f"# keep: {escape_comment(keeper.path)} ({escape_comment(reason)})"]
    for copy in group.moved:
        try:
            words = (str(copy.size), quote_path(copy.path), str(keeper.size))
            commands.append(
                f"move {' '.join(words)} {quote_path(keeper.path)}{quote_companions(copy)}"
            )
        except ValueError:
            commands.append(f"# this script cannot move: {escape_comment(copy.path)}")
    return commands


def escape_comment(path: str) -> str:
    """Return a path for a comment in the script: ASCII, with line breaks escaped."""
    return ascii(path)[1:-1]


def make_script(groups: Sequence[DuplicateGroup]) -> str:
    """Return the shell script that moves the duplicates in all groups away."""
    body = "\n\n".join("\n".join(make_commands(group)) for group in groups)
    return f"{SCRIPT_HEAD}{body}\n{SCRIPT_TAIL}"


def write_script(file: Path, groups: Sequence[DuplicateGroup]) -> None:
    """Write the script of make_script. Errors: SearchAppError if the file cannot be written."""
    with write_output(file) as temporary:
        temporary.write_text(make_script(groups), encoding="utf-8", newline="\n")
