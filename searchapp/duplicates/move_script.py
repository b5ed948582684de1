"""A shell script that moves files away, for a person to read and run; nothing runs it here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from searchapp.files import storage
from searchapp.files.atomic import write_output
from searchapp.types import DuplicateFile, DuplicateGroup

SCRIPT_HEAD = r"""#!/bin/sh
# Made by `searchapp duplicates`. Read it, take out the lines of files that you want to stay, then:
#
#   sh THIS_FILE          moves the others to the trash
#   sh THIS_FILE FOLDER   moves them into FOLDER instead, each below its old path
#
# Nothing is deleted. Before each move it is seen to that the file to keep is there, and that both
# are as large as they were. What belongs to a file (RAW, a Live Photo's film, .xmp) moves with it.
set -u
folder=${1:-}
moved=0 left=0

fail() { printf '%s\n' "$1" >&2; exit 2; }

if [ -n "$folder" ]; then
    mkdir -p -- "$folder" || fail "the folder cannot be made"
    folder=$(cd -- "$folder" && pwd && printf .) || fail "the folder cannot be used"
    folder=${folder%??}
elif command -v gio >/dev/null 2>&1; then trash() { gio trash -- "$1"; }
elif command -v trash-put >/dev/null 2>&1; then trash() { trash-put -- "$1"; }
elif [ "$(uname)" = Darwin ] && [ -x /usr/bin/trash ]; then trash() { /usr/bin/trash "$1"; }
else fail "no trash is known here; name a folder to move the files to: sh $0 FOLDER"
fi

leave() { left=$((left + 1)); printf 'left: %s: %s\n' "$2" "$1" >&2; }

size() { wc -c < "$1" | tr -d ' '; }

plain() {
    [ -f "$1" ] && [ ! -L "$1" ] || { leave "$1" "no plain file there any more"; return 1; }
}

put() {
    if [ -n "$folder" ]; then
        to=$folder$1
        [ ! -e "$to" ] && [ ! -L "$to" ] ||
            { leave "$1" "there is one below the folder"; return 1; }
        mkdir -p -- "${to%/*}" && mv -- "$1" "$to" || { leave "$1" "it cannot be moved"; return 1; }
    else
        trash "$1" || { leave "$1" "the trash does not take it"; return 1; }
    fi
    moved=$((moved + 1))
}

# move SIZE FILE SIZE_OF_THE_ONE_TO_KEEP THE_ONE_TO_KEEP WHAT_BELONGS_TO_THE_FILE...
move() {
    plain "$2" || return
    [ -f "$4" ] || { leave "$2" "the one to keep is gone"; return; }
    [ "$2" -ef "$4" ] && { leave "$2" "it is the one to keep, by another name"; return; }
    [ "$(size "$2")" = "$1" ] || { leave "$2" "it has changed"; return; }
    [ "$(size "$4")" = "$3" ] || { leave "$2" "the one to keep has changed"; return; }
    put "$2" || return
    shift 4
    for file do plain "$file" && put "$file"; done
}

"""
SCRIPT_TAIL = r"""
printf '%s moved, %s left\n' "$moved" "$left" >&2
[ "$left" -eq 0 ]
"""


def quote_path(path: str) -> str:
    """Return a path as a word of the shell, in ASCII and printable where it is not plain text.

    Raise ValueError for a name that is no valid UTF-8 and ends with a line break: the shell takes
    that away. So for a file in object storage, that the script cannot move.
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
    """Return what moves with a file, as words behind others; ValueError as of quoted."""
    return "".join(f" {quote_path(path)}" for path in copy.companions)


def make_commands(group: DuplicateGroup) -> list[str]:
    """Return the commands that move a group's others away; one that cannot be named is told."""
    commands = [f"# keep: {escape_comment(group.keeper.path)} ({escape_comment(group.reason)})"]
    for copy in group.others:
        try:
            words = (str(copy.size), quote_path(copy.path), str(group.keeper.size))
            commands.append(
                f"move {' '.join(words)} {quote_path(group.keeper.path)}{quote_companions(copy)}"
            )
        except ValueError:
            commands.append(f"# cannot be moved by this script: {escape_comment(copy.path)}")
    return commands


def escape_comment(path: str) -> str:
    """Return a path that cannot end a comment."""
    return ascii(path)[1:-1]


def write_script(file: Path, groups: Sequence[DuplicateGroup]) -> None:
    """Write the script; raise SearchAppError where it cannot be written."""
    body = "\n\n".join("\n".join(make_commands(group)) for group in groups)
    with write_output(file) as temporary:
        temporary.write_text(f"{SCRIPT_HEAD}{body}\n{SCRIPT_TAIL}", encoding="utf-8", newline="\n")
