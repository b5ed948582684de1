"""Quote the words of a command line in the formats of desktop files, systemd, Thunar and sh."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from searchapp.errors import SearchAppError
from searchapp.files.display_path import is_utf8


def check_words(words: Sequence[str]) -> None:
    """Raise SearchAppError if a file of the desktop cannot hold a word.

    These files are UTF-8, and a line end starts a new key. A desktop file also takes no = in the
    path of a program.
    """
    for word in words:
        if not (is_utf8(word) and word.isprintable()):
            raise SearchAppError(
                f"{word} cannot be written to a file of the desktop: its name has control "
                "characters, or is not UTF-8. Rename it."
            )
    if "=" in words[0]:
        raise SearchAppError(
            f"{words[0]} cannot be written to a file of the desktop: its path contains =. Install "
            "searchapp in another folder."
        )


def quote_for_desktop_file(words: Sequence[str]) -> str:
    """Return the value of the key Exec.

    First each word is quoted, then backslashes are escaped, as in each value of the format. GLib
    looks for the program before it replaces %%, so env starts a program with % in its path.
    https://specifications.freedesktop.org/desktop-entry-spec/latest/exec-variables.html
    """
    return " ".join(map(_quote_exec_word, _use_env(words, "%"))).replace("\\", "\\\\")


def _quote_exec_word(word: str) -> str:
    for character in '\\"`$':
        word = word.replace(character, f"\\{character}")
    return f'"{word.replace("%", "%%")}"'


def quote_for_systemd(words: Sequence[str]) -> str:
    """Return the value of ExecStart=; the colon keeps $ as it is.

    systemd refuses quotes and backslashes in the path of a program, so env starts such a program.
    https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    """
    program, *arguments = _use_env(words, "'\"\\")
    return " ".join(map(_quote_systemd_word, [f":{program}", *arguments]))


def _quote_systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _use_env(words: Sequence[str], refused: str) -> Sequence[str]:
    """Return words that start a program by env if its path has one of the refused characters."""
    return ["/usr/bin/env", *words] if set(words[0]) & set(refused) else words


def quote_for_thunar(words: Sequence[str]) -> str:
    """Return a command of Thunar, which replaces field codes and calls a shell."""
    return shlex.join(words).replace("%", "%%")
