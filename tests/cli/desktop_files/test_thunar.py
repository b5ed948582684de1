"""Custom actions of Thunar: one is added and removed, and all other bytes stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring

from searchapp.cli.desktop_files import thunar
from searchapp.cli.desktop_files.entries import Setup

OTHER = """<action>
\t<icon>utilities-terminal</icon>
\t<name>Open &amp; "Terminal" Here — caf\u00e9</name>
\t<unique-id>1690000000000000-1</unique-id>
\t<command>exo-open --working-directory %f</command>
\t<patterns>*</patterns>
\t<directories/>
</action>"""
SETTINGS = [
    f'<?xml version="1.0" encoding="UTF-8"?>\n<actions>\n{OTHER}\n</actions>\n',
    f"<actions>{OTHER}</actions>",
    f"<actions>\r\n  {OTHER}\r\n  <!-- <action> </actions> -->\r\n  </actions >\r\n\r\n",
    "<actions>\n</actions>",
]


@pytest.fixture
def action() -> bytes:
    return thunar.make_action(Setup(Path("/data/a & b <c> 100% it's")))


@pytest.mark.parametrize("text", SETTINGS)
def test_an_action_is_added_and_removed_byte_by_byte(text: str, action: bytes) -> None:
    settings = text.encode()
    added = thunar.add_action(settings, action)
    assert added is not None and thunar.add_action(settings, action) == added
    assert len(fromstring(added)) == len(fromstring(settings)) + 1
    found = thunar.find_action(added)
    assert found is not None and thunar.has_same_values(found, action)
    assert thunar.remove_action(added, found, action) == settings


def test_the_command_is_escaped(action: bytes) -> None:
    command = fromstring(action).findtext("command")
    assert command.endswith("/data/a & b <c> 100%% it'\"'\"'s' -- %f")


def test_an_action_that_thunar_saved_again_is_found(action: bytes) -> None:
    """Thunar indents it in its own way, and adds empty elements."""
    added = thunar.add_action(SETTINGS[0].encode(), action)
    assert added is not None
    saved = added.replace(b"\n\t", b"\n        ").replace(
        b"<image-files/>", b"<submenu></submenu><range></range><image-files/>"
    )
    found = thunar.find_action(saved)
    assert found is not None and thunar.has_same_values(found, action)
    removed = thunar.remove_action(saved, found, action)
    assert removed is not None and len(fromstring(removed)) == 1
    changed = found.replace(b"Find similar", b"My own")
    assert not thunar.has_same_values(changed, action)


@pytest.mark.parametrize("settings", [b"", b"<actions>", b"<other/>", b"\xff\xfe", b"<!DOCTYPE a>"])
def test_damaged_settings_are_not_changed(settings: bytes, action: bytes) -> None:
    assert thunar.add_action(settings, action) is None
    assert thunar.find_action(settings) is None
