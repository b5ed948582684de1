"""Browsing and results of the web page with many pictures, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    choose_value,
    each_view,
    expect,
    expect_count,
    list_violations,
    locate_tile,
    locate_tiles,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.live_server import serve_with_engine
from support.made_library import make_large_library

pytestmark = needs_chromium

COUNT = 3000
GOOD_COUNT = 12
MAX_NODES = 1500


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with 3,000 made-up pictures of 20 years, whose engine runs."""
    library = make_large_library(tmp_path_factory.mktemp("browse"), COUNT)
    with serve_with_engine(library, lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The first view on a desktop."""
    page = tabs.open_page(site)
    expect_count(page, COUNT)
    return page


def wait_for_frame(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def expect_missing_originals(tabs: BrowserTabs) -> None:
    """Expect the errors of the large view: the made-up pictures have no original files."""
    tabs.expect_errors("status of 400")


def count_nodes(page: Any) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


def read_visible_months(page: Any) -> list[str]:
    return page.locator("#results h2").all_inner_texts()


MARK_GOOD_MATCHES = """(() => {
  const fetchFromServer = window.fetch;
  window.fetch = async (url, options) => {
    const response = await fetchFromServer(url, options);
    if (!String(url).endsWith("api/search")) return response;
    const [body, { offset }] = [await response.json(), JSON.parse(options.body)];
    let good = offset ? 0 : GOOD_COUNT;
    body.good_match = good > 0;
    body.hits.forEach((hit, i) => {
      hit.good_match = i % 3 === 0 && good > 0;
      good -= hit.good_match;
    });
    return new Response(JSON.stringify(body), response);
  };
})()"""


def mark_good_matches(page: Any, good_count: int) -> None:
    """Let every third hit of a search be a good match, up to a number; the page is loaded again.

    The vectors of the made-up pictures are random, so that the real answer has none.
    """
    page.add_init_script(MARK_GOOD_MATCHES.replace("GOOD_COUNT", str(good_count)))
    page.reload()


@each_view
def test_first_view_shows_all_pictures(
    tabs: BrowserTabs, site: str, size: str, scheme: str
) -> None:
    """Pictures by month and day, newest first; few nodes, no horizontal scrolling, in each size."""
    page = tabs.open_page(site, size, scheme)
    expect(page.locator("#status")).to_have_text("3,000 pictures")
    timeline = httpx.get(f"{site}/api/timeline").json()
    expect(locate_tile(page, 0)).to_have_attribute("data-id", str(timeline["ids"][0]))
    assert re.fullmatch(r"[A-Z][a-z]+ 20\d\d", read_visible_months(page)[0])
    expect(page.locator(".day-label").first).to_have_text(re.compile(r"^\w{3} \d+ \w{3,4}$"))
    for share in (0, 0.3, 0.6, 1):
        page.evaluate(
            "(share) => scrollTo(0, share * document.documentElement.scrollHeight)", share
        )
        wait_for_frame(page)
        assert count_nodes(page) <= MAX_NODES
        assert locate_tiles(page).count() > 3
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    last = str(COUNT - 1)
    expect(locate_tile(page, COUNT - 1)).to_have_attribute("data-index", last)


def test_pictures_have_placeholders_of_their_shape_and_color(page: Any) -> None:
    """Before a thumbnail has arrived, its tile has the final place and a color."""
    page.route("**/api/thumbnails/**", lambda route: None)
    page.reload()
    expect_count(page, COUNT)
    link = locate_tile(page, 1).locator("a")
    assert link.evaluate("link => link.style.backgroundColor").startswith("rgb(")
    box = link.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(
        httpx.get(f"{page.url}api/timeline").json()["ratios"][1] / 100, rel=0.03
    )


def test_scrubber_by_mouse_and_keys(page: Any) -> None:
    """A click goes to the date at that place; keys go to the next month, year and the ends."""
    scrubber = page.get_by_role("slider", name="Date")
    expect(scrubber.locator(".year")).not_to_have_count(0)
    first = scrubber.get_attribute("aria-valuetext")
    assert re.fullmatch(r"\w+ \d{4}, \d+ pictures?", first)
    box = scrubber.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] / 2)
    expect(scrubber).not_to_have_attribute("aria-valuetext", first)
    middle = int(scrubber.get_attribute("aria-valuenow"))
    assert 0 < middle < int(scrubber.get_attribute("aria-valuemax"))
    expect(scrubber).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(scrubber).to_have_attribute("aria-valuenow", str(middle + 1))
    year = re.search(r"\d{4}", scrubber.get_attribute("aria-valuetext"))[0]
    page.keyboard.press("PageDown")
    expect(scrubber).to_have_attribute("aria-valuetext", re.compile(str(int(year) - 1)))
    page.keyboard.press("ArrowUp")
    expect(scrubber).to_have_attribute("aria-valuetext", re.compile(year))
    page.keyboard.press("End")
    expect(scrubber).to_have_attribute("aria-valuenow", scrubber.get_attribute("aria-valuemax"))
    page.keyboard.press("Home")
    expect(scrubber).to_have_attribute("aria-valuetext", first)


FIND_LABELS = """() => {
  const ticks = [...document.querySelectorAll("#bars .tick")].filter((tick) => tick.textContent);
  return ticks.map((tick) => {
    const range = document.createRange();
    range.selectNodeContents(tick);
    const { left, right } = range.getBoundingClientRect();
    return [left, right];
  });
}"""


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_dates_fit_into_the_panel(tabs: BrowserTabs, site: str, size: str) -> None:
    """Dates with a day are not cut off. Labels of bars neither overlap nor leave the panel."""
    for query in ("", "?after=2019-07-04&before=2019-07-31"):
        page = tabs.open_page(f"{site}/{query}", size)
        if size == "phone":
            page.get_by_role("button", name=re.compile("^Filters")).click()
        expect(page.locator("#bars")).to_be_visible()
        for name in ("after", "before", "side"):
            assert page.locator(f"#{name}").evaluate("e => e.scrollWidth <= e.clientWidth"), name
        labels = page.evaluate(FIND_LABELS)
        assert len(labels) > 3
        assert all(a[1] + 2 < b[0] for a, b in pairwise(labels))
        bars = page.locator("#bars").bounding_box()
        assert labels[-1][1] <= bars["x"] + bars["width"] + 1


def test_tabs_wrap_if_the_text_is_large(tabs: BrowserTabs, site: str) -> None:
    page = tabs.open_page(site, "phone")
    expect_count(page, COUNT)
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    tab = page.get_by_role("link", name="Duplicates").bounding_box()
    assert tab["x"] + tab["width"] <= VIEWPORT_SIZES["phone"][0]
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("size", ["desktop", "tablet"])
def test_scrubber_labels_are_where_they_lead(tabs: BrowserTabs, site: str, size: str) -> None:
    """A click on a year shows this year, as the hint beside the mouse promises."""
    page = tabs.open_page(site, size)
    expect_count(page, COUNT)
    scrubber = page.get_by_role("slider", name="Date")
    labels = scrubber.locator(".year")
    years = labels.all_inner_texts()
    assert len(years) > 10
    oldest, _ = httpx.get(f"{site}/api/timeline").json()["days"][-1]
    assert years[-1] == oldest[:4]
    for index, year in enumerate(years):
        box = labels.nth(index).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        expect(page.locator("#scrubber-hint")).to_contain_text(year)
        page.mouse.click(x, y)
        expect(scrubber).to_have_attribute("aria-valuetext", re.compile(rf"\b{year}\b"))


def test_keys_move_in_the_grid(page: Any, tabs: BrowserTabs) -> None:
    """Arrows, Home and End reach tiles that are not in the document yet; Tab has one stop."""
    page.get_by_label("What the picture shows").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    expect(locate_tile(page, 0).get_by_role("link")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    focused = int(page.evaluate("document.activeElement.parentElement.dataset.index"))
    assert focused > 20
    expect(page.locator(":focus")).to_be_in_viewport(ratio=0.9)
    page.keyboard.press("End")
    expect(locate_tile(page, COUNT - 1).get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(locate_tile(page, COUNT - 2).get_by_role("link")).to_be_focused()
    assert page.locator("#results a[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    expect(page.locator("#position")).to_have_text("2,999 of 3,000")
    page.keyboard.press("Escape")
    expect(locate_tile(page, COUNT - 2).get_by_role("link")).to_be_focused()
    expect_missing_originals(tabs)


def test_focused_tile_survives_scrolling(page: Any) -> None:
    """A tile with the focus stays in the document, so that the focus is not lost."""
    locate_tile(page, 2).get_by_role("link").focus()
    page.mouse.wheel(0, 20_000)
    page.wait_for_function("() => scrollY > 10000")
    wait_for_frame(page)
    expect(locate_tile(page, 2).get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(locate_tile(page, 3).get_by_role("link")).to_be_focused()
    expect(locate_tile(page, 3)).to_be_in_viewport()


def test_focused_tile_survives_a_new_layout(page: Any) -> None:
    """Another width replaces all tiles; the focus goes to the new tile of the same picture."""
    link = locate_tile(page, 5).get_by_role("link")
    link.focus()
    old = link.element_handle()
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function("(link) => !link.isConnected", arg=old)
    expect(link).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(locate_tile(page, 6).get_by_role("link")).to_be_focused()


KEEP_FIRST_TILE = """() => {
  const keep = () => (window.firstTile = document.querySelector("#results li[data-index='0']"));
  new MutationObserver(keep).observe(document.getElementById("status"), { childList: true });
}"""


def test_results_are_laid_out_once(page: Any) -> None:
    """Results have no scrubber, and are wider: a later frame must not replace their tiles."""
    expect(page.locator("#scrubber")).to_be_visible()
    page.evaluate(KEEP_FIRST_TILE)  # at the end of the task that draws the results
    type_query(page, "red")
    expect(page.locator("#status")).to_contain_text("best first")
    wait_for_frame(page)
    wait_for_frame(page)
    assert page.evaluate("firstTile.isConnected")


def test_focused_tile_survives_the_next_page(tabs: BrowserTabs, site: str) -> None:
    """Further results can move the tiles of the last row, which keep the focus."""
    page = tabs.open_page(site)
    type_query(page, "red")
    expect_count(page, 60)
    page.keyboard.press("ArrowDown")
    expect(locate_tile(page, 0).get_by_role("link")).to_be_focused()
    page.keyboard.press("End")
    expect_count(page, 120)
    expect(locate_tile(page, 59).get_by_role("link")).to_be_focused()


def test_filters_narrow_the_first_view(page: Any) -> None:
    """Filters need no question; the way back restores the pictures and the scroll position."""
    page.evaluate("scrollTo(0, 5000)")
    page.wait_for_function("() => scrollY === 5000")
    choose_value(page, "Sea").click()
    narrowed = httpx.get(f"{page.url.split('?')[0]}api/timeline?keyword=sea").json()["images"]
    expect(page.locator("#status")).to_have_text(f"{narrowed} pictures")
    assert page.evaluate("scrollY") == 0
    assert page.url.endswith("?keyword=Sea&any_keyword=true")
    page.go_back()
    expect(page.locator("#status")).to_have_text("3,000 pictures")
    page.wait_for_function("() => scrollY === 5000")


def find_first_visible(page: Any) -> Any:
    """Return the data of the first tile whose top is visible: id and index."""
    return page.evaluate(
        "({...[...document.querySelectorAll('#results li')]"
        ".find((item) => item.getBoundingClientRect().top > 80).dataset})"
    )


def test_a_reloaded_page_keeps_the_place(page: Any) -> None:
    """The same pictures are visible; other filters, and a new visit, begin at the top."""
    page.evaluate("scrollTo(0, 5000)")
    page.wait_for_function("() => scrollY === 5000")
    wait_for_frame(page)
    first = find_first_visible(page)["id"]
    page.reload()
    # The side of the page comes later, and moves the pictures a little.
    expect(page.locator(f'#results li[data-id="{first}"]')).to_be_in_viewport(ratio=0.5)
    page.wait_for_function("() => Math.abs(scrollY - 5000) < 300")
    choose_value(page, "Sea").click()
    expect(page.locator("#status")).not_to_have_text("3,000 pictures")
    assert page.evaluate("scrollY") == 0
    page.goto(page.url.split("?")[0])
    expect(page.locator("#status")).to_have_text("3,000 pictures")
    assert page.evaluate("scrollY") == 0


def test_details_are_loaded_for_visible_pictures_only(tabs: BrowserTabs, site: str) -> None:
    """Names come in few requests for the shown tiles, and hover shows them."""
    page = tabs.open_page("about:blank")
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(site)
    expect(locate_tile(page, 0).locator("img")).to_have_attribute("alt", re.compile(r"\.jpg$"))
    batches = [url for url in urls if "/api/pictures?" in url]
    assert len(batches) == 1 and batches[0].count("id=") < 150
    locate_tile(page, 0).hover()
    caption = locate_tile(page, 0).locator(".caption")
    expect(caption).to_contain_text(".jpg")
    expect(caption).to_have_css("opacity", "1")


def test_resize_keeps_the_place(page: Any) -> None:
    """The first visible picture stays visible when the width changes."""
    page.evaluate("scrollTo(0, 30000)")
    page.wait_for_function("() => scrollY === 30000")
    wait_for_frame(page)
    index = find_first_visible(page)["index"]
    years = page.locator("#scrubber .year").evaluate_all("all => all.map((e) => e.style.top)")
    page.set_viewport_size({"width": 1000, "height": 700})
    expect(locate_tile(page, index)).to_be_in_viewport()
    page.wait_for_function(
        "(years) => [...document.querySelectorAll('#scrubber .year')]"
        ".some((element, i) => element.style.top !== years[i])",
        arg=years,
    )


def test_good_matches_come_first(tabs: BrowserTabs, site: str) -> None:
    """Less likely hits are folded behind a line; the fold is in the URL and keeps the focus."""
    page = tabs.open_page(site)
    mark_good_matches(page, GOOD_COUNT)
    type_query(page, "red")
    # The page loads the next 60 hits, which have no good match.
    expect(page.locator("#status")).to_have_text("12 good matches, best first")
    expect_count(page, GOOD_COUNT)
    expect(page.get_by_role("heading", name="Less likely")).to_be_visible()
    expect(page.get_by_text("108 pictures or more")).to_be_visible()
    page.get_by_role("button", name="Show less likely pictures").click()
    hide = page.get_by_role("button", name="Hide less likely pictures")
    expect(hide).to_be_focused()
    assert page.url.endswith("?q=red&rest=1")
    assert int(locate_tiles(page).first.get_attribute("aria-setsize")) >= 60
    ids = locate_tiles(page).evaluate_all("all => all.map((item) => item.dataset.index)")
    assert ids == sorted(ids, key=int)
    hide.click()
    expect_count(page, GOOD_COUNT)


def test_no_good_match_shows_the_nearest_pictures(tabs: BrowserTabs, site: str) -> None:
    page = tabs.open_page(site)
    mark_good_matches(page, 0)
    type_query(page, "red")
    expect(page.locator("#status")).to_have_text("60 pictures so far, best first · no good match")
    expect(page.get_by_role("heading", name="Less likely")).to_have_count(0)


def test_results_sorted_by_date(tabs: BrowserTabs, site: str) -> None:
    """Results by date have months and the scrubber; less likely hits stay behind the line."""
    page = tabs.open_page(f"{site}/?q=red")
    expect_count(page, 60)
    mark_good_matches(page, 40)
    expect(page.locator("#status")).to_contain_text("good matches")
    page.get_by_label("Sort").select_option("date")
    expect(page.locator("#status")).to_contain_text("good matches")
    expect(page.locator("#status")).to_contain_text("newest first")
    years = [int(text[-4:]) for text in read_visible_months(page) if text[-1].isdigit()]
    assert len(years) > 2 and years == sorted(years, reverse=True)
    expect(page).to_have_url(re.compile("sort=date"))
    page.get_by_label("Sort").select_option("")
    expect(page.locator("#status")).to_contain_text("best first")


def test_suggestions_come_from_the_library(page: Any) -> None:
    """The field suggests recent questions, folders and keywords; keys and clicks choose."""
    words = page.get_by_label("What the picture shows")
    type_query(page, "red boat")
    expect(page.locator("#status")).to_contain_text("best first")
    page.get_by_role("button", name="Remove the words").click()
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_contain_text("red boat")
    words.fill("sea")
    expect(options).to_have_count(1)
    expect(options.first).to_contain_text("Sea")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(words).to_have_attribute("aria-activedescendant", "suggestion-0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove the filter Keyword: Sea")).to_be_visible()
    expect(words).to_have_value("")
    expect(page.get_by_role("listbox")).to_be_hidden()
    words.fill("folder 00")
    expect(options).to_have_count(4)
    options.nth(2).click()
    expect(page.get_by_role("button", name=re.compile("Folder: folder 00"))).to_be_visible()
    words.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()


@each_view
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """The accessibility rules of axe hold on each view."""
    page = tabs.open_page(site, size, scheme)
    mark_good_matches(page, GOOD_COUNT)
    page.emulate_media(reduced_motion="reduce")  # rules of contrast need the final colors

    def check(view: str) -> None:
        assert list_violations(page) == [], view

    expect_count(page, COUNT)
    check("all pictures")
    page.get_by_label("What the picture shows").click()
    expect(page.get_by_role("option")).not_to_have_count(0)
    check("suggestions")
    page.keyboard.press("Escape")
    if size != "desktop":
        page.get_by_role("button", name="Filters", exact=True).click()
        expect(page.locator("#find")).to_be_in_viewport()
        check("filters")
        page.keyboard.press("Escape")
    page.goto(f"{site}/?q=red&camera=iPhone+13&camera=Halden+Q4")
    expect(page.locator("#status")).to_contain_text("good matches")
    check("results")
    locate_tile(page, 0).get_by_role("link").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    check("large view")
    page.goto(f"{site}/?after=2031")
    expect(page.get_by_role("heading", name="No matching pictures")).to_be_visible()
    check("no pictures")
    expect_missing_originals(tabs)
