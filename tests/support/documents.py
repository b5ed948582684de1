"""Read the documentation: its files, and the code blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

from support.paths import ROOT

README = ROOT / "README.md"
TOPICS = ROOT / "searchapp" / "docs"
DOCUMENTS = (README, *sorted(TOPICS.glob("*.md")))


def read_blocks(file: Path, kind: str) -> list[str]:
    """Return the code blocks of one kind in a document: sh, console, python or toml."""
    text = file.read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def read_lines(file: Path, kind: str) -> list[str]:
    """Return the lines of all code blocks of one kind."""
    return [line for block in read_blocks(file, kind) for line in block.splitlines()]


def read_prose(file: Path) -> str:
    """Return a document without its code blocks."""
    text = file.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
