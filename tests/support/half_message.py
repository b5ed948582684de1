"""A child process that stops in the middle of a message."""

from __future__ import annotations

import os
import signal
import struct
import sys


def main() -> None:
    """Send the length of a message and half of it, then stop like a process that hangs."""
    os.write(int(sys.argv[1]), struct.pack("!i", 100) + bytes(50))
    os.kill(os.getpid(), signal.SIGSTOP)
