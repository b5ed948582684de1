"""Open standard streams that are closed, and recognize errors of the standard output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click


def open_closed_streams() -> None:
    """Open the null device in place of closed standard streams, such as stdout after `>&-`.

    Otherwise the next file that is opened, such as the catalog, gets the number of the stream, and
    lines that a library prints end up in this file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        with suppress(OSError):
            os.fstat(number)
            continue  # Another file has the number already.
        descriptor = os.open(os.devnull, os.O_RDWR)  # POSIX: the lowest free number
        if descriptor == number:
            os.set_inheritable(number, True)
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        else:
            os.close(descriptor)


def is_output_error(error: OSError) -> bool:
    """Return whether an error comes from writing the output of a command, not from its work."""
    import traceback  # Commands that write all their output do not need it.

    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code in (click.echo.__code__, flush_output.__code__)


def flush_output() -> None:
    """Write what is still in the buffer of the standard output."""
    sys.stdout.flush()


def discard_output() -> None:
    """Send the rest of the output to the null device, so that Python can flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
