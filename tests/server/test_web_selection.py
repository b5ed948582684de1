"""Selecting pictures on the web page, and searching by them or by a part of one, in Chromium."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    each_view,
    expect,
    expect_count,
    list_violations,
    locate_tile,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.metadata_files import make_exif
from support.sample_pictures import make_picture

from searchapp.library import Library

pytestmark = needs_chromium

COLORS = ("red", "orange", "gold", "yellow", "lime", "green", "teal", "cyan", "blue", "purple")
COUNT = 2 * len(COLORS) + 1


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with plain pictures of two months, and one that is half blue and half red."""
    album = tmp_path_factory.mktemp("selection") / "album"
    album.mkdir()
    for number in range(COUNT - 1):
        color, month = COLORS[number % len(COLORS)], 6 - number // len(COLORS)
        exif = make_exif(f"2023:{month:02}:{20 - number % len(COLORS):02} 12:00:00")
        picture = make_picture(color, (400, 300), mark=number // len(COLORS))
        picture.save(album / f"{color}-{month}.jpg", exif=exif)
    halves = Image.new("RGB", (800, 600), "blue")
    halves.paste("red", (400, 0, 800, 600))
    halves.save(album / "halves.jpg", exif=make_exif("2023:07:01 12:00:00"), quality=95)
    return album


@pytest.fixture(scope="module")
def site(album: Path) -> Iterator[str]:
    """URL of a server with the album, whose engine runs."""
    root = album.parent
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, album, write_fake_clip(root / "fake-clip"))
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The first view on a desktop; tile 0 is the picture with two halves."""
    page = tabs.open_page(site)
    expect_count(page, COUNT)
    return page


def expect_selected(page: Any, *indexes: int) -> None:
    """Expect that exactly these tiles are selected, and that the bar counts them."""
    selected = page.locator("#results li.selected")
    expect(selected).to_have_count(len(indexes))
    found = selected.evaluate_all("items => items.map(item => Number(item.dataset.index))")
    assert sorted(found) == sorted(indexes)
    bar = page.get_by_role("toolbar", name="Selected pictures")
    if indexes:
        expect(bar.locator("#selection-count")).to_have_text(f"{len(indexes)} selected")
    else:
        expect(bar).to_have_count(0)


def select(page: Any, *indexes: int) -> None:
    for index in indexes:
        locate_tile(page, index).hover()
        locate_tile(page, index).get_by_role("checkbox").click()


def get_center(tile: Any) -> tuple[float, float]:
    box = tile.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def find_ids(page: Any, *indexes: int) -> list[str]:
    return [locate_tile(page, index).get_attribute("data-id") for index in indexes]


def expect_name(page: Any, index: int, pattern: str) -> None:
    """Wait until a tile shows a picture whose name begins with a pattern."""
    image = locate_tile(page, index).locator("img")
    expect(image).to_have_attribute("alt", re.compile(f"^({pattern})"))


def test_mouse_selects_single_pictures_and_ranges(page: Any) -> None:
    """The mark appears under the mouse; while pictures are selected, a click selects, too."""
    mark = locate_tile(page, 2).get_by_role("checkbox")
    expect(mark).to_have_css("opacity", "0")
    locate_tile(page, 2).hover()
    expect(mark).to_have_css("opacity", "1")
    expect(mark).to_have_attribute("aria-checked", "false")
    mark.click()
    expect(mark).to_have_attribute("aria-checked", "true")
    expect_selected(page, 2)
    locate_tile(page, 4).get_by_role("link").click()
    expect_selected(page, 2, 4)
    locate_tile(page, 6).get_by_role("link").click(modifiers=["Shift"])
    expect_selected(page, 2, 4, 5, 6)
    locate_tile(page, 5).get_by_role("link").click()
    expect_selected(page, 2, 4, 6)
    page.keyboard.press("Escape")
    expect_selected(page)
    locate_tile(page, 4).get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_keys_select(page: Any) -> None:
    """X and Space toggle, Shift and arrows extend, Ctrl+A selects all; Enter opens."""
    locate_tile(page, 1).get_by_role("link").focus()
    page.keyboard.press("x")
    expect_selected(page, 1)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect_selected(page, 1, 2, 3)
    page.keyboard.press("Space")
    expect_selected(page, 1, 2)
    page.keyboard.press("Control+a")
    expect(page.locator("#selection-count")).to_have_text(f"{COUNT} selected")
    page.get_by_role("button", name="Select none").press("Enter")
    expect_selected(page)
    expect(page.locator("#results")).to_be_focused()
    locate_tile(page, 2).get_by_role("link").focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect_selected(page, 1, 2)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect_selected(page, 1, 2)
    page.get_by_label("What the picture shows").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("x")
    expect_selected(page, 1, 2)


def test_mouse_draws_a_rectangle(page: Any) -> None:
    """All tiles that it touches are selected; the release opens no picture. It begins anywhere."""
    first, last = get_center(locate_tile(page, 1)), get_center(locate_tile(page, 3))
    corner = locate_tile(page, 1).bounding_box()
    page.mouse.move(corner["x"] + 15, corner["y"] + 15)  # on the mark
    page.mouse.down()
    page.mouse.move(*first)
    page.mouse.up()
    expect_selected(page, 1)
    page.keyboard.press("Escape")
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(first[0] + 20, first[1] + 10)
    expect(page.locator("#band")).to_be_visible()
    expect_selected(page, 1)
    page.mouse.move(*last)
    expect_selected(page, 1, 2, 3)
    page.mouse.up()
    expect(page.locator("#band")).to_have_count(0)
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect_selected(page, 1, 2, 3)
    locate_tile(page, 2).get_by_role("link").click()
    expect_selected(page, 1, 3)


def test_rectangle_scrolls_the_page_at_its_edge(page: Any) -> None:
    page.set_viewport_size({"width": 700, "height": 420})
    locate_tile(page, 0).hover()  # waits until the new layout stands still
    start = get_center(locate_tile(page, 0))
    page.mouse.down()
    page.mouse.move(start[0] + 10, start[1] + 10)
    page.mouse.move(start[0] + 200, 415)
    expect(page.locator("#band")).to_be_visible()
    page.wait_for_function(
        "() => scrollY + innerHeight >= document.documentElement.scrollHeight - 2",
        polling=50,
        timeout=60_000,  # a busy machine draws few frames
    )
    page.mouse.up()
    count = int(re.findall(r"\d+", page.locator("#selection-count").inner_text())[0])
    assert count > COUNT // 2


@pytest.mark.parametrize("size", ["phone", "tablet"])
def test_long_press_selects(tabs: BrowserTabs, site: str, size: str) -> None:
    """After it, a tap selects, and opens nothing."""
    page = tabs.open_page(site, size, has_touch=True)
    expect_count(page, COUNT)
    session = page.context.new_cdp_session(page)
    x, y = get_center(locate_tile(page, 1))
    touch = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    session.send("Input.dispatchTouchEvent", touch)
    expect_selected(page, 1)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    locate_tile(page, 2).get_by_role("link").tap()
    expect_selected(page, 1, 2)
    locate_tile(page, 1).get_by_role("link").tap()
    expect_selected(page, 2)
    expect(page.get_by_role("dialog")).not_to_be_visible()
    bar = page.get_by_role("toolbar").bounding_box()
    width, height = VIEWPORT_SIZES[size]
    assert bar["x"] >= 0 and bar["x"] + bar["width"] <= width
    assert bar["y"] + bar["height"] <= height
    assert bar["height"] < 2 * 44  # all buttons are in one row


def test_more_and_less_like_these(page: Any) -> None:
    """The examples are in the URL, with the question; a chip removes them."""
    red, lime = find_ids(page, 1, 5)
    select(page, 1)
    page.get_by_role("button", name="More like these").click()
    expect(page).to_have_url(re.compile(rf"\?like={red}$"))
    expect(page.locator("#chips")).to_contain_text("More like")
    expect_selected(page)
    expect_count(page, COUNT - 1)
    expect_name(page, 0, "red-5")
    type_query(page, "lime")
    expect(page).to_have_url(re.compile(rf"q=lime&like={red}$"))
    expect_name(page, 0, "yellow|gold")
    page.go_back()
    expect(page).to_have_url(re.compile(rf"\?like={red}$"))
    tile = page.locator(f'#results li[data-id="{lime}"]')
    tile.hover()
    tile.get_by_role("checkbox").click()
    page.get_by_role("button", name="Less like these").click()
    expect(page).to_have_url(re.compile(rf"\?like={red}&unlike={lime}$"))
    page.reload()
    expect(page.locator("#chips li")).to_have_count(2)
    expect(locate_tile(page, 0)).not_to_have_attribute("data-id", red)
    page.get_by_role("button", name="Remove the filter More like: 1 picture").click()
    expect(page).to_have_url(re.compile(rf"\?unlike={lime}$"))
    page.get_by_role("button", name=re.compile("Remove the filter Less like")).click()
    expect_count(page, COUNT)


def test_no_other_pictures_than_the_examples(page: Any) -> None:
    """If all pictures are examples, other words are no advice."""
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="More like these").click()
    expect(page.locator("#notice")).to_contain_text("The library has no other pictures than these.")


def test_new_pictures_end_the_selection(page: Any) -> None:
    """What is no longer shown is not selected; the large view does not end it."""
    select(page, 1, 2)
    type_query(page, "red")
    expect_selected(page)


def test_zip_is_downloaded(page: Any, album: Path, tmp_path: Path) -> None:
    select(page, 1, 2)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download as zip").click()
    expect(page.locator("#selection-note")).to_have_text("The download of 2 pictures begins.")
    assert started.value.suggested_filename == "2-pictures.zip"
    started.value.save_as(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: (album / name).read_bytes() for name in ("red-6.jpg", "orange-6.jpg")
        }


def test_zip_of_vanished_pictures_is_explained(page: Any, album: Path) -> None:
    """The message counts the pictures without a file; without any file, nothing is downloaded."""
    select(page, 3, 1)
    note = page.locator("#selection-note")
    gold, red = album / "gold-6.jpg", album / "red-6.jpg"
    gold.rename(album / "gold-6.away")
    try:
        with page.expect_download():
            page.get_by_role("button", name="Download as zip").click()
        expect(note).to_have_text(
            "The download of 1 picture begins. The file of 1 picture is not found; missing.txt in "
            "the zip names it."
        )
        red.rename(album / "red-6.away")
        downloads: list[Any] = []
        page.on("download", lambda download: downloads.append(download))
        page.get_by_role("button", name="Download as zip").click()
        expect(note).to_have_text("The files of 2 pictures are not found.")
        assert not downloads
    finally:
        for away in album.glob("*.away"):
            away.rename(away.with_suffix(".jpg"))


def test_refused_zip_is_explained(tabs: BrowserTabs, page: Any) -> None:
    """The page stays, and shows the reason of the server."""
    tabs.expect_errors("status of 400")
    problem = {"detail": "The files have 9.0 GiB. Choose fewer pictures."}
    page.route("**/api/zip?*", lambda route: route.fulfill(status=400, json=problem))
    select(page, 1)
    page.get_by_role("button", name="Download as zip").click()
    expect(page.locator("#selection-note")).to_have_text(problem["detail"])
    expect_selected(page, 1)


def test_paths_are_copied(page: Any, album: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(page, 3, 1)
    page.get_by_role("button", name="Copy paths").click()
    expect(page.locator("#selection-note")).to_have_text("2 paths are copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{album / 'gold-6.jpg'}\n{album / 'red-6.jpg'}\n"


def test_paths_of_vanished_pictures_are_not_copied(page: Any) -> None:
    """The message counts the pictures without a file; without any path, the clipboard stays."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('kept')")
    count = 0  # of the pictures that have files

    def keep_some(route: Any) -> None:
        route.fulfill(json={"pictures": route.fetch().json()["pictures"][:count]})

    page.route("**/api/pictures?*", keep_some)
    select(page, 3, 1)
    page.get_by_role("button", name="Copy paths").click()
    note = page.locator("#selection-note")
    expect(note).to_have_text("The files of 2 pictures are not found.")
    assert page.evaluate("navigator.clipboard.readText()") == "kept"
    count = 1
    page.get_by_role("button", name="Copy paths").click()
    expect(note).to_have_text("The path is copied. The file of 1 picture is not found.")
    assert page.evaluate("navigator.clipboard.readText()").endswith("gold-6.jpg\n")


def open_halves(page: Any) -> Any:
    """Open the picture with two halves, and the rectangle in it; return the rectangle's layer."""
    locate_tile(page, 0).get_by_role("link").press("Enter")
    expect(page.locator("#large-image")).to_have_attribute("src", re.compile("api/images/"))
    page.get_by_role("button", name="Search by a part of the picture").click()
    layer = page.get_by_role("application", name=re.compile("Part of the picture"))
    expect(layer).to_be_focused()
    return layer


def test_mouse_searches_by_a_part(page: Any) -> None:
    """The part is in the URL; the search field shows the part, and words can be added."""
    (halves,) = find_ids(page, 0)
    open_halves(page)
    box = page.locator("#large-marks").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    page.mouse.move(box["x"] + box["width"] * 2, box["y"] + box["height"] * 0.9)
    page.mouse.up()
    expect(page.locator("#region-size")).to_have_text("45 % × 80 %")
    page.get_by_role("button", name="Search by this part").click()
    expect(page).to_have_url(
        re.compile(rf"similar={halves}&region=55(\.\d)?%25%2C10(\.\d)?%25%2C4[45](\.\d)?%25%2C80")
    )
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect_name(page, 0, "red")
    expect_name(page, 1, "red")
    expect(page.locator("#picture-name")).to_have_text(
        "Pictures like a part of a picture in the library"
    )
    expect(page.locator("#preview")).to_have_attribute("src", re.compile("^data:image/png"))
    page.reload()
    expect_name(page, 0, "red")
    type_query(page, "lime")
    expect_name(page, 0, "yellow|gold")
    page.get_by_role("button", name="Remove the picture").click()
    expect(page).to_have_url(re.compile(r"\?q=lime$"))


def test_keys_search_by_a_part(page: Any) -> None:
    """Arrows move the rectangle, with Shift they resize it; Escape leaves the picture open."""
    layer = open_halves(page)
    expect(page.locator("#region-size")).to_have_text("50 % × 50 %")
    page.keyboard.press("+")  # no key of the large view
    expect(page.locator("#zoom-level")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(layer).to_be_hidden()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Search by a part of the picture")).to_be_focused()
    page.keyboard.press("r")
    for _ in range(13):
        page.keyboard.press("ArrowLeft")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#region-size")).to_have_text("42 % × 50 %")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"region=0%25%2C25%25%2C42%25%2C50%25"))
    expect_name(page, 0, "blue")
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(layer).to_be_hidden()


@each_view
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """Neither with selected pictures and examples, nor with the rectangle in the large view."""
    page = tabs.open_page(f"{site}/?like=2&unlike=3", size, scheme)
    expect_count(page, COUNT - 2)
    locate_tile(page, 0).get_by_role("link").focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect_selected(page, 0, 1)
    assert list_violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.goto(site)
    expect_count(page, COUNT)
    open_halves(page)
    assert list_violations(page) == []
