"""Timeline and facet lists of the web page, in a real Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import (
    BrowserTabs,
    choose_value,
    expect,
    expect_count,
    locate_tiles,
    needs_chromium,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.metadata_files import make_exif, make_list_property, make_xmp
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.types import Place

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
        table = library._catalog.get_places()
        for positions in table.read_pages("test"):
            paris = Place("Paris", "Île-de-France", "France")
            table.save_places("test", dict.fromkeys(positions, paris))
    with serve_with_engine(folder / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The page with all five pictures, on a desktop."""
    page = tabs.open_page(f"{site}/?q=red")
    expect_count(page, 5)
    return page


def find_bar(page: Any, label: str) -> Any:
    return page.get_by_role("button", name=re.compile(f"^{label}: "))


def test_click_on_timeline_selects_year_then_month(page: Any) -> None:
    """A selected year has bars for its months; a second click on a month removes the filter."""
    expect(page.locator(".bar")).to_have_count(6)
    expect(find_bar(page, "2020")).to_have_accessible_name("2020: 1 picture, 1 by file date")
    find_bar(page, "2021").click()
    expect_count(page, 2)
    assert page.url.endswith("?q=red&after=2021&before=2021")
    expect(page.locator(".bar")).to_have_count(12)
    find_bar(page, "Jul 2021").click()
    expect_count(page, 1)
    expect(page.get_by_label("from", exact=True)).to_have_value("2021-07")
    find_bar(page, "Jul 2021").click()
    expect_count(page, 5)
    page.go_back()
    expect_count(page, 1)
    page.get_by_role("button", name="Any date").click()
    expect(page.locator(".bar")).to_have_count(6)


def test_drag_selects_several_bars(page: Any) -> None:
    """A drag selects from its first bar to its last, in either direction."""
    start, end = (find_bar(page, year).bounding_box() for year in ("2021", "2019"))
    page.mouse.move(start["x"] + 5, start["y"] + 40)
    page.mouse.down()
    page.mouse.move(end["x"] + 9, end["y"] + 40, steps=6)
    page.mouse.up()
    expect_count(page, 4)
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
    expect_count(page, 3)
    assert page.url.endswith("?q=red&after=2021&before=2024")
    expect(find_bar(page, "2024")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("from", exact=True)).to_have_value("2024")
    expect_count(page, 1)
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
    expect_count(page, 5)
    assert page.url.endswith("?q=red")
    page.goto(f"{page.url}&after=2021&before=2024")
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(4)
    find_bar(page, "2019").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator('.bar[aria-pressed="true"]')).to_have_count(4)


def test_click_on_facet_value_toggles_the_filter(page: Any) -> None:
    """One of several values is sufficient; a list keeps its other values; the focus stays."""
    expect(choose_value(page, "Sea")).to_contain_text("2")
    expect(choose_value(page, "<b>bold</b>")).to_be_visible()
    choose_value(page, "holiday").click()
    expect_count(page, 2)
    expect(choose_value(page, "holiday")).to_be_focused()
    choose_value(page, "<b>bold</b>").click()
    expect_count(page, 3)
    page.get_by_role("button", name="Require all keywords").click()
    expect(page.get_by_role("heading", name="No matching pictures")).to_be_visible()
    page.get_by_role("button", name="Accept any keyword").click()
    expect_count(page, 3)
    assert page.url.endswith("keyword=holiday&keyword=%3Cb%3Ebold%3C%2Fb%3E&any_keyword=true")
    page.get_by_role("button", name="Reset filters").click()
    expect_count(page, 5)
    choose_value(page, "iPhone 13").click()
    expect(choose_value(page, "Halden Q4")).to_contain_text("2")
    expect_count(page, 2)
    choose_value(page, "Halden Q4").click()
    expect_count(page, 4)
    choose_value(page, "iPhone 13").click()
    expect_count(page, 2)
    assert page.url.endswith("?q=red&camera=Halden+Q4")
    choose_value(page, "Halden Q4").click()
    expect_count(page, 5)
    choose_value(page, "★★★★").first.click()
    expect(choose_value(page, "Not rated")).to_contain_text("2")


def test_names_of_places_are_values(page: Any) -> None:
    """Of cities, regions and countries; the large view shows them, and where they come from."""
    for name in ("Paris", "Île-de-France", "France"):
        expect(page.locator(f'#kinds button[data-value="{name}"]')).to_contain_text("1")
    page.locator('#kinds button[data-value="France"]').click()
    expect_count(page, 1)
    assert page.url.endswith("?q=red&place=France")
    page.get_by_role("button", name="Remove the filter Place: France").click()
    expect_count(page, 5)
    choose_value(page, "Paris").click()
    expect_count(page, 1)
    locate_tiles(page).first.get_by_role("link").click()
    facts = page.locator("#facts")
    expect(facts).to_contain_text("Paris, Île-de-France, France")
    expect(facts).to_contain_text("GeoNames, CC BY 4.0")


def test_place_and_own_dates(page: Any) -> None:
    """Filter by a typed place, and without file dates; an invalid place is marked, not sent."""
    place = page.get_by_role("textbox", name="Place")
    for wrong in ("somewhere", "95,2.35,10km", "48.85,181,10km", "49,2,48,3"):
        place.fill(wrong)
        page.keyboard.press("Tab")
        expect(place).to_have_attribute("aria-invalid", "true")
    expect_count(page, 5)
    place.fill("48.85,2.35,10km")
    page.keyboard.press("Tab")
    expect_count(page, 1)
    place.fill("")
    page.keyboard.press("Tab")
    page.get_by_label("Ignore file dates").check()
    expect_count(page, 4)
    assert page.url.endswith("?q=red&taken=true")


def test_a_date_that_does_not_exist_is_marked_and_not_sent(page: Any) -> None:
    after = page.locator("#after")
    for wrong in ("2019-13", "2023-02-30", "202", "2023-1"):
        after.fill(wrong)
        page.keyboard.press("Tab")
        expect(after).to_have_attribute("aria-invalid", "true")
    expect_count(page, 5)
    assert page.url.endswith("?q=red")
    after.fill("2024-02-29")
    page.keyboard.press("Tab")
    expect(after).to_have_attribute("aria-invalid", "false")
    page.wait_for_url("**/?q=red&after=2024-02-29")


def test_rectangle_on_the_map(page: Any) -> None:
    """A dragged rectangle is a filter; a click without a drag removes it; keys zoom and move."""
    map_box = page.get_by_label("Map of the world. Drag")
    map_box.scroll_into_view_if_needed()
    expect(page.locator("#map-dots circle")).to_have_count(1)

    def drag(share: float) -> None:
        """Drag around the center, where the only picture with a place is."""
        box = map_box.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x - share * box["width"], y - share * box["height"])
        page.mouse.down()
        page.mouse.move(x + share * box["width"], y + share * box["height"], steps=4)
        page.mouse.up()

    drag(0.2)
    expect_count(page, 1)
    expect(page.locator("#map-area rect")).to_have_count(1)
    assert "&area=4" in page.url
    chip = page.get_by_role("button", name="Remove the filter Place: 4")
    expect(chip).to_contain_text("°N to 5")
    drag(0)
    expect_count(page, 5)
    before = map_box.get_attribute("viewBox")
    map_box.focus()
    page.keyboard.press("+")
    assert map_box.get_attribute("viewBox") != before
    page.keyboard.press("-")
    page.keyboard.press("ArrowLeft")
    assert map_box.get_attribute("viewBox").split()[2:] == before.split()[2:]


def test_chips_remove_one_filter_each(tabs: BrowserTabs, site: str) -> None:
    """Each chosen value is a chip; the focus moves to the next chip when one is removed."""
    page = tabs.open_page(f"{site}/?keyword=sea&rating=4%2B&after=2021&camera=Halden+Q4")
    chips = page.get_by_role("list", name="Chosen filters").get_by_role("button")
    expect(chips).to_have_text(
        ["Datefrom 2021", "Keywordsea", "Rating★★★★+", "CameraHalden Q4", "Reset filters"]
    )
    expect_count(page, 1)
    chips.nth(1).click()
    expect(chips).to_have_count(4)
    expect(chips.nth(1)).to_be_focused()
    expect(page).not_to_have_url(re.compile("keyword"))
    chips.last.click()
    expect_count(page, 5)
    expect(chips).to_have_count(0)


def test_search_in_the_lists(page: Any) -> None:
    """The lists show only values that contain the text; lists fold, and stay folded."""
    page.get_by_label("Find a folder, keyword or camera").fill("HOL")
    values = page.locator("#kinds li")
    expect(values).to_have_count(1)
    expect(values.first).to_contain_text("holiday")
    page.get_by_label("Find a folder, keyword or camera").fill("nothing has this")
    expect(page.get_by_text("contains this text")).to_be_visible()
    page.get_by_label("Find a folder, keyword or camera").fill("")
    fold = page.get_by_role("button", name="Keyword", exact=True)
    fold.click()
    expect(fold).to_be_focused()
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(choose_value(page, "holiday")).to_have_count(0)
    page.reload()
    expect(choose_value(page, "iPhone 13")).to_be_visible()
    expect(choose_value(page, "holiday")).to_have_count(0)


def test_long_names_stay_in_the_list(tabs: BrowserTabs, site: str) -> None:
    """A long name ends in an ellipsis; its count does not leave the list."""
    page = tabs.open_page(f"{site}/?camera={'x' * 180}&folder=/{'long name/' * 20}")
    expect(page.locator("#kinds [aria-pressed=true]")).to_have_count(2)
    edges = page.locator("#kinds li button, #kinds .count").evaluate_all(
        "all => all.map((element) => element.getBoundingClientRect().right)"
    )
    assert max(edges) <= page.locator("#answers").bounding_box()["x"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_large_view_shows_metadata(tabs: BrowserTabs, site: str) -> None:
    """The large view has rating, keywords, place and date; a URL restores all filters."""
    page = tabs.open_page(f"{site}/?q=red&keyword=sea&rating=4%2B&after=2021")
    expect_count(page, 1)
    locate_tiles(page).first.get_by_role("link").click()
    info = page.get_by_role("complementary", name="Information")
    for text in ("★★★★☆", "Sea", "holiday", "48.85800, 2.29400", "15 July 2021"):
        expect(info).to_contain_text(text)
    page = tabs.open_page(f"{site}/?q=red&rating=unrated")
    expect_count(page, 2)
    locate_tiles(page).last.hover()
    expect(page.locator(".caption .by-file")).to_have_text("13 Sept 2020")


def test_keywords_after_one_of_the_large_view_widen_the_selection(page: Any) -> None:
    """A click in the large view chooses a keyword as a click in the panel does."""
    choose_value(page, "holiday").click()
    expect_count(page, 2)
    locate_tiles(page).first.get_by_role("link").click()
    page.locator("#info-panel .keywords").get_by_role("link", name="holiday").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    choose_value(page, "Sea").click()
    expect_count(page, 3)
    assert page.url.endswith("keyword=holiday&keyword=Sea&any_keyword=true")


def test_phone_shows_filters_by_button(tabs: BrowserTabs, site: str) -> None:
    """Buttons are at least 44 pixels high, and nothing is wider than the screen."""
    page = tabs.open_page(f"{site}/?q=red", "phone")
    expect_count(page, 5)
    expect(page.locator("#dates")).to_be_hidden()
    page.get_by_role("button", name="Filters", exact=True).click()
    expect(page.locator("#dates")).to_be_visible()
    expect(page.get_by_role("button", name="Hide the filters")).to_be_focused()
    heights = page.locator("#kinds button").evaluate_all(
        "all => all.map(button => button.offsetHeight)"
    )
    assert min(heights) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    choose_value(page, "Sea").click()
    expect_count(page, 2)


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
