"""Open a file or an address in the program that the user's desktop has for it."""

from __future__ import annotations

import os
import subprocess
import sys

from searchapp.cli.log_output import print_note


def open_in_viewer(target: str) -> None:
    """Open a path or URL in its default program; a note says so if the desktop cannot."""
    if problem := start_viewer(target):
        print_note(problem)


def start_viewer(target: str) -> str | None:
    """Start the default program for a path or URL; return a message if no program can be started.

    The output of the program is discarded, because this command may print data. click.launch()
    lets the program write to the terminal, and into a pipe.
    """
    try:
        if sys.platform == "win32":
            os.startfile(target)
        else:
            opener = "open" if sys.platform == "darwin" else "xdg-open"
            subprocess.Popen(
                [opener, target], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        return f"no program can be started ({error.strerror}); open {target} yourself"
    return None
