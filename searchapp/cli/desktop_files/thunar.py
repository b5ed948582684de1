"""Add a custom action to the settings of Thunar, and remove it; all other bytes stay.

https://docs.xfce.org/xfce/thunar/custom-actions
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from searchapp.cli.desktop_files.entries import ACTION_NAME, Setup, find_config_folder
from searchapp.cli.desktop_files.quoting import quote_for_thunar

FILE = Path("Thunar") / "uca.xml"
UNIQUE_ID = "searchapp-find-similar"
EMPTY = b'<?xml version="1.0" encoding="UTF-8"?>\n<actions>\n</actions>\n'
ACTION_END = re.compile(rb"</action>[ \t]*\n?")
END = re.compile(rb"</actions\s*>(?!.*</actions\s*>)", re.DOTALL)


def find_settings() -> Path | None:
    """Return the user's file of actions; None if this computer has no Thunar."""
    file = find_config_folder() / FILE
    is_there = file.exists() or _find_system_file() is not None or shutil.which("thunar")
    return file if is_there else None


def read_settings(file: Path) -> bytes:
    """Return the actions that Thunar shows now: of the user, else of the system, else none.

    The user's file hides that of the system, so a new one has to contain the same actions.
    """
    if file.exists():
        return file.read_bytes()
    system_file = _find_system_file()
    return EMPTY if system_file is None else system_file.read_bytes()


def _find_system_file() -> Path | None:
    folders = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    candidates = (Path(folder) / FILE for folder in folders.split(":") if folder)
    return next((file for file in candidates if file.exists()), None)


def make_action(setup: Setup) -> bytes:
    """Return the action that finds pictures similar to one selected picture."""
    command = f"{quote_for_thunar(setup.make_command('desktop', 'similar'))} -- %f"
    return (
        "<action>\n"
        "\t<icon>searchapp</icon>\n"
        f"\t<name>{escape(ACTION_NAME)}</name>\n"
        f"\t<unique-id>{UNIQUE_ID}</unique-id>\n"
        f"\t<command>{escape(command)}</command>\n"
        "\t<description>Find pictures that look like this one</description>\n"
        "\t<patterns>*</patterns>\n"
        "\t<image-files/>\n"
        "</action>\n"
    ).encode()


def add_action(settings: bytes, action: bytes) -> bytes | None:
    """Return the settings with the action at the end; None if they are no list of actions."""
    if _parse(settings) is None or (end := END.search(settings)) is None:
        return None
    added = settings[: end.start()] + action + settings[end.start() :]
    return None if _parse(added) is None else added


def find_action(settings: bytes) -> bytes | None:
    """Return the text of the action of searchapp, with the spaces around it; None if missing."""
    if _parse(settings) is None:
        return None
    before, mark, after = settings.partition(f"<unique-id>{UNIQUE_ID}</unique-id>".encode())
    start, end = before.rfind(b"<action>"), ACTION_END.search(after)
    if not mark or start < 0 or end is None:
        return None
    start = len(before[:start].rstrip(b" \t"))
    return before[start:] + mark + after[: end.end()]


def remove_action(settings: bytes, found: bytes, installed: bytes) -> bytes | None:
    """Return the settings without the action that find_action found; None if it is not separate.

    installed: the action as it was added. If it is unchanged, exactly these bytes are removed.
    """
    text = installed if installed and settings.count(installed) == 1 else found
    removed = settings.replace(text, b"", 1)
    before, after = _parse(settings), _parse(removed)
    if before is None or after is None or len(after) != len(before) - 1:
        return None
    return removed


def has_same_values(first: bytes, second: bytes) -> bool:
    """Return whether two actions say the same; Thunar indents them anew when it saves."""
    values = [_parse(action.strip()) for action in (first, second)]
    return None not in values and _list_values(values[0]) == _list_values(values[1])


def _list_values(action: Element | None) -> Sequence[tuple[str, str]]:
    children = () if action is None else action
    # Newer versions of Thunar add empty elements, such as <submenu> and <range>.
    return sorted(
        (child.tag, child.text or "")
        for child in children
        if child.text or child.tag.endswith("-files")
    )


def _parse(settings: bytes) -> Element | None:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(settings)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    return root
