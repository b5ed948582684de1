"""One look for all pages: shared colors and controls, readable in both color schemes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.browser import list_violations, needs_chromium
from support.duplicates import album
from support.library import RunCommand

from searchapp.server.login_page import render_login_page
from searchapp.server.web_files import LOOK_FILE, WEB_FOLDER, load_page_files

__all__ = ["album"]  # a fixture

STYLES = sorted([*LOOK_FILE.parent.glob("*.css"), *WEB_FOLDER.glob("*.css")])
LOOK = LOOK_FILE.read_text(encoding="utf-8")


def find_variables(style: str) -> set[str]:
    return set(re.findall(r"^\s*(?::root \{ )?(--[a-z-]+):", style, re.MULTILINE))


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_colors_come_from_the_shared_style(file: Path) -> None:
    """A variable is defined once, and each one that is used is defined."""
    style = file.read_text(encoding="utf-8")
    own = set(re.findall(r"(--[a-z-]+):", style))
    used = set(re.findall(r"var\((--[a-z-]+)\)", style))
    page_wide = find_variables((WEB_FOLDER / "style.css").read_text(encoding="utf-8"))
    scripts = "".join(each.read_text(encoding="utf-8") for each in WEB_FOLDER.glob("*.js"))
    by_script = set(re.findall(r'"(--[a-z-]+)"', scripts))
    assert used <= own | find_variables(LOOK) | page_wide | by_script
    if file != LOOK_FILE:
        assert not find_variables(style) & find_variables(LOOK)


COMMANDS = {
    "sheet": ("query", "red", "--no-daemon"),
    "review": ("duplicates", "--similar"),
    "map": ("map",),
}


@pytest.fixture
def write_page(run: RunCommand, album: Path, model: Path) -> Callable[[str], Path]:
    """Function that writes one of the pages, and returns its file."""
    run("index", album, "--model", model)

    def write(kind: str) -> Path:
        file = album.parent / f"{kind}.html"
        if kind == "login":
            file.write_bytes(render_login_page(is_wrong=True)[0])
        else:
            assert run(*COMMANDS[kind], "--html", file).exit_code == 0
        return file

    return write


@pytest.mark.parametrize("kind", ["sheet", "review", "map", "login"])
def test_written_pages_contain_the_shared_style(
    write_page: Callable[[str], Path], kind: str
) -> None:
    assert LOOK in write_page(kind).read_text(encoding="utf-8")


def test_the_page_loads_the_shared_style() -> None:
    files = load_page_files()
    index = files.get_file("index.html")
    assert index is not None and b"/look.css" in index.content
    assert files.get_file("look.css") is not None


@needs_chromium
@pytest.mark.parametrize("kind", ["sheet", "review", "map", "login"])
def test_axe_finds_no_violation(
    write_page: Callable[[str], Path], kind: str, chromium: Any
) -> None:
    """The rules of axe hold in both color schemes, on a desktop and on a phone."""
    file = write_page(kind)
    for scheme in ("light", "dark"):
        for width in (1440, 390):
            page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
            page.goto(file.as_uri())
            assert list_violations(page) == [], (scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.close()
