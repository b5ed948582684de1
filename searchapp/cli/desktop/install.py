"""`searchapp desktop install`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand, library_option
from searchapp.errors import FolderError, SearchAppError
from searchapp.files.enter_path import enter_path
from searchapp.files.library_folder import require_library, resolve_library_folder


@click.command(cls=AppCommand)
@click.argument("folders", nargs=-1, type=click.Path(path_type=str))
@library_option
def command(folders: tuple[str, ...], library: Path | None) -> None:
    """Add searchapp to the menu, and an action for pictures to Nautilus, Dolphin and Thunar.

    Two user units of systemd are written, too: one serves the page, the other watches FOLDERS, by
    default all folders that were indexed. Nothing starts before you enable them with systemctl. A
    file that is not of searchapp, or that you changed, is kept and named.

    \b
    searchapp desktop install
    searchapp desktop install ~/Pictures
    """
    if sys.platform in ("darwin", "win32"):
        raise SearchAppError(
            "desktop install works on Linux only. `searchapp docs integrations` lists other ways."
        )
    folder = resolve_library_folder(library)
    require_library(folder)
    from searchapp.cli.desktop_files.entries import Setup
    from searchapp.cli.desktop_files.install import install
    from searchapp.cli.desktop_files.watched_folders import list_indexed_folders

    watched = [str(enter_path(each, FolderError)) for each in folders]
    report = install(Setup(folder, tuple(watched or list_indexed_folders(folder))))
    for path in report.written:
        print_line(f"wrote {path}")
    for path in report.removed:
        print_line(f"removed {path}")
    if not report.written and not report.removed:
        print_note("nothing to change: everything is installed")
    for path in report.kept:
        print_note(f"kept {path}: it is not of searchapp, or you changed it")
    units = [path.name for path in report.written if path.suffix == ".service"]
    if units:
        print_note(f"to start at login: systemctl --user enable --now {' '.join(units)}")
