"""`searchapp desktop uninstall`."""

from __future__ import annotations

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand


@click.command(cls=AppCommand)
def command() -> None:
    """Remove what `searchapp desktop install` added, except files that you changed.

    A unit of systemd that runs now ends at logout, or by `systemctl --user stop`.

    \b
    searchapp desktop uninstall
    """
    from searchapp.cli.desktop_files.install import uninstall

    report = uninstall()
    if report is None:
        print_note("nothing is installed")
        return
    for path in report.removed:
        print_line(f"removed {path}")
    for path in report.written:
        print_line(f"restored {path}")
    for path in report.kept:
        print_note(f"kept {path}: you changed it")
