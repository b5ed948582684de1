"""Counts in messages have a noun in the right form."""

from __future__ import annotations

import re

from support.paths import ROOT

from searchapp.types import format_count


def test_noun_follows_the_count() -> None:
    """Only 1 has a singular; large numbers have separators."""
    assert [format_count(count, "file") for count in (0, 1, 2, 1200)] == [
        "0 files", "1 file", "2 files", "1,200 files"
    ]  # fmt: skip


def test_messages_of_the_command_line_use_it() -> None:
    """No command writes a plural after a number of its own."""
    plural = re.compile(r"\{[^{}]*:,\} (?:\w+ )?(?:files|pictures|images|vectors|videos)\b")
    for file in (ROOT / "searchapp" / "cli").rglob("*.py"):
        assert plural.findall(file.read_text()) == [], file
