"""The web page in a real Chromium, on the real server with a fake engine."""

from __future__ import annotations

import io
import os
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.browser import (
    BrowserTabs,
    choose_value,
    each_view,
    expect,
    expect_count,
    expect_first,
    load_all,
    locate_tile,
    locate_tiles,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_library, serve_with_engine
from support.sample_pictures import make_picture

from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.server.problems import PROBLEM_MEDIA_TYPE, make_problem

pytestmark = needs_chromium

MARKUP_NAME = "<img src=x onerror=alert(1)> & \"'.jpg"
FILE_TIME = 1_278_000_000  # in July 2010
RED_COUNT = 70  # more than one page


def make_dated_exif(day: str) -> Image.Exif:
    """Make EXIF with a date and a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Halden", "Q4"
    exif.get_ifd(0x8769)[0x9003] = f"{day.replace('-', ':')} 20:28:00"
    return exif


def draw_album(folder: Path) -> None:
    """Save 70 red pictures with only a file date, and 4 in other colors with an EXIF date."""
    dated = (
        ("2021/blue.jpg", "blue", "2021-07-15"),
        ("2021/trip/navy.jpg", "navy", "2021-08-01"),
        ("2023/green.jpg", "green", "2023-06-17"),
        (f"2023/{MARKUP_NAME}", "yellow", "2023-06-18"),
    )
    for name, color, day in dated:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_picture(color, (400, 300)).save(folder / name, exif=make_dated_exif(day))
    (folder / "reds").mkdir()
    for number in range(RED_COUNT):
        size = ((80, 60), (60, 80), (180, 60))[number % 3]
        file = folder / "reds" / f"{number:02}.png"
        make_picture("red", size, mark=7 * number).save(file)
        os.utime(file, (FILE_TIME, FILE_TIME))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library of the album."""
    folder = tmp_path_factory.mktemp("web")
    draw_album(folder / "album")
    model = write_fake_clip(folder / "fake-clip")
    with Library.open(folder / "library", create=True, start=FakeEngine) as opened:
        assert index_folder(opened, folder / "album", model).added == RED_COUNT + 4
    return folder / "library"


@pytest.fixture(scope="module")
def site(library: Path) -> Iterator[str]:
    """URL of a server whose engine runs."""
    with serve_with_engine(library, lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The start page on a desktop."""
    return tabs.open_page(site)


def make_png(color: str) -> bytes:
    buffer = io.BytesIO()
    make_picture(color).save(buffer, "PNG")
    return buffer.getvalue()


SEND_FILE_SCRIPT = """([kind, data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true };
  const send = (event) => document.body.dispatchEvent(event);
  if (kind === "paste") send(new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
  for (const name of kind === "paste" ? [] : ["dragenter", "dragover", kind])
    send(new DragEvent(name, { ...options, dataTransfer: transfer }));
}"""


def send_file(page: Any, kind: str, data: bytes, name: str, media: str = "image/png") -> None:
    """Send an event with a file to the page; kind: dragover, drop or paste."""
    page.evaluate(SEND_FILE_SCRIPT, [kind, b64encode(data).decode(), name, media])


def is_on_top(element: Any) -> bool:
    """Return whether nothing covers the center of an element that ignores the mouse."""
    script = """element => {
      element.style.pointerEvents = "auto";
      const { x, y, width, height } = element.getBoundingClientRect();
      return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }"""
    return bool(element.evaluate(script))


def test_words_find_pictures(page: Any) -> None:
    """A search by words shows the nearest picture first, and names it on hover."""
    expect(page.get_by_text("74 pictures")).to_be_visible()
    type_query(page, "something blue")
    expect_first(page, "blue.jpg")
    locate_tile(page, 0).hover()
    for text in ("blue.jpg", "1.000", "2021", "15 Jul 2021"):
        expect(locate_tile(page, 0).locator(".caption")).to_contain_text(text)
    expect(page.locator("#status")).to_contain_text("60 pictures so far, best first")
    assert page.url.endswith("/?q=something+blue")
    assert page.title() == "something blue · searchapp"


def test_unjudged_pictures_are_not_folded(page: Any) -> None:
    """Beside a match of the words, pictures without a judgment do not count as less likely."""
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    expect(page.locator("#status")).to_have_text("60 pictures so far, best first")
    expect(page.get_by_role("heading", name="Less likely")).to_have_count(0)


def test_dropped_picture_finds_similar_pictures(page: Any) -> None:
    """A picture dropped anywhere on the page is the query, and can be removed."""
    send_file(page, "dragover", make_png("green"), "grass.png")
    expect(page.get_by_text("Drop the picture to find similar pictures")).to_be_visible()
    send_file(page, "drop", make_png("green"), "grass.png")
    expect(page.get_by_text("Drop the picture")).to_be_hidden()
    expect_first(page, "green.jpg")
    expect(page.get_by_text("Pictures like grass.png")).to_be_attached()
    page.get_by_role("button", name="Remove the picture").click()
    expect_count(page, RED_COUNT + 4)
    expect(page.locator("#picture")).to_be_hidden()
    page.go_back()
    expect_first(page, "green.jpg")


def test_picture_and_words_are_one_query(page: Any) -> None:
    """Words can be added to a picture, and either can be removed."""
    send_file(page, "drop", make_png("red"), "a.png")
    expect(locate_tiles(page)).not_to_have_count(0)
    with page.expect_request("**/api/search") as request:
        type_query(page, "blue")
    assert request.value.headers["content-type"].startswith("multipart/form-data")
    expected = httpx.post(
        f"{page.url.split('?')[0]}api/search",
        data={"text": "blue"},
        files={"image": ("a.png", make_png("red"))},
    ).json()
    expect_first(page, expected["hits"][0]["name"])
    shown = locate_tiles(page).evaluate_all("all => all.map((item) => Number(item.dataset.id))")
    assert len(shown) > 5 and shown == [hit["id"] for hit in expected["hits"]][: len(shown)]
    page.get_by_role("button", name="Remove the words").click()
    expect_first(page, "00.png")
    expect(page.locator("#picture")).to_be_visible()
    type_query(page, "blue")
    page.get_by_role("button", name="Remove the picture").click()
    expect_first(page, "blue.jpg")
    assert page.url.endswith("?q=blue")


def test_pasted_and_chosen_pictures(page: Any) -> None:
    """A picture can be pasted, or chosen as a file."""
    send_file(page, "paste", make_png("yellow"), "image.png")
    expect_first(page, MARKUP_NAME)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search with a picture").click()
    chooser.value.set_files({"name": "b.png", "mimeType": "image/png", "buffer": make_png("blue")})
    expect_first(page, "blue.jpg")


def test_dropped_picture_survives_a_reload(page: Any) -> None:
    """A dropped picture is stored in the session, because it cannot be in the URL."""
    send_file(page, "drop", make_png("blue"), "sea.png")
    expect_first(page, "blue.jpg")
    assert "?" not in page.url
    page.reload()
    expect_first(page, "blue.jpg")
    expect(page.get_by_text("Pictures like sea.png")).to_be_attached()


def test_large_picture_is_lost_by_a_reload(page: Any) -> None:
    """A picture too large for the session storage is requested again after a reload."""
    send_file(page, "drop", make_png("blue") + bytes(3_000_001), "large.png")
    expect_first(page, "blue.jpg")
    page.reload()
    expect(page.get_by_text("The picture is no longer available")).to_be_visible()


def test_last_of_two_pictures_is_the_question(page: Any) -> None:
    """A picture that takes long to read does not replace one that was dropped after it."""
    page.evaluate("""() => {
      const read = File.prototype.arrayBuffer;
      window.reads = [];
      File.prototype.arrayBuffer = async function () {
        if (this.name === "slow.png") await new Promise((resume) => (window.resume = resume));
        const bytes = await read.call(this);
        window.reads.push(this.name);
        return bytes;
      };
    }""")
    send_file(page, "drop", make_png("green"), "slow.png")
    send_file(page, "drop", make_png("blue"), "fast.png")
    expect_first(page, "blue.jpg")
    page.evaluate("resume()")
    page.wait_for_function("() => reads.includes('slow.png')")
    page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    expect_first(page, "blue.jpg")
    expect(page.get_by_text("Pictures like fast.png")).to_be_attached()
    page.reload()
    expect(page.get_by_text("Pictures like fast.png")).to_be_attached()


def test_lost_picture_of_a_question_with_words(page: Any) -> None:
    """The page says that it searches only for the words, until the question changes."""
    send_file(page, "drop", make_png("green") + bytes(3_000_001), "large.png")
    expect_first(page, "green.jpg")
    type_query(page, "blue")
    expect(page.locator("#warnings")).to_be_hidden()
    page.reload()
    expect_first(page, "blue.jpg")
    expect(page.locator("#warnings")).to_contain_text("The picture of this question is no longer")
    type_query(page, "green")
    expect_first(page, "green.jpg")
    expect(page.locator("#warnings")).to_be_hidden()


def test_file_that_is_not_a_picture_is_refused(page: Any, tabs: BrowserTabs) -> None:
    """The page refuses another media type; the server refuses a broken picture."""
    send_file(page, "drop", b"text", "notes.txt", "text/plain")
    expect(page.get_by_text("“notes.txt” is not a picture")).to_be_visible()
    send_file(page, "drop", b"not at all", "broken.png")
    expect(page.get_by_role("heading", name="The picture cannot be read")).to_be_visible()
    expect(page.get_by_text("not a picture, or a picture in an unknown format")).to_be_visible()
    page.locator("#notice").get_by_role("button", name="Remove the picture").click()
    expect_count(page, RED_COUNT + 4)
    expect(page.locator("#picture")).to_be_hidden()
    tabs.expect_errors("status of 400")


def test_grid_has_the_focus_if_its_picture_is_not_shown_any_more(page: Any) -> None:
    """The keyboard stays at the pictures when the next ones do not have the focused picture."""
    choose_value(page, "JPEG").click()
    expect_count(page, 4)
    page.go_back()
    expect_count(page, RED_COUNT + 4)
    locate_tile(page, 0).get_by_role("link").focus()
    page.keyboard.press("End")
    expect(locate_tile(page, RED_COUNT + 3).get_by_role("link")).to_be_focused()
    page.go_forward()
    expect_count(page, 4)
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#results")).to_be_focused()


def test_wrong_file_is_refused_where_the_user_looks(page: Any) -> None:
    """The pictures and the large view stay, and the message is over them."""
    page.evaluate("scrollTo(0, 600)")
    send_file(page, "drop", b"text", "notes.txt", "text/plain")
    message = page.get_by_text("“notes.txt” is not a picture")
    expect(message).to_be_in_viewport()
    expect(page.locator("#status")).to_have_text("74 pictures")
    locate_tile(page, 0).get_by_role("link").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    send_file(page, "dragover", make_png("green"), "grass.png")
    hint = page.get_by_text("Drop the picture to find similar pictures")
    assert is_on_top(hint)
    send_file(page, "drop", b"text", "letter.txt", "text/plain")
    expect(hint).to_be_hidden()
    expect(page.get_by_role("dialog")).to_contain_text("“letter.txt” is not a picture")
    assert is_on_top(page.get_by_text("“letter.txt” is not a picture"))
    send_file(page, "drop", make_png("green"), "grass.png")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_first(page, "green.jpg")


def test_large_view(page: Any) -> None:
    """A click opens the picture with its metadata, and Escape goes back to the grid."""
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    locate_tiles(page).first.click()
    dialog = page.get_by_role("dialog", name="blue.jpg")
    for fact in ("1.000", "Thursday, 15 July 2021 at 20:28", "Halden Q4", "400 × 300 pixels"):
        expect(dialog).to_contain_text(fact)
    expect(dialog.locator("#path")).to_have_text(re.compile("/album/2021/blue.jpg$"))
    image = dialog.get_by_role("img", name="blue.jpg")
    expect(image).to_have_attribute("src", re.compile(r"/api/images/\d+\?sha256=[0-9a-f]{16}$"))
    assert image.evaluate("image => image.naturalWidth") == 400
    assert "open=" in page.url
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(locate_tiles(page).first.get_by_role("link")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?q=blue$"))


def test_more_like_this(page: Any) -> None:
    """A hit becomes the next query, and words can be added."""
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    locate_tiles(page).first.click()
    page.get_by_role("link", name="More like this").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_first(page, "blue.jpg")
    expect(locate_tiles(page).nth(1).get_by_role("img")).to_have_attribute("alt", "navy.jpg")
    assert re.search(r"\?similar=\d+$", page.url)
    type_query(page, "yellow")
    expect(page).to_have_url(re.compile(r"\?q=yellow&similar=\d+$"))
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert locate_tiles(page).first.get_by_role("img").get_attribute("alt") != "navy.jpg"
    page.reload()
    expect(locate_tiles(page)).not_to_have_count(0)
    expect(page.get_by_label("What the picture shows")).to_have_value("yellow")
    expect(page.locator("#picture")).to_be_visible()


def test_copy_path(tabs: BrowserTabs, site: str) -> None:
    """The path is copied unchanged, including markup and quotes."""
    page = tabs.open_page(f"{site}/?q=yellow", permissions=["clipboard-read", "clipboard-write"])
    locate_tiles(page).first.click()
    page.get_by_role("button", name="Copy path").click()
    expect(page.get_by_text("The path is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/album/2023/{MARKUP_NAME}")


def test_file_names_are_not_markup(page: Any) -> None:
    """A file name that looks like HTML is shown as text."""
    type_query(page, "yellow")
    expect_first(page, MARKUP_NAME)
    locate_tiles(page).first.click()
    expect(page.get_by_role("heading", name=MARKUP_NAME)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_keyboard_only(page: Any) -> None:
    """Without a mouse: search, move in the grid, open a picture, go to the next, close."""
    page.keyboard.press("/")
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    expect_count(page, 60)
    page.keyboard.press("ArrowDown")
    links = locate_tiles(page).get_by_role("link")
    expect(links.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    measure = "document.activeElement.getBoundingClientRect().top + scrollY"
    below = page.evaluate(measure)
    assert below > links.nth(1).bounding_box()["y"]
    page.keyboard.press("ArrowUp")
    assert page.evaluate(measure) < below
    links.nth(1).focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # the focus is visible
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="blue.jpg")).to_be_visible()
    expect(page.locator("#position")).to_have_text("1 of 60+")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="navy.jpg")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog", name="blue.jpg")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("What the picture shows")).to_be_focused()


def test_scrolling_loads_the_next_page(page: Any) -> None:
    """The end of the grid loads more results, each picture once, until all are shown."""
    type_query(page, "red")
    expect_count(page, 60)
    load_all(page, RED_COUNT + 4)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("74 pictures, best first")
    ids = set[str]()
    for top in range(0, page.evaluate("document.documentElement.scrollHeight"), 800):
        page.evaluate("(top) => scrollTo(0, top)", top)
        expect(locate_tiles(page)).not_to_have_count(0)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        ids |= set(locate_tiles(page).evaluate_all("all => all.map((item) => item.dataset.id)"))
    assert len(ids) == RED_COUNT + 4


def test_arrow_keys_go_to_the_next_page(page: Any) -> None:
    """In the large view, the right arrow after the last picture of a page loads the next page."""
    type_query(page, "red")
    last = httpx.post(f"{page.url.split('?')[0]}api/search", json={"text": "red", "count": 60})
    page.goto(f"{page.url}&open={last.json()['hits'][-1]['id']}")
    expect(page.locator("#position")).to_have_text("60 of 60+")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("61 of 74")


def test_filters(page: Any) -> None:
    """A folder includes its subfolders; a date is a year, a month or a day."""
    type_query(page, "blue")
    expect_count(page, 60)
    names = page.locator("#kinds section").first.locator("li").all_inner_texts()
    assert [" ".join(name.split()) for name in names] == [
        f"reds {RED_COUNT}", "2023 2", "2021 1", "2021/ trip 1",
    ]  # fmt: skip
    choose_value(page, "2021 1").click()
    expect_count(page, 2)
    choose_value(page, "2023 2").click()
    expect_count(page, 4)
    for name in ("2021", "2023"):
        page.get_by_role("button", name=f"Remove the filter Folder: {name}").click()
    expect_count(page, 60)
    page.get_by_label("from", exact=True).fill("2021-08")
    page.keyboard.press("Tab")
    expect_count(page, 3)
    page.get_by_label("to", exact=True).fill("2023-06-17")
    page.keyboard.press("Tab")
    expect_count(page, 2)
    assert page.url.endswith("?q=blue&after=2021-08&before=2023-06-17")
    page.get_by_label("from", exact=True).fill("last week")
    page.keyboard.press("Tab")
    expect(page.get_by_text("A year, a month or a day")).to_be_visible()
    expect_count(page, 2)
    page.get_by_role("button", name="Reset filters").click()
    expect_count(page, 60)


def test_only_this_folder(page: Any) -> None:
    """The large view has a link to the same query in the folder of the picture."""
    type_query(page, "green")
    expect_first(page, "green.jpg")
    locate_tiles(page).first.click()
    page.get_by_role("link", name="This folder").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_count(page, 2)
    expect(page.get_by_role("button", name="Remove the filter Folder: 2023")).to_be_visible()


def test_score_slider(page: Any) -> None:
    """The slider has the range of the scores, and hides lower scores without a new search."""
    type_query(page, "blue")
    expect_count(page, 60)
    request_urls: list[str] = []
    page.on("request", lambda request: request_urls.append(request.url))
    slider = page.get_by_label("Score", exact=False)
    assert slider.get_attribute("max") == "1"
    slider.focus()
    page.keyboard.press("End")
    expect_count(page, 1)
    expect(page.locator("#status")).to_contain_text("1 picture with a score of 1.000")
    expect(page).to_have_url(re.compile("min=1$"))
    page.keyboard.press("Home")
    expect(page.locator("#cut-value")).to_have_text("any")
    expect_count(page, 60)
    assert not any("min_score" in url or "offset=0" in url for url in request_urls)


def test_no_picture_has_the_minimum_score(tabs: BrowserTabs, site: str) -> None:
    """If the minimum score hides all pictures, the page shows the best score and a way out."""
    page = tabs.open_page(f"{site}/?q=blue&min=1.5")
    expect(page.get_by_text("No picture has a score of 1.500 or more")).to_be_visible()
    page.get_by_role("button", name="Show all results").click()
    expect_first(page, "blue.jpg")


def test_no_picture_matches_the_filters(tabs: BrowserTabs, site: str) -> None:
    """If no picture matches the filters, the page offers to remove them."""
    page = tabs.open_page(f"{site}/?q=blue&after=2031")
    expect(page.get_by_role("heading", name="No matching pictures")).to_be_visible()
    page.get_by_role("button", name="Remove all filters").click()
    expect_first(page, "blue.jpg")


def test_no_picture_has_the_words(tabs: BrowserTabs, site: str) -> None:
    """The page does not say that the library is empty, and offers to search in pictures."""
    page = tabs.open_page(f"{site}/?q=cyan&by=text", "phone")
    expect(page.get_by_role("heading", name="No results")).to_be_visible()
    expect(page.get_by_text("searchapp index ~/Pictures")).to_be_hidden()
    by_width, sort_width = (page.locator(id).bounding_box()["width"] for id in ("#by", "#sort"))
    assert abs(by_width - sort_width) < 2
    page.get_by_role("button", name="Search in pictures, too").click()
    expect(locate_tiles(page).first).to_be_visible()


def test_url_restores_the_page(page: Any, tabs: BrowserTabs, site: str) -> None:
    """The URL has query, filters, minimum score and the open picture."""
    type_query(page, "blue")
    choose_value(page, "2021 1").click()
    expect_count(page, 2)
    locate_tiles(page).nth(1).click()
    expect(page.get_by_role("dialog", name="navy.jpg")).to_be_visible()
    other = tabs.open_page(page.url)
    expect(other.get_by_role("dialog", name="navy.jpg")).to_be_visible()
    expect(other.get_by_label("What the picture shows")).to_have_value("blue")
    other.keyboard.press("Escape")
    expect_count(other, 2)
    expect(other).not_to_have_url(re.compile("open="))
    page.reload()
    expect(page.get_by_role("dialog", name="navy.jpg")).to_be_visible()


def test_invalid_values_in_the_url_are_ignored(tabs: BrowserTabs, site: str) -> None:
    """With an invalid date, place or number in the URL, the page still searches."""
    wrong = "after=soon&before=2019-13&near=95,2,1&area=1,2,3&min=high&open=&similar=x&other=1"
    page = tabs.open_page(f"{site}/?q=blue&{wrong}")
    expect_first(page, "blue.jpg")
    expect_count(page, 60)


def test_open_picture_needs_no_results(tabs: BrowserTabs, site: str) -> None:
    """A picture that is not in the results can be opened; an unknown id is removed from the URL."""
    hit = httpx.post(f"{site}/api/search", json={"text": "green"}).json()["hits"][0]
    page = tabs.open_page(f"{site}/?open={hit['id']}")
    expect(page.get_by_role("dialog", name="green.jpg")).to_be_visible()
    page.goto(f"{site}/?q=blue&open=999999")
    expect_first(page, "blue.jpg")
    expect(page).to_have_url(f"{site}/?q=blue")
    tabs.expect_errors("status of 4")


def test_back_and_forward(page: Any) -> None:
    """Back closes the large view, then restores the previous query; forward undoes this."""
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    type_query(page, "green")
    expect_first(page, "green.jpg")
    locate_tiles(page).nth(2).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_first(page, "green.jpg")
    page.go_back()
    expect_first(page, "blue.jpg")
    expect(page.get_by_label("What the picture shows")).to_have_value("blue")
    page.go_forward()
    expect_first(page, "green.jpg")


def test_closed_picture_is_not_in_the_history(page: Any) -> None:
    """After a picture is opened and closed, back goes to the previous query."""
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    type_query(page, "green")
    expect_first(page, "green.jpg")
    locate_tiles(page).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"\?q=green$"))
    page.go_back()
    expect_first(page, "blue.jpg")


def test_back_restores_the_scroll_position(page: Any) -> None:
    """Back restores all loaded pages and the scroll position of the grid."""
    type_query(page, "red")
    expect_count(page, 60)
    load_all(page, RED_COUNT + 4)
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_function("() => scrollY === 900")
    page.keyboard.press("/")
    page.evaluate("scrollTo(0, 900)")
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    page.go_back()
    expect_count(page, RED_COUNT + 4)
    page.wait_for_function("() => scrollY === 900")


def test_server_error_is_shown(page: Any, tabs: BrowserTabs) -> None:
    """The error of the server is shown, and the next query works."""
    type_query(page, "nonsense")
    expect(page.get_by_role("heading", name="This search is not possible")).to_be_visible()
    expect(page.get_by_text("does not take this query")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    expect(page.locator("#notice")).to_be_hidden()
    tabs.expect_errors("status of 400")


@pytest.mark.parametrize(
    ("status", "kind", "title"),
    [
        (500, "EngineError", "The model does not work"),
        (404, "VectorStoreError", "The library cannot be used"),
        (403, "ReadOnlyError", "The library cannot be changed"),
        (401, None, "The token is missing"),
        (404, None, "No longer available"),
        (413, None, "The picture is too large"),
        (422, None, "This search is not possible"),
        (429, "TooManyJobsError", "The server is busy"),
        (500, "SearchAppError", "Something went wrong"),
    ],
)
def test_title_says_what_is_wrong(
    page: Any, tabs: BrowserTabs, status: int, kind: str | None, title: str
) -> None:
    """The reason of the server begins with a capital letter. Only a fault has a vague title."""
    problem = {"detail": "the reason. What to do.", **({"kind": kind} if kind else {})}
    page.route("**/api/search", lambda route: route.fulfill(status=status, json=problem))
    type_query(page, "blue")
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.locator("#notice-text")).to_have_text("The reason. What to do.")
    remedy = "Reload" if status == 401 else "Try again"
    expect(page.locator("#notice-actions")).to_have_text(remedy)
    tabs.expect_errors(f"status of {status}")


def test_server_does_not_answer(page: Any, tabs: BrowserTabs) -> None:
    """Without a server the page shows an error; when the server is back, a retry works."""
    page.context.set_offline(True)
    type_query(page, "blue")
    expect(page.get_by_role("heading", name="No connection to searchapp")).to_be_visible()
    expect(page.get_by_text("searchapp does not answer")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect_first(page, "blue.jpg")
    tabs.expect_errors("ERR_INTERNET_DISCONNECTED")


def test_validation_errors_are_shown(page: Any, tabs: BrowserTabs) -> None:
    """The page shows the detail of an error, which names the invalid fields."""
    errors = [{"loc": ["body", "after"], "msg": "not a date"}]
    page.route(
        "**/api/search",
        lambda route: route.fulfill(
            status=422,
            content_type=PROBLEM_MEDIA_TYPE,
            body=make_problem(422, "after: not a date", {"errors": errors}),
        ),
    )
    type_query(page, "blue")
    expect(page.get_by_text("After: not a date")).to_be_visible()
    tabs.expect_errors("status of 422")


def test_model_is_starting(library: Path, tabs: BrowserTabs) -> None:
    """While the engine starts, the page shows a notice, retries, and then shows the results."""
    ready = threading.Event()

    def start(spec: ModelSpec) -> FakeEngine:
        ready.wait(30)
        return FakeEngine(spec)

    with serve_library(library, start) as url:
        try:
            page = tabs.open_page(f"{url}/?q=blue")
            expect(page.get_by_role("heading", name="The model is starting")).to_be_visible()
            expect(page.get_by_text("starting vLLM with")).to_be_visible()
        finally:
            ready.set()
        expect_first(page, "blue.jpg")
        expect(page.get_by_text("The model is starting")).to_be_hidden()
        page.context.close()
    tabs.expect_errors("status of 503")


def test_empty_library(tmp_path: Path, tabs: BrowserTabs) -> None:
    """Without pictures, the page shows the command that indexes a folder."""
    with Library.open(tmp_path / "library", create=True):
        pass
    with serve_library(tmp_path / "library", lambda spec: FakeEngine(spec)) as url:
        page = tabs.open_page(url)
        expect(page.get_by_text("searchapp index ~/Pictures")).to_be_visible()
        page.context.close()


@each_view
def test_layouts(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """No horizontal scrolling; pictures keep their aspect ratio; text has enough contrast."""
    page = tabs.open_page(site, size, scheme)
    overflows = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(overflows)
    type_query(page, "red")
    expect_count(page, 60)
    assert not page.evaluate(overflows)
    ratios = (
        locate_tiles(page)
        .get_by_role("img")
        .evaluate_all(
            "all => all.slice(0, 9).map((image) => image.clientWidth / image.clientHeight)"
        )
    )
    for number, ratio in enumerate(ratios):
        name = locate_tiles(page).nth(number).get_by_role("img").get_attribute("alt")
        if name.endswith(".png"):
            expected = (4 / 3, 3 / 4, 2 if size == "phone" else 2.6)[int(name[:2]) % 3]
            assert ratio == pytest.approx(expected, rel=0.05)
    if size != "desktop":
        page.get_by_role("button", name="Filters", exact=True).click()
        expect(choose_value(page, "PNG")).to_be_visible()
        assert not page.evaluate(overflows)
        page.keyboard.press("Escape")
    background, foreground = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (luminance(background) > 0.8) == (scheme == "light")
    assert contrast(background, foreground) > 7
    soft = page.locator("#status").evaluate("element => getComputedStyle(element).color")
    assert contrast(background, soft) > 4.5
    locate_tiles(page).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    rectangle = page.locator("#large").bounding_box()
    assert (rectangle["x"], rectangle["width"]) == (0, page.evaluate("innerWidth"))
    for name in ("More like this", "Copy path", "Close"):
        texts = page.get_by_text(name, exact=True).or_(page.get_by_label(name, exact=True))
        expect(texts.first).to_be_in_viewport()


def luminance(color: str) -> float:
    """Return the relative luminance of a CSS color rgb(), as WCAG 2 defines it."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (int(number) / 255 for number in re.findall(r"\d+", color)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_grid_layout_is_stable(page: Any, tabs: BrowserTabs) -> None:
    """Tiles have the same positions before and after their thumbnails are loaded."""
    page.route("**/api/thumbnails/**", lambda route: route.abort())
    type_query(page, "red")
    expect_count(page, 60)
    measure = "all => all.map((item) => [item.dataset.id, item.style.cssText])"
    before = locate_tiles(page).evaluate_all(measure)
    page.unroute("**/api/thumbnails/**")
    page.reload()
    expect_count(page, 60)
    page.wait_for_function(
        "() => [...document.images].filter((image) => image.complete && image.naturalWidth)"
        ".length > 12"
    )
    assert locate_tiles(page).evaluate_all(measure) == before
    tabs.expect_errors("ERR_FAILED")


def test_thumbnails_are_loaded_lazily(page: Any) -> None:
    """Thumbnails are loaded near the viewport, in the size that the screen needs."""
    request_urls: list[str] = []
    page.on("request", lambda request: request_urls.append(request.url))
    page.set_viewport_size({"width": 390, "height": 500})
    page.wait_for_load_state("networkidle")  # The view of all pictures may need large thumbnails.
    request_urls.clear()
    type_query(page, "red")
    expect_count(page, 60)
    image = locate_tile(page, 0).locator("img")
    page.wait_for_function(
        "image => image.complete && image.naturalWidth", arg=image.element_handle()
    )
    small = {url for url in request_urls if "size=320" in url}
    assert 0 < len(small) < 40 and not any("size=640" in url for url in request_urls)


def test_reduced_motion(tabs: BrowserTabs, site: str) -> None:
    """With prefers-reduced-motion there are no transitions."""
    page = tabs.open_page(site, reduced_motion="reduce")
    type_query(page, "red")
    expect_count(page, 60)
    image = locate_tiles(page).first.get_by_role("img")
    assert image.evaluate("image => getComputedStyle(image).transitionDuration") in ("0s", "1e-05s")


def test_controls_have_accessible_names(page: Any) -> None:
    """Each button, link, field and picture has a name for screen readers."""
    type_query(page, "blue")
    expect_count(page, 60)
    locate_tiles(page).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    for snapshot in (
        page.locator("dialog").aria_snapshot(),
        page.locator("header").aria_snapshot(),
    ):
        nameless = [
            line
            for line in snapshot.splitlines()
            if re.match(r"\s*- (button|link|textbox|searchbox|combobox|slider|img)(:|$)", line)
        ]
        assert nameless == []
