"""Test the HTML templates: values are escaped, pages load nothing, all files are packaged."""

from __future__ import annotations

import json
import os
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchapp.pages.contact_sheet import Section, write_contact_sheet
from searchapp.pages.duplicates_review import write_review
from searchapp.pages.html_template import render_html
from searchapp.pages.map.write_map import PictureMap, Tile, write_map
from searchapp.types import DuplicateFile, DuplicateGroup, Duplicates, Hit

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "searchapp" / "pages" / "templates"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\" & {{ 7 * 7 }}"
HOSTILE_NAME = HOSTILE.replace("/", "\u2215")  # no file name has a slash
INVALID_NAME = os.fsdecode(b"caf\xe9 \n.jpg")


def read_script_data(html: str) -> Any:
    """Return the JSON of a page's data element."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def make_contact_sheet(folder: Path, names: list[str]) -> str:
    hits = [Hit(str(folder / name), 0.5, "0" * 64, width=8, height=8) for name in names]
    write_contact_sheet(folder / "page.html", [Section(HOSTILE, hits)], title=HOSTILE)
    return (folder / "page.html").read_text("utf-8")


def make_duplicates_review(folder: Path, names: list[str]) -> str:
    copies = [
        DuplicateFile(
            str(folder / name), 9, 8, 8, HOSTILE, HOSTILE, "", "0" * 64, 1, "near", HOSTILE
        )
        for name in names
    ]
    groups = (DuplicateGroup(copies[0], HOSTILE, tuple(copies[1:])),)
    write_review(folder / "page.html", Duplicates(groups, (), len(names), 0))
    return (folder / "page.html").read_text("utf-8")


def make_picture_map(folder: Path, names: list[str]) -> str:
    tiles = [Tile(str(folder / name), Image.new("RGB", (8, 8)), HOSTILE) for name in names]
    cells = np.array([[number, 0] for number in range(len(names))], np.int32)
    write_map(folder / "page.html", PictureMap(tiles, cells, HOSTILE, HOSTILE, len(names)))
    return (folder / "page.html").read_text("utf-8")


PAGES = (make_contact_sheet, make_duplicates_review, make_picture_map)


@pytest.mark.parametrize("make_page", PAGES)
def test_hostile_text_is_escaped(make_page: Any, tmp_path: Path) -> None:
    """Names, titles and reasons cannot end an element or a script, and are not a template."""
    html = make_page(tmp_path, [HOSTILE_NAME, "b.jpg"])
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "49" not in re.sub(r"base64,[^\"]*|<style>.*?</style>", "", html, flags=re.DOTALL)
    assert html.count("</script>") == html.count("<script")


@pytest.mark.parametrize("make_page", PAGES)
def test_a_page_loads_nothing(make_page: Any, tmp_path: Path) -> None:
    """The content security policy forbids all requests, and the page has no web address."""
    html = make_page(tmp_path, ["a.jpg"])
    assert html.startswith("<!doctype html>\n")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; img-src data:")
    assert ("script-src" in policy) == ("<script" in html)
    assert not re.search(r"https?:|//[a-z]|@import|<link", html.replace("file://", ""))
    assert "light dark" in html and "prefers-color-scheme: dark" in html


def test_invalid_file_names_survive(tmp_path: Path) -> None:
    """A name that is not valid UTF-8 is displayed, and links and scripts keep its bytes."""
    html = make_contact_sheet(tmp_path, [INVALID_NAME])
    assert "caf\ufffd" in html and "caf%E9" in html
    html = make_duplicates_review(tmp_path, [INVALID_NAME, "b.jpg"])
    assert ">caf\ufffd \\n.jpg<" in html and "caf%E9" in html
    assert "caf\\351" in read_script_data(html)["files"][0]["word"]
    data = read_script_data(make_picture_map(tmp_path, [INVALID_NAME]))
    assert os.fsencode(data["tiles"][0][5]) == b"caf\xe9 \n.jpg"
    assert "caf%E9" in data["tiles"][0][6]


def test_a_missing_value_is_an_error() -> None:
    """A missing value is not written as an empty string."""
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render_html("contact_sheet.html", title="no sections")


def test_templates_are_packaged() -> None:
    """Each file is in the wheel, and no CSS or script can end the element that contains it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        config = tomllib.load(file)
    patterns = config["tool"]["setuptools"]["package-data"]["searchapp.pages"]
    files = sorted(TEMPLATES.iterdir())
    assert {file.suffix for file in files} == {".css", ".html", ".js"}
    for file in files:
        assert any(fnmatch(f"templates/{file.name}", pattern) for pattern in patterns), file
        if file.suffix != ".html":
            assert "</" not in file.read_text("utf-8"), file
