"""Entry point of the resident process in the background: `python -m searchapp.server`."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from searchapp.errors import SearchAppError
from searchapp.files.logging_setup import (
    FILE_VARIABLE,
    LONG_FORMAT,
    VERBOSE_VARIABLE,
    StderrHandler,
    set_up_logging,
)
from searchapp.server.resident import ResidentSettings, serve_library
from searchapp.server.resident_lock import UNAVAILABLE_EXIT_CODE, ResidentUnavailableError


def main() -> None:
    """Parse the arguments, and serve until the process is stopped or idle for too long."""
    parser = argparse.ArgumentParser(prog="python -m searchapp.server")
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--keep-alive", type=float, required=True, help="minutes")
    parser.add_argument("--engine")
    # The command that starts this process leaves its log options in the environment.
    verbosity = int(os.environ.get(VERBOSE_VARIABLE) or 0)
    parser.add_argument("-v", "--verbose", action="count", default=verbosity)
    parser.add_argument("--log-file", type=Path, default=os.environ.get(FILE_VARIABLE) or None)
    arguments = parser.parse_args()
    api_key = os.environ.get("SEARCHAPP_API_KEY")
    settings = ResidentSettings(
        arguments.library,
        keep_alive_min=arguments.keep_alive,
        engine_url=arguments.engine,
        api_key=api_key,
        verbose=arguments.verbose >= 2,
    )
    try:
        with set_up_logging(
            arguments.verbose, arguments.log_file, partial(StderrHandler, LONG_FORMAT)
        ):
            serve_library(settings)
    except SearchAppError as error:
        print(f"searchapp: {error}", file=sys.stderr)
        is_unavailable = isinstance(error, ResidentUnavailableError)
        sys.exit(UNAVAILABLE_EXIT_CODE if is_unavailable else error.exit_code)


if __name__ == "__main__":
    main()
