"""Test the page to review duplicates: its thumbnails, and the choice in a real browser."""

from __future__ import annotations

import base64
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.browser import needs_chromium
from support.duplicates import album, find_duplicates, make_near_copy
from support.library import index_folder
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.duplicates.review_store import SavedReview
from searchapp.library import Library
from searchapp.pages.duplicates_review import write_review
from searchapp.types import DuplicateGroup, Duplicates, ReviewChoice

__all__ = ["album"]  # a fixture


def test_each_file_has_its_own_thumbnail(tmp_path: Path) -> None:
    """Thumbnails stay in order if a file cannot be read, also among look-alikes."""
    files = [save_picture(tmp_path / f"{color}.png", color) for color in ("red", "lime", "blue")]
    red, lime, blue = (make_near_copy(file, 5) for file in files)
    groups = (DuplicateGroup(red, "", (make_near_copy(tmp_path / "none.png", 5), lime)),)
    write_review(tmp_path / "x.html", Duplicates(groups, (DuplicateGroup(blue, "", ()),), 4, 0))
    page = (tmp_path / "x.html").read_text()
    thumbnails = re.findall(
        r'<button class="toggle"[^>]*><(?:img src="data:[^,]*,([^"]*)|span)', page
    )
    colors = [
        max(Image.open(io.BytesIO(base64.b64decode(data))).getcolors(1 << 20))[1] if data else None
        for data in thumbnails
    ]
    assert colors[1] is None
    assert [int(np.argmax(color)) for color in colors if color] == [0, 1, 2]


@needs_chromium
def test_choosing_files_in_a_browser(
    opened: Library, album: Path, model: Path, chromium: Any
) -> None:
    """Mouse and keys choose files, one file always stays, and the saved script moves the others."""
    odd = album / "it's <b>\n`x`.jpg"
    (album / "boat (1).jpg").rename(odd)
    (album / "boat.jpg.xmp").write_bytes(make_xmp())
    index_folder(opened, album, model)
    page_file, away = album.parent / "review.html", album.parent / "away"
    write_review(page_file, find_duplicates(opened))
    console_lines: list[str] = []
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.on("console", lambda line: console_lines.append(line.text))
    page.on("pageerror", lambda error: console_lines.append(str(error)))
    page.goto(page_file.as_uri())
    message, marks = page.locator("output"), page.locator(".verdict")
    assert marks.all_text_contents() == ["stays", "moves away", "moves away"]
    page.locator(".toggle").first.click()
    assert message.text_content() == "Keep at least one file of each picture."
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    assert marks.all_text_contents() == ["moves away", "stays", "moves away"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert marks.all_text_contents() == ["moves away", "stays", "stays"]
    assert str(message.text_content()).startswith("1 file to move away")
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(album.parent / "move.sh")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".state").text_content() == "reviewed"
    page.locator(".toggle").first.focus()
    page.keyboard.press("a")
    with page.expect_download() as download:
        page.locator("#choices").click()
    download.value.save_as(album.parent / "choices.json")
    page.close()
    assert console_lines == []
    assert opened.reviews.load(album.parent / "choices.json") == SavedReview(1, 0)
    assert find_duplicates(opened).groups == ()
    kept = {file.name for file in album.iterdir()}
    subprocess.run(["sh", album.parent / "move.sh", away], check=True, capture_output=True)
    moved = {file.name for file in away.rglob("*") if file.is_file()}
    assert kept - {file.name for file in album.iterdir()} == moved == {"boat.jpg", "boat.jpg.xmp"}


@needs_chromium
def test_the_page_begins_with_earlier_choices(
    opened: Library, album: Path, model: Path, chromium: Any
) -> None:
    """Nothing is saved before a group is reviewed; a button confirms the choices as they are."""
    index_folder(opened, album, model)
    (group,) = find_duplicates(opened).groups
    files = (group.keeper, *group.others)
    opened.reviews.save(
        [[ReviewChoice(copy.path, copy.sha256, copy is files[2]) for copy in files]]
    )
    write_review(album.parent / "review.html", find_duplicates(opened))
    page = chromium.new_page()
    page.goto((album.parent / "review.html").as_uri())
    marks = page.locator(".verdict").all_text_contents()
    assert marks == ["moves away", "moves away", "stays"]
    assert page.locator(".state").text_content() == "chosen in an earlier review"
    assert page.locator("#choices").is_disabled()
    page.locator(".confirm").click()
    assert page.locator("#choices").is_enabled()
    page.get_by_role("button", name="Keep all").click()
    assert page.locator(".verdict").all_text_contents() == ["stays"] * 3
    page.close()
