"""`searchapp desktop similar`."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import click

from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.open_viewer import open_in_viewer
from searchapp.cli.shared_options import AppCommand, library_option
from searchapp.cli.start_engine import start_until_exit
from searchapp.errors import PictureError, SearchAppError
from searchapp.files.display_path import display_path
from searchapp.files.enter_path import enter_path
from searchapp.files.library_folder import require_library, resolve_library_folder
from searchapp.server.answer_query import answer_query
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import Example, SearchOptions

HIT_COUNT = 60


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=str))
@library_option
def command(file: str, library: Path | None) -> None:
    """Show the pictures most similar to FILE in the browser; file managers call this.

    Notes and errors also appear as notifications of the desktop.

    \b
    searchapp desktop similar photo.jpg
    """
    try:
        _show_similar(file, resolve_library_folder(library))
    except SearchAppError as error:
        _notify_desktop(str(error))
        raise


def _show_similar(file: str, folder: Path) -> None:
    require_library(folder)
    from searchapp.cli.desktop_files.entries import find_page
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.pages.contact_sheet import Section, write_contact_sheet

    def notify(line: str) -> None:
        print_note(line)
        _notify_desktop(line)

    picture = str(enter_path(file, PictureError))
    choice = EngineChoice(None, None, verbose=is_engine_output_shown())
    answer = answer_query(
        [], SearchOptions(count=HIT_COUNT, include_examples=True), ResidentConfig(folder),
        start_until_exit(choice), use_resident=True, notify=notify,
        examples=[Example(picture)],
    )  # fmt: skip
    page = find_page()
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SearchAppError(
            f"the folder {page.parent} cannot be made: {error.strerror}. Check the permissions."
        ) from error
    title = f"Similar to {display_path(Path(file).name)}"
    write_contact_sheet(page, [Section(title, answer.hits)], title)
    open_in_viewer(str(page))


def _notify_desktop(text: str) -> None:
    """Show a notification of the desktop, if the program for it is installed."""
    program = shutil.which("notify-send")
    if program is None:
        return
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [program, "--app-name=searchapp", "--", "searchapp", display_path(text)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False, timeout=10,
        )  # fmt: skip
