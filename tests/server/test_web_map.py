"""The map of the web page, by place and by likeness, in Chromium."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    expect,
    expect_count,
    list_violations,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.metadata_files import make_exif
from support.sample_pictures import save_picture

from searchapp.library import Library

pytestmark = needs_chromium

PLACES = {
    "red": (48.85, 2.29), "orange": (48.86, 2.35), "gold": (48.85, 2.3), "lime": (48.9, 2.4),
    "blue": (-33.86, 151.2), "teal": (64.1, -21.9), "navy": (64.15, -21.8), "gray": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with pictures of Paris (4), Iceland (2), Sydney, and without a place."""
    root = tmp_path_factory.mktemp("map")
    for mark, (color, place) in enumerate(PLACES.items()):
        exif = make_exif(f"2023:06:{mark + 1:02} 12:00:00", coordinates=place)
        save_picture(root / "album" / f"{color}.jpg", color, mark=mark, exif=exif)
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, root / "album", write_fake_clip(root / "fake-clip"))
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


def locate_cluster(page: Any, count: int) -> Any:
    noun = "picture" if count == 1 else "pictures"
    return page.get_by_role("button", name=re.compile(rf"^{count} {noun}, \d"))


def test_map_narrows_to_the_place_of_a_cluster(tabs: BrowserTabs, site: str) -> None:
    """Back returns to the same part of the map; filters apply; nothing is sent to other servers."""
    page = tabs.open_page(site)
    hosts = set[str]()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    expect_count(page, 8)
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?view=map$"))
    expect(page.locator("#status")).to_have_text("7 pictures in this part of the map")
    expect(page.locator(".cluster")).to_have_count(3)
    expect(page.locator("#results")).to_be_hidden()
    world = page.locator("#world")
    box, paris = world.bounding_box(), locate_cluster(page, 4).bounding_box()
    x, y = paris["x"] + paris["width"] / 2, paris["y"] + paris["height"] / 2
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -400)
    expect(page.locator("#status")).to_have_text("4 pictures in this part of the map")
    expect(page).to_have_url(re.compile(r"\?view=map&at="))
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=3)
    page.mouse.up()
    world.focus()
    before = page.locator("#world-outline").get_attribute("viewBox")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#world-outline")).not_to_have_attribute("viewBox", before)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    expect(page.locator("#status")).to_have_text("7 pictures in this part of the map")
    expect(page).to_have_url(re.compile(r"&at=[-\d.]+%2C[-\d.]+%2C[\d.]+$"))
    shown = page.url
    locate_cluster(page, 4).press("Enter")
    expect(page).to_have_url(re.compile(r"\?area=48\.8\d+%2C2\.2\d+%2C48\.9\d*%2C2\.4\d*$"))
    expect_count(page, 4)
    expect(page.locator("#chips")).to_contain_text("Place")
    page.go_back()
    expect(page).to_have_url(shown)
    expect(page.locator(".cluster")).to_have_count(3)
    locate_cluster(page, 1).click()
    expect(page.get_by_role("dialog")).to_contain_text("blue.jpg")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page).to_have_url(shown)  # The step back in the history would undo the filter.
    page.locator("#after").fill("2023-06-05")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("3 pictures in this part of the map")
    page.locator("#world-in").focus()
    page.keyboard.press("Escape")
    expect_count(page, 4)
    expect(page).to_have_url(re.compile(r"\?after=2023-06-05$"))
    page.goto(f"{site}/?view=map&area=0,0,1,1")
    expect(page.locator("#notice-title")).to_have_text("No picture has a place")
    page.get_by_role("button", name="By likeness").click()
    expect(page.locator("#notice-text")).to_contain_text(
        "no picture for the map matches", ignore_case=True
    )
    page.get_by_role("button", name="Reset filters").click()
    expect(page.locator("canvas.picture-map")).to_be_visible()
    assert hosts == {site.split("/")[2]}


def test_map_by_likeness_opens_pictures(tabs: BrowserTabs, site: str) -> None:
    """Progress and cancellation come from the server; a question goes back to the pictures."""
    page = tabs.open_page(site)
    expect_count(page, 8)
    page.get_by_role("link", name="Map", exact=True).click()
    is_running = True  # until the page asks the server to cancel

    def answer_job(route: Any) -> None:
        nonlocal is_running
        is_running = is_running and route.request.method != "DELETE"
        job = {
            "id": "0123456789abcdef",
            "stage": "thumbnails",
            "done": 3,
            "total": 8,
            "error": None,
        }
        route.fulfill(json={**job, "state": "running" if is_running else "canceled"})

    page.route("**/api/map", answer_job)
    page.route("**/api/jobs/*", answer_job)
    page.get_by_role("link", name="By likeness").click()
    expect(page.locator("#job-stage")).to_have_text("Making thumbnails …")
    expect(page.locator("#job-count")).to_have_text("3 / 8")
    assert list_violations(page) == []
    page.get_by_role("button", name="Cancel").last.click()
    expect(page.locator("#notice-title")).to_have_text("Canceled")
    page.unroute_all()
    page.get_by_role("button", name="Start again").click()
    canvas = page.get_by_role("application", name=re.compile("Map of similar pictures"))
    expect(canvas).to_be_visible()
    expect(page.locator("#status")).to_have_text("8 pictures")
    canvas.focus()
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page).to_have_url(re.compile(r"view=likeness.*open=|open=.*view=likeness"))
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(canvas).to_be_visible()
    canvas.hover()
    expect(page.locator("#map-tip")).to_have_text(re.compile(r"\.jpg · \d+ Jun 2023"))
    type_query(page, "red")
    expect(page).to_have_url(re.compile(r"\?q=red$"))
    expect_count(page, 8)
    page.go_back()
    expect(canvas).to_be_visible()


def test_all_places_fit_although_another_part_loads(tabs: BrowserTabs, site: str) -> None:
    """The part that a move wants is requested while the places for "show all" are on their way."""
    page = tabs.open_page(f"{site}/?view=map")
    expect(page.locator("#status")).to_have_text("7 pictures in this part of the map")
    page.locator("#world").focus()
    page.keyboard.press("0")
    expect(page).to_have_url(re.compile("&at="))
    fitted = page.url
    page.keyboard.press("+")
    expect(page).not_to_have_url(fitted)

    def delay(route: Any) -> None:
        if "within=" not in route.request.url:
            time.sleep(0.8)  # longer than a move waits before it loads
        route.continue_()

    page.route("**/api/places?*", delay)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    expect(page).to_have_url(fitted)


@pytest.mark.parametrize("size", VIEWPORT_SIZES)
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str) -> None:
    """In both arrangements, light and dark, also in German. Fingers zoom the map, not the page."""
    has_touch, locale = size != "desktop", "de-DE" if size == "tablet" else "en-GB"
    page = tabs.open_page(f"{site}/?view=likeness", size, locale=locale, has_touch=has_touch)
    expect(page.locator("canvas.picture-map")).to_be_visible()
    for link in ("", "#map-by-place"):
        if link:
            page.locator(link).click()
            expect(page.locator("#status")).to_have_text(re.compile("^7 .* (this|diesem) "))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert list_violations(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    if not has_touch:
        return
    box = page.locator("#world").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 30
    session = page.context.new_cdp_session(page)
    before = page.locator("#world-outline").get_attribute("viewBox")
    for kind, distance in (("touchStart", 40), ("touchMove", 60), ("touchMove", 90)):
        points = [{"x": x - distance, "y": y}, {"x": x + distance, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#world-outline")).not_to_have_attribute("viewBox", before)
    assert page.evaluate("visualViewport.scale") == 1
    # The map rests. Chromium ignores a tap that comes while the pinch still moves something.
    expect(page).to_have_url(re.compile(r"[?&]at="))
    page.locator("#world-all").tap()
    count = 2 if size == "tablet" else 6  # on a phone, Paris and Iceland are one cluster
    page.get_by_role("button", name=re.compile(rf"^{count} (pictures|Bilder), ")).tap()
    expect_count(page, count)
    expect(page).to_have_url(re.compile(r"\?area="))
