"""The duplicates view of the web page, in Chromium."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageOps
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    expect,
    expect_count,
    list_violations,
    locate_tile,
    needs_chromium,
)
from support.duplicates import find_duplicates
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.near_duplicates import make_scene, render_scene
from support.picture_edits import add_border

from searchapp.library import Library

pytestmark = needs_chromium
FILES = 12


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a library of four groups: the same file, pixels, grayscale and a border."""
    root = tmp_path_factory.mktemp("duplicates")
    album = root / "album"
    album.mkdir()
    for number, name in enumerate(("boat", "sheep", "hill", "tree", "snow", "moon")):
        picture = render_scene(make_scene(number + 1))
        picture.save(album / f"{name}.jpg", quality=92)
        if name == "boat":
            for copy in (1, 2):
                (album / f"boat ({copy}).jpg").write_bytes((album / "boat.jpg").read_bytes())
        elif name == "sheep":
            picture.save(album / "sheep.bmp")
            picture.save(album / "sheep.png")
        elif name == "hill":
            ImageOps.grayscale(picture).save(album / "hill-gray.jpg", quality=92)
        elif name == "tree":
            add_border(picture).save(album / "tree-framed.jpg", quality=92)
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, album, write_fake_clip(root / "fake-clip"))
    return root


@pytest.fixture(scope="module")
def site(root: Path) -> Iterator[str]:
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


def locate_group(page: Any, name: str) -> Any:
    """Return the group that has a file with this name."""
    file = page.get_by_role("button", name=name, exact=True)
    return page.locator(".duplicate-group").filter(has=file)


def list_verdicts(group: Any) -> list[str]:
    verdicts: list[str] = group.locator(".verdict").all_text_contents()
    return verdicts


def expect_saved(group: Any) -> None:
    expect(group.locator(".state")).to_have_text("saved in the library")


def test_choices_are_kept_and_the_script_moves(
    tabs: BrowserTabs, site: str, root: Path, tmp_path: Path
) -> None:
    """Mouse and keys choose; the library has the choice at once; the page moves no file."""
    page = tabs.open_page(site)
    expect_count(page, FILES - 2)
    page.get_by_role("link", name="Duplicates").click()
    expect(page).to_have_url(re.compile(r"\?view=duplicates$"))
    expect(page.locator(".duplicate-group")).to_have_count(4)
    expect(page.locator("#status")).to_contain_text("6 files to move away")
    expect(page.locator("#status")).to_contain_text("in 4 groups · 10 pictures compared")
    kinds = {name: locate_group(page, f"{name}.jpg") for name in ("boat", "hill", "tree")}
    expect(kinds["boat"].get_by_role("heading")).to_have_text("Same file")
    expect(kinds["boat"]).to_contain_text("its name does not look like a copy")
    expect(kinds["hill"].get_by_role("heading")).to_have_text("Same picture, changed")
    expect(kinds["hill"].locator(".difference").last).to_contain_text("grayscale")
    expect(kinds["tree"].locator(".difference").last).to_contain_text("a border was added")
    expect(kinds["hill"].locator(".state")).to_have_text("")

    boat = kinds["boat"]
    assert list_verdicts(boat) == ["stays", "moves away", "moves away"]
    boat.locator(".toggle").first.click()
    expect(boat.locator(".state")).to_have_text("Keep at least one file of each group.")
    boat.locator(".toggle").nth(1).click()
    expect_saved(boat)
    assert list_verdicts(boat) == ["stays", "stays", "moves away"]
    expect(page.locator("#status")).to_contain_text("5 files to move away")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    expect(boat.locator(".verdict").nth(2)).to_have_text("stays")
    assert list_verdicts(boat) == ["moves away", "moves away", "stays"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert list_verdicts(boat) == ["moves away", "stays", "stays"]
    expect_saved(boat)
    page.locator(".toggle").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".duplicate-group").nth(1).locator(".toggle").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".duplicate-group").first.locator(".toggle").first).to_be_focused()

    kinds["hill"].locator(".toggle").first.focus()
    page.keyboard.press("a")
    expect_saved(kinds["hill"])
    kinds["tree"].get_by_role("button", name="Confirm").click()
    expect_saved(kinds["tree"])
    with Library.open(root / "library") as opened:
        found = {Path(g.keeper.path).name: g for g in find_duplicates(opened).groups}
    assert "hill.jpg" not in found and len(found) == 3
    assert [copy.stays for copy in (found["boat.jpg"].keeper, *found["boat.jpg"].others)] == [
        False, True, True,
    ]  # fmt: skip

    before = sorted(file.name for file in (root / "album").iterdir())
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the script").click()
    assert started.value.suggested_filename == "move-duplicates.sh"
    started.value.save_as(tmp_path / "move.sh")
    expect(page.locator("#duplicates-note")).to_contain_text("sh move-duplicates.sh FOLDER")
    assert sorted(file.name for file in (root / "album").iterdir()) == before
    moves = [
        line for line in (tmp_path / "move.sh").read_text().splitlines() if line[:5] == "move "
    ]
    assert len(moves) == 4 and "/album/boat.jpg'" in "".join(moves) and "hill" not in "".join(moves)
    subprocess.run(["sh", "-n", tmp_path / "move.sh"], check=True)

    boat.get_by_role("link", name="Open").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("boat")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".duplicate-group")).to_have_count(4)
    page.reload()
    expect(page.locator(".duplicate-group")).to_have_count(3)
    expect(page.locator("#status")).to_contain_text("1 group reviewed before")
    expect(boat.locator(".state")).to_have_text("chosen in an earlier review")
    page.get_by_label("Reviewed ones").check()
    expect(page).to_have_url(re.compile(r"reviewed=1"))
    expect(page.locator(".duplicate-group")).to_have_count(4)
    page.get_by_label("Look-alikes").check()
    expect(page).to_have_url(re.compile(r"alike=1"))
    expect(page.locator(".duplicate-group").first).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.locator(".duplicate-group")).to_have_count(3)
    page.get_by_role("button", name="Check again").press("Escape")
    expect_count(page, FILES - 2)
    expect(page).to_have_url(re.compile("/$"))


def test_selected_pictures_are_checked(tabs: BrowserTabs, site: str) -> None:
    """Only their groups are shown; a chip names them, and removing it shows all groups."""
    page = tabs.open_page(site)
    expect_count(page, FILES - 2)
    tile = page.locator('#results li:has(img[alt^="sheep"])').first
    tile.hover()
    tile.get_by_role("checkbox").click()
    page.get_by_role("button", name="Check for duplicates").click()
    expect(page).to_have_url(re.compile(r"\?view=duplicates&among=\d+$"))
    expect(page.locator(".duplicate-group")).to_have_count(1)
    expect(page.locator(".card")).to_have_count(3)
    page.keyboard.press("ArrowDown")
    expect(page.locator(".toggle").first).to_be_focused()
    page.get_by_role("button", name="Remove the filter Duplicates of: 1 picture").click()
    expect(page.locator(".duplicate-group")).not_to_have_count(1)
    page.go_back()
    expect(page.locator(".duplicate-group")).to_have_count(1)
    page.go_back()
    expect_count(page, FILES - 2)
    locate_tile(page, 0).hover()


def test_vanished_pictures_are_not_compared(
    tabs: BrowserTabs, site: str, root: Path, tmp_path: Path
) -> None:
    """The page says how many pictures were compared, and which could not be."""
    page = tabs.open_page(site)
    expect_count(page, FILES - 2)
    for name in ("moon", "snow"):
        tile = page.locator(f'#results li:has(img[alt^="{name}"])')
        tile.hover()
        tile.get_by_role("checkbox").click()
    moon, snow = root / "album/moon.jpg", root / "album/snow.jpg"
    moon.rename(tmp_path / "moon.jpg")
    try:
        page.get_by_role("button", name="Check for duplicates").click()
        expect(page.locator("#notice-title")).to_have_text("No duplicates")
        expect(page.locator("#notice-text")).to_have_text(
            re.compile(r"^1 picture compared with \d+$")
        )
        expect(page.locator("#warnings")).to_have_text("The file of 1 picture is not found.")
        snow.rename(tmp_path / "snow.jpg")
        page.get_by_role("button", name="Check again").click()
        expect(page.locator("#notice-title")).to_have_text("No picture was compared")
        expect(page.locator("#warnings")).to_have_text("The files of 2 pictures are not found.")
    finally:
        for file in (moon, snow):
            if not file.exists():
                (tmp_path / file.name).rename(file)


def test_filters_without_a_picture_are_the_reason(tabs: BrowserTabs, site: str) -> None:
    page = tabs.open_page(f"{site}/?view=duplicates&after=1999&before=1999")
    expect(page.locator("#notice-title")).to_have_text("No picture was compared")
    expect(page.locator("#notice-text")).to_have_text("No picture matches all filters.")


def test_unreadable_pictures_are_named(tabs: BrowserTabs, site: str) -> None:
    page = tabs.open_page(site)

    def add_failures(route: Any) -> None:
        failures = [{"name": "x.jpg", "reason": "the file is empty"}]
        answer = route.fetch().json()
        route.fulfill(json={**answer, "failed": 2, "failures": failures, "missing": 3})

    page.route(re.compile(r"api/duplicates/[0-9a-f]+\?"), add_failures)
    page.get_by_role("link", name="Duplicates").click()
    expect(page.locator("#warnings")).to_contain_text(
        "2 pictures could not be read: x.jpg (the file is empty) …"
    )
    expect(page.locator("#warnings")).to_contain_text("3 pictures left out: the files are gone")
    page.get_by_role("link", name="Pictures", exact=True).click()
    expect(page.locator("#warnings")).to_be_hidden()


def test_old_tab_does_not_overwrite_later_choices(tabs: BrowserTabs, site: str, root: Path) -> None:
    """It shows the present choices instead; what is chosen then is saved."""
    address = f"{site}/?view=duplicates&reviewed=1"
    old, new = (locate_group(tabs.open_page(address), "sheep.png") for _ in range(2))
    expect(old.locator(".toggle")).to_have_count(3)
    new.locator(".only").nth(2).click()
    expect_saved(new)
    chosen = list_verdicts(new)
    old.locator(".only").nth(1).click()
    expect(old.locator(".state")).to_contain_text("another window has changed the choices")
    assert list_verdicts(old) == chosen == ["moves away", "moves away", "stays"]
    with Library.open(root / "library") as opened:
        groups = find_duplicates(opened, reviewed=True).groups
    (sheep,) = (group for group in groups if "sheep" in group.keeper.path)
    assert [file.stays for file in (sheep.keeper, *sheep.others)] == [False, False, True]
    old.locator(".only").nth(1).click()
    expect_saved(old)
    assert list_verdicts(old) == ["moves away", "stays", "moves away"]
    new.get_by_role("button", name="Confirm").click()
    expect(new.locator(".state")).to_contain_text("another window has changed the choices")
    assert list_verdicts(new) == list_verdicts(old)


def test_refused_choice_and_failed_search_are_explained(tabs: BrowserTabs, site: str) -> None:
    tabs.expect_errors("status of 403", "status of 404")
    page = tabs.open_page(f"{site}/?view=duplicates&reviewed=1")
    problem = {"detail": "the library is read-only"}
    page.route("**/duplicates/reviews", lambda route: route.fulfill(status=403, json=problem))
    group = locate_group(page, "tree.jpg")
    group.get_by_role("button", name="Keep all").click()
    expect(group.locator(".state")).to_have_text("The library is read-only")
    gone = {"detail": "this search or map is no longer kept. Start it again."}
    page.route("**/api/duplicates/*?*", lambda route: route.fulfill(status=404, json=gone))
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#notice-text")).to_contain_text("no longer kept")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".duplicate-group").first).to_be_visible()


@pytest.mark.parametrize("size", VIEWPORT_SIZES)
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str) -> None:
    """In light and dark, also in German; fingers choose, too; nothing is wider than the window."""
    is_german = size != "desktop"
    page = tabs.open_page(
        f"{site}/?view=duplicates&reviewed=1", size,
        locale="de-DE" if is_german else "en-GB", has_touch=size != "desktop",
    )  # fmt: skip
    expect(page.locator(".duplicate-group")).to_have_count(4)
    group = locate_group(page, "hill.jpg")
    expect(group).to_contain_text("in Graustufen" if is_german else "grayscale")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert list_violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    if size != "desktop":
        toggle = group.locator(".toggle").last
        pressed = toggle.get_attribute("aria-pressed")
        toggle.tap()
        expect(toggle).not_to_have_attribute("aria-pressed", pressed)
        button = group.locator(".keep-all")
        button.tap()
        expect(toggle).to_have_attribute("aria-pressed", "false")
        assert button.bounding_box()["height"] >= 44
        expect(group.locator(".state")).to_have_text("in der Bibliothek gespeichert")
