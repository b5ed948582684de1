"""Saved searches beside the pictures of the web page, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import (
    BrowserTabs,
    choose_value,
    each_view,
    expect,
    expect_count,
    expect_first,
    list_violations,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.types import Query, SearchOptions

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library with a red, a green and a blue picture; green is a PNG file."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("red.jpg", "green.png", "blue.jpg"):
        save_picture(folder / "album" / name, name.partition(".")[0])
    with Library.open(folder / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, folder / "album", write_fake_clip(folder / "fake-clip"))
    return folder / "library"


@pytest.fixture(scope="module")
def server(library: Path) -> Iterator[str]:
    """URL of a server whose engine runs."""
    with serve_with_engine(library, lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def site(server: str) -> Iterator[str]:
    """URL of the server; afterwards the library has no saved searches."""
    yield server
    for search in httpx.get(f"{server}/api/saved").json()["searches"]:
        httpx.delete(f"{server}/api/saved/{search['id']}")


def save(site: str, **fields: Any) -> None:
    assert httpx.post(f"{site}/api/saved", json=fields).status_code == 201


def list_names(page: Any) -> Any:
    return page.locator("#saved-list .saved-name")


def find_button(page: Any, name: str) -> Any:
    return page.locator("#saved").get_by_role("button", name=name, exact=True)


def save_shown(page: Any, name: str) -> None:
    """Save what the page shows under a name, by mouse and keyboard."""
    find_button(page, "Save this search").click()
    page.get_by_label("Name of the search").fill(name)
    page.keyboard.press("Enter")
    expect(find_button(page, name)).to_be_focused()


def test_save_open_rename_and_remove(tabs: BrowserTabs, site: str) -> None:
    """The list is hidden without saved searches, and has the state of the URL afterwards."""
    page = tabs.open_page(site)
    expect_count(page, 3)
    expect(page.locator("#saved")).to_be_hidden()
    type_query(page, "green")
    choose_value(page, "PNG").click()
    expect_count(page, 1)
    find_button(page, "Save this search").click()
    expect(page.get_by_label("Name of the search")).to_have_value("green")
    page.keyboard.press("Escape")
    expect(find_button(page, "Save this search")).to_be_focused()
    save_shown(page, "green <b>png</b>")
    expect(find_button(page, "Save this search")).to_be_hidden()
    expect(list_names(page)).to_have_attribute("aria-pressed", "true")
    page.goto(site)
    expect_count(page, 3)
    expect(list_names(page)).to_have_attribute("aria-pressed", "false")
    list_names(page).click()
    expect_count(page, 1)
    expect_first(page, "green.png")
    assert page.url.endswith("?q=green&format=png")
    expect(page.get_by_label("What the picture shows")).to_have_value("green")
    list_names(page).hover()
    find_button(page, "Rename green <b>png</b>").click()
    page.get_by_label("Name of the search").fill("greens")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(list_names(page)).to_have_text(["greens"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(find_button(page, "Remove greens")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#remove-search")).to_be_focused()
    page.keyboard.press("Escape")
    expect(list_names(page)).to_be_focused()
    find_button(page, "Remove greens").click()
    page.locator("#remove-search").press("Enter")
    expect(list_names(page)).to_have_count(0)
    expect(find_button(page, "Save this search")).to_be_focused()
    assert httpx.get(f"{site}/api/saved").json() == {"searches": []}


def test_pictures_of_the_library_are_saved(tabs: BrowserTabs, site: str) -> None:
    """The question "more like this" comes back with its picture."""
    (hit,) = httpx.post(f"{site}/api/search", json={"text": "blue", "count": 1}).json()["hits"]
    page = tabs.open_page(f"{site}/?similar={hit['id']}")
    expect_first(page, "blue.jpg")
    save_shown(page, "like blue")
    page.goto(site)
    list_names(page).click()
    expect_first(page, "blue.jpg")
    assert page.url.endswith(f"?similar={hit['id']}")


def test_examples_and_parts_are_saved(tabs: BrowserTabs, site: str) -> None:
    """Liked and unliked pictures, and the part of a picture with words."""
    hits = httpx.post(f"{site}/api/search", json={"text": "blue", "count": 3}).json()["hits"]
    ids = [hit["id"] for hit in hits]
    region = "0%25%2C0%25%2C50%25%2C50%25"
    part = f"?q=green&similar={ids[0]}&like={ids[1]}&unlike={ids[2]}&region={region}"
    page = tabs.open_page(f"{site}/{part}")
    expect_count(page, 1)
    save_shown(page, "part")
    page.goto(site)
    list_names(page).click()
    expect_count(page, 1)
    assert page.url.endswith(part)


def test_a_dropped_picture_cannot_be_saved(tabs: BrowserTabs, site: str, tmp_path: Path) -> None:
    page = tabs.open_page(site)
    expect_count(page, 3)
    page.locator("#file").set_input_files(save_picture(tmp_path / "x.png", "blue"))
    expect_first(page, "blue.jpg")
    button = find_button(page, "Save this search")
    expect(button).to_be_disabled()
    assert "cannot be saved" in str(button.get_attribute("title"))


def test_a_question_without_fields_runs_by_its_name(
    tabs: BrowserTabs, site: str, library: Path, tmp_path: Path
) -> None:
    """Such as a file, or a condition in SQL. A chip names it, and filters narrow it."""
    file = save_picture(tmp_path / "query.png", "blue")
    with Library.open(library) as opened:
        opened.saved.add("my file", Query(None, file), SearchOptions(count=2))
        opened.saved.add("wide", Query("red"), SearchOptions(where="width > 3"))
    page = tabs.open_page(site)
    list_names(page).get_by_text("my file").click()
    expect_first(page, "blue.jpg")
    expect_count(page, 3)
    assert page.url.endswith("?saved=my+file")
    expect(find_button(page, "my file")).to_be_focused()
    choose_value(page, "PNG").click()
    expect_count(page, 1)
    page.get_by_role("button", name="Remove the filter Saved search: my file").click()
    assert page.url.endswith("?format=png")
    list_names(page).get_by_text("wide").click()
    expect_first(page, "red.jpg")
    type_query(page, "green")
    expect_first(page, "green.png")
    assert page.url.endswith("?q=green")
    file.unlink()
    tabs.expect_errors("status of 400")
    list_names(page).get_by_text("my file").click()
    expect(page.locator("#notice-text")).to_contain_text("does not exist any more")


def test_problems_are_shown_in_place(tabs: BrowserTabs, site: str) -> None:
    """The typed name stays, also when the state changes meanwhile."""
    save(site, name="reds", text="red")
    page = tabs.open_page(f"{site}/?q=green")
    find_button(page, "Save this search").click()
    tabs.expect_errors("status of 400")
    page.get_by_label("Name of the search").fill("reds")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "There is a saved search “reds” already. Choose another name, or remove that search first."
    )
    choose_value(page, "PNG").click()
    expect_count(page, 1)
    expect(page.get_by_label("Name of the search")).to_have_value("reds")
    page.get_by_label("Name of the search").fill("greens")
    page.keyboard.press("Enter")
    expect(list_names(page)).to_have_text(["greens", "reds"])
    expect(page.locator("#saved-problem")).to_be_hidden()


@each_view
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """The rules of axe hold for the list, the field and the question; touch needs no hover."""
    save(site, name="a name that is much too long for the list beside the pictures", text="red")
    save(site, name="reds", text="red", format="jpeg")
    page = tabs.open_page(f"{site}/?q=green", size, scheme, has_touch=size != "desktop")
    page.emulate_media(reduced_motion="reduce")
    expect_first(page, "green.png")
    if size != "desktop":
        page.get_by_role("button", name="Filters", exact=True).tap()
        expect(page.locator("#saved")).to_be_in_viewport()
    assert list_violations(page) == []
    find_button(page, "Save this search").click()
    assert list_violations(page) == []
    list_names(page).nth(1).hover()
    find_button(page, "Remove reds").click()
    assert list_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_tabs_change_the_list(tabs: BrowserTabs, site: str) -> None:
    """A tab shows the changes of another one at its next focus, and after its own request fails."""
    tabs.expect_errors("status of 400", "status of 404")
    save(site, name="first", terms=[{"text": "red"}])
    page = tabs.open_page(f"{site}/?q=green")
    expect(list_names(page)).to_have_text(["first"])
    save(site, name="second", terms=[{"text": "blue"}])
    find_button(page, "Save this search").click()
    page.get_by_label("Name of the search").fill("second")
    page.keyboard.press("Enter")
    expect(page.locator("#saved-problem")).to_contain_text("already")
    expect(list_names(page)).to_have_text(["first", "second"])
    expect(page.get_by_label("Name of the search")).to_be_focused()
    expect(page.get_by_label("Name of the search")).to_have_value("second")
    page.keyboard.press("Escape")
    first, second = (search["id"] for search in httpx.get(f"{site}/api/saved").json()["searches"])
    find_button(page, "Rename first").click()
    httpx.delete(f"{site}/api/saved/{first}")
    page.get_by_label("Name of the search").fill("oldest")
    page.keyboard.press("Enter")
    expect(list_names(page)).to_have_text(["second"])
    expect(page.locator("#saved-problem")).to_contain_text("removed in another window")
    find_button(page, "Remove second").click()
    httpx.delete(f"{site}/api/saved/{second}")
    page.locator("#remove-search").press("Enter")
    expect(page.locator("#saved-list li")).to_have_count(0)
    expect(page.locator("#saved-problem")).to_be_hidden()
    save(site, name="third", terms=[{"text": "red"}])
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(list_names(page)).to_have_text(["third"])
