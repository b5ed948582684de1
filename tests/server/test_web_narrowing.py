"""Timeline and facet lists of the web page, in a real Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import BrowserTabs, expect, locate_tiles, needs_chromium
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_library
from support.metadata_files import make_exif, make_list_property, make_xmp
from support.sample_pictures import save_picture

from searchapp.library import Library

pytestmark = needs_chromium

PICTURES = (  # name, date, camera, rating, keywords
    ("a/1.jpg", "2019:03:05 10:00:00", "Halden Q4", 5, ("Sea", "<b>bold</b>")),
    ("a/2.jpg", "2021:07:15 10:00:00", "Halden Q4", 4, ("Sea", "holiday")),
    ("b/3.jpg", "2021:08:15 10:00:00", "iPhone 13", 4, ("holiday",)),
    ("b/4.jpg", "2024:01:15 10:00:00", "iPhone 13", 0, ()),
    ("b/5.jpg", None, None, 0, ()),
)
PARIS = (48.858, 2.294)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with five pictures."""
    folder = tmp_path_factory.mktemp("narrow")
    for number, (name, date, camera, rating, words) in enumerate(PICTURES):
        block = make_exif(
            date,
            coordinates=PARIS if number == 1 else None,
            **({"model": camera} if camera else {}),
        )
        file = save_picture(folder / "album" / name, "red", mark=9 * number, exif=block)
        os.utime(file, (1_600_000_000, 1_600_000_000))  # in September 2020
        escaped = (word.replace("<", "&lt;") for word in words)
        packet = make_xmp(f'xmp:Rating="{rating}"', make_list_property("dc:subject", *escaped))
        file.with_suffix(".xmp").write_bytes(packet)
    with Library.open(folder / "library", create=True, start=FakeEngine) as library:
        assert (
            index_folder(library, folder / "album", write_fake_clip(folder / "fake-clip")).added
            == 5
        )
    with serve_library(folder / "library", lambda spec: FakeEngine(spec)) as url:
        while httpx.post(f"{url}/api/search", json={"text": "red"}).status_code == 503:
            pass
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The page with all five pictures, on a desktop."""
    page = tabs.open_page(f"{site}/?q=red")
    expect(locate_tiles(page)).to_have_count(5)
    return page


def find_bar(page: Any, label: str) -> Any:
    return page.get_by_role("button", name=re.compile(f"^{label}: "))


def test_click_on_timeline_selects_year_then_month(page: Any) -> None:
    """A selected year has bars for its months; a second click on a month removes the filter."""
    expect(page.locator(".bar")).to_have_count(6)
    expect(find_bar(page, "2020")).to_have_accessible_name("2020: 1 picture, 1 by file date")
    find_bar(page, "2021").click()
    expect(locate_tiles(page)).to_have_count(2)
    assert page.url.endswith("?q=red&after=2021&before=2021")
    expect(page.locator(".bar")).to_have_count(12)
    find_bar(page, "Jul 2021").click()
    expect(locate_tiles(page)).to_have_count(1)
    expect(page.get_by_label("from", exact=True)).to_have_value("2021-07")
    find_bar(page, "Jul 2021").click()
    expect(locate_tiles(page)).to_have_count(5)
    page.go_back()
    expect(locate_tiles(page)).to_have_count(1)
    page.get_by_role("button", name="Any date").click()
    expect(page.locator(".bar")).to_have_count(6)


def test_drag_selects_several_bars(page: Any) -> None:
    """A drag selects from its first bar to its last, in either direction."""
    start, end = (find_bar(page, year).bounding_box() for year in ("2021", "2019"))
    page.mouse.move(start["x"] + 5, start["y"] + 40)
    page.mouse.down()
    page.mouse.move(end["x"] + 9, end["y"] + 40, steps=6)
    page.mouse.up()
    expect(locate_tiles(page)).to_have_count(4)
    assert page.url.endswith("?q=red&after=2019&before=2021")
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(3)


def test_keys_select_bars(page: Any) -> None:
    """The timeline is one Tab stop; arrow keys move the focus, and with Shift select several."""
    find_bar(page, "2019").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(find_bar(page, "2021")).to_be_focused()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+End")
    page.keyboard.press("Enter")
    expect(locate_tiles(page)).to_have_count(3)
    assert page.url.endswith("?q=red&after=2021&before=2024")
    expect(find_bar(page, "2024")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("from", exact=True)).to_have_value("2024")
    expect(locate_tiles(page)).to_have_count(1)
    assert page.locator('.bar[tabindex="0"]').count() == 1


def test_mouse_keeps_the_selection_of_keys(page: Any) -> None:
    """Only a drag that starts on a bar selects; Escape restores the previous selection."""
    find_bar(page, "2021").click()
    page.get_by_role("button", name="Any date").click()
    expect(page.locator(".bar")).to_have_count(6)
    find_bar(page, "2019").focus()
    page.keyboard.press("Shift+ArrowRight")
    find_bar(page, "2024").hover()
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(2)
    page.locator("#status").click()
    expect(locate_tiles(page)).to_have_count(5)
    assert page.url.endswith("?q=red")
    page.goto(f"{page.url}&after=2021&before=2024")
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(4)
    find_bar(page, "2019").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(4)


def find_value(page: Any, text: str) -> Any:
    return page.locator("#kinds").get_by_role("button", name=text)


def test_click_on_facet_value_toggles_the_filter(page: Any) -> None:
    """Several keywords combine; a facet keeps its other values; the clicked value keeps focus."""
    expect(find_value(page, "Sea")).to_contain_text("2")
    expect(find_value(page, "<b>bold</b>")).to_be_visible()
    find_value(page, "holiday").click()
    expect(locate_tiles(page)).to_have_count(2)
    expect(find_value(page, "holiday")).to_be_focused()
    find_value(page, "Sea").click()
    expect(locate_tiles(page)).to_have_count(1)
    assert page.url.endswith("?q=red&keyword=holiday&keyword=Sea")
    find_value(page, "holiday").click()
    expect(locate_tiles(page)).to_have_count(2)
    expect(find_value(page, "iPhone 13")).to_have_count(
        0
    )  # no picture with the keyword Sea has this camera
    page.get_by_role("button", name="Reset filters").click()
    expect(locate_tiles(page)).to_have_count(5)
    find_value(page, "iPhone 13").click()
    expect(find_value(page, "Halden Q4")).to_contain_text("2")
    expect(locate_tiles(page)).to_have_count(2)
    find_value(page, "Halden Q4").click()
    expect(locate_tiles(page)).to_have_count(2)
    assert page.url.endswith("?q=red&camera=Halden+Q4")
    page.get_by_role("button", name="Reset filters").click()
    find_value(page, "★★★★").first.click()
    expect(find_value(page, "Not rated")).to_contain_text("2")


def test_place_and_own_dates(page: Any) -> None:
    """Filter by a typed place, and without file dates; an invalid place is marked, not sent."""
    place = page.get_by_label("Place")
    place.fill("somewhere")
    page.keyboard.press("Tab")
    expect(place).to_have_attribute("aria-invalid", "true")
    expect(locate_tiles(page)).to_have_count(5)
    place.fill("48.85,2.35,10km")
    page.keyboard.press("Tab")
    expect(locate_tiles(page)).to_have_count(1)
    place.fill("")
    page.keyboard.press("Tab")
    page.get_by_label("Ignore file dates").check()
    expect(locate_tiles(page)).to_have_count(4)
    assert page.url.endswith("?q=red&taken=true")


def test_large_view_shows_metadata(tabs: BrowserTabs, site: str) -> None:
    """The large view has rating, keywords, place and date; a URL restores all filters."""
    page = tabs.open_page(f"{site}/?q=red&keyword=sea&rating=4%2B&after=2021")
    expect(locate_tiles(page)).to_have_count(1)
    locate_tiles(page).first.get_by_role("link").click()
    facts = page.locator("#facts")
    for text in ("★★★★☆", "Sea, holiday", "48.85800, 2.29400", "15 July 2021"):
        expect(facts).to_contain_text(text)
    page = tabs.open_page(f"{site}/?q=red&rating=unrated")
    expect(locate_tiles(page)).to_have_count(2)
    expect(page.locator(".by-file")).to_have_count(1)


def test_phone_shows_filters_by_button(tabs: BrowserTabs, site: str) -> None:
    """Buttons are at least 44 pixels high, and nothing is wider than the screen."""
    page = tabs.open_page(f"{site}/?q=red", "phone")
    expect(locate_tiles(page)).to_have_count(5)
    expect(page.locator("#timeline")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#timeline")).to_be_visible()
    heights = page.locator("#kinds button").evaluate_all(
        "all => all.map(button => button.offsetHeight)"
    )
    assert min(heights) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    find_value(page, "Sea").click()
    expect(locate_tiles(page)).to_have_count(2)


def test_facets_api(site: str) -> None:
    """/api/facets counts as the page does; invalid filters get status 422; forms filter too."""
    answer = httpx.get(f"{site}/api/facets", params={"keyword": ["sea", "hol*"]}).json()
    assert (answer["images"], answer["months"]) == (
        1, [{"month": "2021-07", "images": 1, "by_file": 0}],
    )  # fmt: skip
    assert answer["keywords"] == {"values": [["Sea", 1], ["holiday", 1]], "more": 0}
    assert [Path(path).name for path, _ in answer["folders"]["values"]] == ["a"]
    for wrong in ({"rating": "9"}, {"near": "x"}, {"after": "soon"}, {"keyword": ["x"] * 17}):
        assert httpx.get(f"{site}/api/facets", params=wrong).status_code == 422
    form = {"keyword": '["sea", "holiday"]', "taken": "true", "rating": "4+"}
    words = {"text": (None, "red")}  # makes the body a multipart form
    hits = httpx.post(f"{site}/api/search", files=words, data=form).json()["hits"]
    assert [hit["name"] for hit in hits] == ["2.jpg"]
    assert (hits[0]["rating"], hits[0]["keywords"]) == (4, ["Sea", "holiday"])
    form["keyword"] = "sea"
    assert len(httpx.post(f"{site}/api/search", files=words, data=form).json()["hits"]) == 2
