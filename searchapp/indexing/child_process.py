"""Start a module of searchapp as a child process that has a socket to its parent."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection

# A child can stop in the middle of a message. Once it has begun one, reading the rest waits this
# long for more bytes, and then raises OSError.
MESSAGE_TIMEOUT_S = 60.0


def start_module(
    name: str, environment: Mapping[str, str], *, shows_errors: bool
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Call `main` of a module in a child process; return the process, and the parent's socket.

    The child's first command line argument is the number of its socket, which closes when the child
    ends. environment: additional variables. shows_errors: keep what the child writes to stderr.
    Wait until the socket is readable before you read it, because of MESSAGE_TIMEOUT_S.
    """
    own_socket, child_socket = socket.socketpair()
    timeout = struct.pack("ll", int(MESSAGE_TIMEOUT_S), int(MESSAGE_TIMEOUT_S % 1 * 1e6))
    own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    with child_socket:
        process = subprocess.Popen(
            # Not `-m name`: pickled objects of this module would belong to the module __main__.
            # -P: a picture folder must not provide modules.
            [
                sys.executable,
                "-P",
                "-c",
                f"from {name} import main; main()",
                str(child_socket.fileno()),
            ],
            pass_fds=[child_socket.fileno()],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if shows_errors else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must reach the parent only.
        )
    return process, Connection(own_socket.detach())


def describe_exit(code: int | None) -> str:
    """Return a signal or an exit code in words. code: returncode of an ended process."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
