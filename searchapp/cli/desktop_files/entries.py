"""Make the files that put searchapp on a desktop of Linux."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from searchapp.cli.desktop_files.quoting import (
    check_words,
    quote_for_desktop_file,
    quote_for_systemd,
)

ACTION_NAME = "Find similar with searchapp"
NOTE = "Written by `searchapp desktop install`; `searchapp desktop uninstall` removes it."


@dataclass(frozen=True, slots=True)
class Setup:
    """Library that the desktop opens, and the folders that are watched."""

    library: Path  # absolute
    watched: tuple[str, ...] = ()  # none: there is no unit that watches

    def __post_init__(self) -> None:
        """Check that the paths can be written to the files. Raises SearchAppError."""
        check_words([*find_program(), str(self.library), *self.watched])

    def make_command(self, *words: str) -> list[str]:
        """Return the words of a command of searchapp that uses the library."""
        return [*find_program(), *words, "--library", str(self.library)]


@dataclass(frozen=True, slots=True)
class Entry:
    """File to write: its path, content and permissions."""

    path: Path
    content: bytes
    mode: int = 0o644


def find_program() -> list[str]:
    """Return the words that start this copy of searchapp: its script, or the module."""
    script = Path(sys.executable).with_name("searchapp")
    return [str(script)] if script.is_file() else [sys.executable, "-P", "-m", "searchapp"]


def find_user_folder(variable: str, default: str) -> Path:
    """Return a folder of the user; a relative path in its variable is ignored, as XDG requires.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    value = os.environ.get(variable, "")
    return Path(value) if os.path.isabs(value) else Path.home() / default  # noqa: PTH117


def find_data_folder() -> Path:
    """Return the user's folder for data, XDG_DATA_HOME."""
    return find_user_folder("XDG_DATA_HOME", ".local/share")


def find_config_folder() -> Path:
    """Return the user's folder for settings, XDG_CONFIG_HOME."""
    return find_user_folder("XDG_CONFIG_HOME", ".config")


def find_page() -> Path:
    """Return the path of the page that shows similar pictures."""
    return find_user_folder("XDG_CACHE_HOME", ".cache") / "searchapp" / "similar.html"


def make_entries(setup: Setup) -> list[Entry]:
    """Return all files to write, except the settings of Thunar, which belong to the user."""
    data, units = find_data_folder(), find_config_folder() / "systemd" / "user"
    icon = (files("searchapp.server") / "web" / "favicon.svg").read_bytes()
    entries = [
        Entry(data / "icons" / "hicolor" / "scalable" / "apps" / "searchapp.svg", icon),
        Entry(data / "applications" / "searchapp.desktop", _make_menu_entry(setup)),
        Entry(data / "nautilus" / "scripts" / ACTION_NAME, _make_nautilus_script(setup), 0o755),
        # KDE runs a service menu from the user's folder only if the file is executable.
        Entry(
            data / "kio" / "servicemenus" / "searchapp-similar.desktop",
            _make_service_menu(setup),
            0o755,
        ),
        Entry(
            units / "searchapp-serve.service",
            _make_unit("searchapp: the web page", setup.make_command("serve")),
        ),
    ]
    if setup.watched:
        command = [*setup.make_command("watch"), "--", *setup.watched]
        unit = _make_unit("searchapp: index new pictures", command)
        entries.append(Entry(units / "searchapp-watch.service", unit))
    return entries


def _join_lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _make_menu_entry(setup: Setup) -> bytes:
    return _join_lines(
        f"# {NOTE}",
        "[Desktop Entry]",
        "Type=Application",
        "Name=searchapp",
        "GenericName=Picture Search",
        "Comment=Find pictures by words, by a picture, or by both",
        f"Exec={quote_for_desktop_file(setup.make_command('serve', '--open'))}",
        "Icon=searchapp",
        "Terminal=false",
        "Categories=Graphics;Viewer;",
        "Keywords=pictures;photos;images;search;",
    )


def _make_nautilus_script(setup: Setup) -> bytes:
    """Return a script for the menu Scripts; Nautilus passes the names of the selected files.

    https://help.ubuntu.com/community/NautilusScriptsHowto
    """
    command = shlex.join(setup.make_command("desktop", "similar"))
    return _join_lines("#!/bin/sh", f"# {NOTE}", f'exec {command} -- "$1"')


def _make_service_menu(setup: Setup) -> bytes:
    """Return a service menu of Dolphin.

    The type Service is that of KDE, not of freedesktop.org, so desktop-file-validate refuses it.
    https://develop.kde.org/docs/apps/dolphin/service-menus/
    """
    command = quote_for_desktop_file(setup.make_command("desktop", "similar"))
    return _join_lines(
        f"# {NOTE}",
        "[Desktop Entry]",
        "Type=Service",
        "X-KDE-ServiceTypes=KonqPopupMenu/Plugin",  # for Plasma 5
        "MimeType=image/*;",
        "Actions=findSimilar;",
        "X-KDE-RequiredNumberOfUrls=1",
        "",
        "[Desktop Action findSimilar]",
        f"Name={ACTION_NAME}",
        "Icon=searchapp",
        f"Exec={command} -- %f",
    )


def _make_unit(description: str, command: Sequence[str]) -> bytes:
    return _join_lines(
        f"# {NOTE}",
        "[Unit]",
        f"Description={description}",
        "",
        "[Service]",
        f"ExecStart={quote_for_systemd(command)}",
        "Restart=on-failure",
        "RestartSec=30",
        "",
        "[Install]",
        "WantedBy=default.target",
    )
