"""The web page, in a real Chromium, on the real server with a fake engine."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    expect,
    expect_first,
    locate_tiles,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_library
from support.sample_pictures import make_picture

from searchapp.library import Library
from searchapp.models import ModelSpec

pytestmark = needs_chromium

ODD = "<img src=x onerror=alert(1)> & \"'.jpg"
OLD = 1_278_000_000  # a date of files, in July 2010
REDS = 70  # more than a page of them


def taken(day: str) -> Image.Exif:
    """EXIF with a date, and a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Halden", "Q4"
    exif.get_ifd(0x8769)[0x9003] = f"{day.replace('-', ':')} 20:28:00"
    return exif


def draw_album(folder: Path) -> None:
    """Draw 70 red pictures with a file's date alone, and some of other colours with one."""
    dated = (
        ("2021/blue.jpg", "blue", "2021-07-15"),
        ("2021/trip/navy.jpg", "navy", "2021-08-01"),
        ("2023/green.jpg", "green", "2023-06-17"),
        (f"2023/{ODD}", "yellow", "2023-06-18"),
    )
    for name, colour, day in dated:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_picture(colour, (400, 300)).save(folder / name, exif=taken(day))
    (folder / "reds").mkdir()
    for number in range(REDS):
        size = ((80, 60), (60, 80), (180, 60))[number % 3]
        file = folder / "reds" / f"{number:02}.png"
        make_picture("red", size, mark=7 * number).save(file)
        os.utime(file, (OLD, OLD))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the album."""
    folder = tmp_path_factory.mktemp("web")
    draw_album(folder / "album")
    model = write_fake_clip(folder / "fake-clip")
    with Library.open(folder / "library", create=True, start=FakeEngine) as opened:
        assert index_folder(opened, folder / "album", model).added == REDS + 4
    return folder / "library"


@pytest.fixture(scope="module")
def site(library: Path) -> Iterator[str]:
    """The URL of a server that is warm."""
    with serve_library(library, lambda spec: FakeEngine(spec)) as url:
        while httpx.post(f"{url}/api/search", json={"text": "red"}).status_code == 503:
            time.sleep(0.02)
        yield url


@pytest.fixture
def page(tabs: BrowserTabs, site: str) -> Any:
    """The page, open on a desktop."""
    return tabs.open_page(site)


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    make_picture(colour).save(buffer, "PNG")
    return buffer.getvalue()


HAND_OVER = """([kind, data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true };
  const send = (event) => document.body.dispatchEvent(event);
  if (kind === "paste") send(new ClipboardEvent("paste", { ...options, clipboardData: carried }));
  for (const name of kind === "paste" ? [] : ["dragenter", "dragover", kind])
    send(new DragEvent(name, { ...options, dataTransfer: carried }));
}"""


def hand_over(page: Any, kind: str, data: bytes, name: str, media: str = "image/png") -> None:
    """Drag a file over the page, or drop it there, or paste it."""
    page.evaluate(HAND_OVER, [kind, b64encode(data).decode(), name, media])


def test_words_find_pictures(page: Any) -> None:
    """A search by words shows the nearest first, with its folder, its date and its score."""
    expect(page.get_by_text("74 pictures in 4 folders")).to_be_visible()
    type_query(page, "something blue")
    expect_first(page, "blue.jpg")
    expect(locate_tiles(page).first).to_contain_text(re.compile(r"1\.000\s*2021\s*15 Jul 2021"))
    expect(page.locator("#status")).to_contain_text("60 pictures so far, best first")
    assert page.url.endswith("/?q=something+blue")
    assert page.title() == "something blue · searchapp"


def test_a_dropped_picture_finds_its_like(page: Any) -> None:
    """A picture dropped anywhere is the question, and can be removed again."""
    hand_over(page, "dragover", png("green"), "grass.png")
    expect(page.get_by_text("Drop it to find pictures like it")).to_be_visible()
    hand_over(page, "drop", png("green"), "grass.png")
    expect(page.get_by_text("Drop it")).to_be_hidden()
    expect_first(page, "green.jpg")
    expect(page.get_by_text("Pictures like grass.png")).to_be_attached()
    page.get_by_role("button", name="Remove the picture").click()
    expect(locate_tiles(page)).to_have_count(0)
    expect(page.locator("#picture")).to_be_hidden()
    page.go_back()
    expect_first(page, "green.jpg")


def test_a_picture_and_words_are_one_question(page: Any) -> None:
    """Words can be added to a picture, and either can be taken away."""
    hand_over(page, "drop", png("red"), "a.png")
    expect(locate_tiles(page)).not_to_have_count(0)
    with page.expect_request("**/api/search") as asked:
        type_query(page, "blue")
    assert asked.value.headers["content-type"].startswith("multipart/form-data")
    right = httpx.post(
        f"{page.url.split('?')[0]}api/search",
        data={"text": "blue"},
        files={"image": ("a.png", png("red"))},
    ).json()
    expect_first(page, right["hits"][0]["name"])
    shown = locate_tiles(page).evaluate_all("all => all.map((it) => Number(it.dataset.id))")
    assert shown == [hit["id"] for hit in right["hits"]]
    page.get_by_role("button", name="Remove the words").click()
    expect_first(page, "00.png")
    expect(page.locator("#picture")).to_be_visible()
    type_query(page, "blue")
    page.get_by_role("button", name="Remove the picture").click()
    expect_first(page, "blue.jpg")
    assert page.url.endswith("?q=blue")


def test_pasted_and_picked_pictures(page: Any) -> None:
    """A picture can be pasted, or picked as a file."""
    hand_over(page, "paste", png("yellow"), "image.png")
    expect_first(page, ODD)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Ask with a picture").click()
    chooser.value.set_files({"name": "b.png", "mimeType": "image/png", "buffer": png("blue")})
    expect_first(page, "blue.jpg")


def test_a_dropped_picture_survives_a_reload(page: Any) -> None:
    """It cannot be in the URL; the session keeps it."""
    hand_over(page, "drop", png("blue"), "sea.png")
    expect_first(page, "blue.jpg")
    assert "?" not in page.url
    page.reload()
    expect_first(page, "blue.jpg")
    expect(page.get_by_text("Pictures like sea.png")).to_be_attached()


def test_a_large_picture_does_not(page: Any) -> None:
    """One too large for the session's storage is asked for again after a reload."""
    hand_over(page, "drop", png("blue") + bytes(3_000_001), "large.png")
    expect_first(page, "blue.jpg")
    page.reload()
    expect(page.get_by_text("The picture is no longer here")).to_be_visible()


def test_what_is_no_picture_is_refused(page: Any, tabs: BrowserTabs) -> None:
    """A file that is none is named; what only says that it is one, the server refuses."""
    hand_over(page, "drop", b"text", "notes.txt", "text/plain")
    expect(page.get_by_text("notes.txt is not a picture")).to_be_visible()
    hand_over(page, "drop", b"not at all", "broken.png")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    expect(page.get_by_text("not a picture, or a picture in an unknown format")).to_be_visible()
    assert all("status of 400" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_the_large_view(page: Any) -> None:
    """A click opens the picture with all that is known of it, and Escape goes back to the grid."""
    type_query(page, "blue")
    locate_tiles(page).first.click()
    dialog = page.get_by_role("dialog", name="blue.jpg")
    for fact in ("1.000", "Thursday, 15 July 2021 at 20:28", "Halden Q4", "400 × 300 pixels"):
        expect(dialog).to_contain_text(fact)
    expect(dialog.locator("#path")).to_have_text(re.compile("/album/2021/blue.jpg$"))
    image = dialog.get_by_role("img", name="blue.jpg")
    expect(image).to_have_attribute("src", re.compile(r"/api/images/\d+$"))
    assert image.evaluate("it => it.naturalWidth") == 400
    assert "open=" in page.url
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(locate_tiles(page).first.get_by_role("link")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?q=blue$"))


def test_more_like_this(page: Any) -> None:
    """A picture that was found is the next question, to which words can be added."""
    type_query(page, "blue")
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
    """The path goes to the clipboard as it is, markup and quotes included."""
    page = tabs.open_page(f"{site}/?q=yellow", permissions=["clipboard-read", "clipboard-write"])
    locate_tiles(page).first.click()
    page.get_by_role("button", name="Copy path").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/album/2023/{ODD}")


def test_names_are_never_markup(page: Any) -> None:
    """A file name that looks like HTML is shown, and is nothing else."""
    type_query(page, "yellow")
    expect_first(page, ODD)
    locate_tiles(page).first.click()
    expect(page.get_by_role("heading", name=ODD)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_the_keyboard_alone(page: Any) -> None:
    """All of it works without a mouse: asking, choosing, looking, going on, coming back."""
    page.keyboard.press("/")
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    expect(locate_tiles(page)).to_have_count(60)
    page.keyboard.press("ArrowDown")
    links = locate_tiles(page).get_by_role("link")
    expect(links.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.parentElement.offsetTop")
    assert below > links.nth(1).evaluate("it => it.parentElement.offsetTop")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.parentElement.offsetTop") < below
    links.nth(1).focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # the focus can be seen
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


def test_the_next_page_comes_by_scrolling(page: Any) -> None:
    """The end of the grid brings more, each picture once, until there is nothing left."""
    type_query(page, "red")
    expect(locate_tiles(page)).to_have_count(60)
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(locate_tiles(page)).to_have_count(REDS + 4)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("74 pictures, best first")
    ids = locate_tiles(page).evaluate_all("all => all.map((it) => it.dataset.id)")
    assert len(set(ids)) == REDS + 4


def test_the_arrows_go_past_the_page(page: Any) -> None:
    """In the large view, the last picture of a page leads to the first of the next."""
    type_query(page, "red")
    locate_tiles(page).nth(59).get_by_role("link").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text(re.compile(r"^61 of 74$"))


def test_filters(page: Any) -> None:
    """A folder holds what lies below it; a date may be a year, a month or a day."""
    type_query(page, "blue")
    expect(locate_tiles(page)).to_have_count(60)
    folder = page.get_by_label("Folder")
    names = [name.strip() for name in folder.locator("option").all_inner_texts()]
    assert names == ["All folders", "2021 (2)", "trip (1)", "2023 (2)", f"reds ({REDS})"]
    folder.select_option(label="2021 (2)")
    expect(locate_tiles(page)).to_have_count(2)
    folder.select_option(index=0)
    page.get_by_label("from", exact=True).fill("2021-08")
    page.keyboard.press("Tab")
    expect(locate_tiles(page)).to_have_count(3)
    page.get_by_label("to", exact=True).fill("2023-06-17")
    page.keyboard.press("Tab")
    expect(locate_tiles(page)).to_have_count(2)
    assert page.url.endswith("?q=blue&after=2021-08&before=2023-06-17")
    page.get_by_label("from", exact=True).fill("last week")
    page.keyboard.press("Tab")
    expect(page.get_by_text("A year, a month or a day")).to_be_visible()
    expect(locate_tiles(page)).to_have_count(2)
    page.get_by_role("button", name="Reset filters").click()
    expect(locate_tiles(page)).to_have_count(60)


def test_only_this_folder(page: Any) -> None:
    """The large view leads to the same question in the picture's folder."""
    type_query(page, "green")
    locate_tiles(page).first.click()
    page.get_by_role("link", name="This folder").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(locate_tiles(page)).to_have_count(2)
    expect(page.get_by_label("Folder").locator("option:checked")).to_have_text("2023 (2)")


def test_the_score_cut(page: Any) -> None:
    """The slider spans the scores that were found, hides what is below, and asks nothing anew."""
    type_query(page, "blue")
    expect(locate_tiles(page)).to_have_count(60)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    cut = page.get_by_label("Score", exact=False)
    assert cut.get_attribute("max") == "1"
    cut.focus()
    page.keyboard.press("End")
    expect(locate_tiles(page)).to_have_count(1)
    expect(page.locator("#status")).to_contain_text("1 picture with a score of 1.000")
    expect(page).to_have_url(re.compile("min=1$"))
    page.keyboard.press("Home")
    expect(page.locator("#cut-value")).to_have_text("any")
    assert locate_tiles(page).count() >= 60
    assert not any("min_score" in url or "offset=0" in url for url in asked)


def test_nothing_comes_near_enough(tabs: BrowserTabs, site: str) -> None:
    """Where the cut leaves nothing, the page says how near the best is, and offers it."""
    page = tabs.open_page(f"{site}/?q=blue&min=1.5")
    expect(page.get_by_text("No picture has a score of 1.500 or more")).to_be_visible()
    page.get_by_role("button", name="Show them anyway").click()
    expect_first(page, "blue.jpg")


def test_nothing_fulfils_the_filters(tabs: BrowserTabs, site: str) -> None:
    """Where no picture fulfils the filters, the page says so and offers to drop them."""
    page = tabs.open_page(f"{site}/?q=blue&after=2031")
    expect(page.get_by_role("heading", name="No pictures there")).to_be_visible()
    page.get_by_role("button", name="Search everywhere").click()
    expect_first(page, "blue.jpg")


def test_a_url_is_enough(page: Any, tabs: BrowserTabs, site: str) -> None:
    """Whoever opens the URL sees the same: question, filters, cut, and the open picture."""
    type_query(page, "blue")
    page.get_by_label("Folder").select_option(label="2021 (2)")
    expect(locate_tiles(page)).to_have_count(2)
    locate_tiles(page).nth(1).click()
    expect(page.get_by_role("dialog", name="navy.jpg")).to_be_visible()
    other = tabs.open_page(page.url)
    expect(other.get_by_role("dialog", name="navy.jpg")).to_be_visible()
    expect(other.get_by_label("What the picture shows")).to_have_value("blue")
    other.keyboard.press("Escape")
    expect(locate_tiles(other)).to_have_count(2)
    expect(other).not_to_have_url(re.compile("open="))
    page.reload()
    expect(page.get_by_role("dialog", name="navy.jpg")).to_be_visible()


def test_nonsense_in_the_url_is_left_out(tabs: BrowserTabs, site: str) -> None:
    """A date that is none, or a number that is none, does not keep the page from answering."""
    page = tabs.open_page(f"{site}/?q=blue&after=soon&min=high&open=&similar=x&other=1")
    expect_first(page, "blue.jpg")
    expect(locate_tiles(page)).to_have_count(60)


def test_an_open_picture_needs_no_results(tabs: BrowserTabs, site: str) -> None:
    """A picture that is not among the results opens all the same; a lost one is no dead end."""
    found = httpx.post(f"{site}/api/search", json={"text": "green"}).json()["hits"][0]
    page = tabs.open_page(f"{site}/?open={found['id']}")
    expect(page.get_by_role("dialog", name="green.jpg")).to_be_visible()
    page.goto(f"{site}/?q=blue&open=999999")
    expect_first(page, "blue.jpg")
    expect(page).to_have_url(f"{site}/?q=blue")
    assert all("status of 4" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_back_and_forward(page: Any) -> None:
    """Back closes the large view, then brings the question before; forward undoes that."""
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


def test_escape_leaves_no_trace(page: Any) -> None:
    """A picture that was opened and closed is no step of its own on the way back."""
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


def test_back_returns_to_the_place(page: Any) -> None:
    """After a look at something else, the grid is scrolled as it was left, all pages there."""
    type_query(page, "red")
    expect(locate_tiles(page)).to_have_count(60)
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect(locate_tiles(page)).to_have_count(REDS + 4)
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_function("() => scrollY === 900")
    page.keyboard.press("/")
    page.evaluate("scrollTo(0, 900)")
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    page.go_back()
    expect(locate_tiles(page)).to_have_count(REDS + 4)
    page.wait_for_function("() => scrollY === 900")


def test_an_error_is_told(page: Any, tabs: BrowserTabs) -> None:
    """What the server says is shown, and the next question works."""
    type_query(page, "no colour at all")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    expect(page.get_by_text("does not take this query")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    type_query(page, "blue")
    expect_first(page, "blue.jpg")
    expect(page.get_by_text("That did not work")).to_be_hidden()
    assert all("status of 400" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_a_server_that_is_gone(page: Any, tabs: BrowserTabs) -> None:
    """Without a server the page says so; when it is back, "Try again" is enough."""
    page.context.set_offline(True)
    type_query(page, "blue")
    expect(page.get_by_text("Is it still running?")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect_first(page, "blue.jpg")
    assert all("ERR_INTERNET_DISCONNECTED" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_the_list_of_what_is_wrong(page: Any, tabs: BrowserTabs) -> None:
    """FastAPI's list of validation errors becomes one line."""
    page.route(
        "**/api/search",
        lambda route: route.fulfill(
            status=422,
            content_type="application/json",
            body=json.dumps({"detail": [{"loc": ["body", "after"], "msg": "not a date"}]}),
        ),
    )
    type_query(page, "blue")
    expect(page.get_by_text("After: not a date")).to_be_visible()
    tabs.console_errors.clear()


def test_the_model_is_starting(library: Path, tabs: BrowserTabs) -> None:
    """While the engine starts the page says so, asks again, and shows the answer by itself."""
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
    assert all("status of 503" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_an_empty_library(tmp_path: Path, tabs: BrowserTabs) -> None:
    """Where there are no pictures yet, the page says what to do."""
    with Library.open(tmp_path / "library", create=True):
        pass
    with serve_library(tmp_path / "library", lambda spec: FakeEngine(spec)) as url:
        page = tabs.open_page(url)
        expect(page.get_by_text("searchapp index ~/Pictures")).to_be_visible()
        page.context.close()


@pytest.mark.parametrize("size", VIEWPORT_SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layouts(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """Nothing sticks out sideways, pictures keep their aspect, and text has its contrast."""
    page = tabs.open_page(site, size, scheme)
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(wide)
    type_query(page, "red")
    expect(locate_tiles(page)).not_to_have_count(0)
    assert not page.evaluate(wide)
    ratios = (
        locate_tiles(page)
        .get_by_role("img")
        .evaluate_all("all => all.slice(0, 9).map((it) => it.clientWidth / it.clientHeight)")
    )
    for number, ratio in enumerate(ratios):
        name = locate_tiles(page).nth(number).get_by_role("img").get_attribute("alt")
        if name.endswith(".png"):
            kept = (4 / 3, 3 / 4, 2 if size == "phone" else 2.6)[int(name[:2]) % 3]
            assert ratio == pytest.approx(kept, rel=0.05)
    if size == "phone":
        page.get_by_role("button", name="Filters").click()
        expect(page.get_by_label("Folder")).to_be_visible()
        assert not page.evaluate(wide)
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (luminance(ground) > 0.8) == (scheme == "light")
    assert contrast(ground, ink) > 7
    soft = page.locator("#status").evaluate("it => getComputedStyle(it).color")
    assert contrast(ground, soft) > 4.5
    locate_tiles(page).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    sides = page.locator("#large").bounding_box()
    assert (sides["x"], sides["width"]) == (0, page.evaluate("innerWidth"))
    for name in ("More like this", "Copy path", "Close"):
        expect(page.get_by_text(name).or_(page.get_by_label(name)).first).to_be_in_viewport()


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG has it, of an rgb() colour."""
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in (int(number) / 255 for number in re.findall(r"\d+", colour)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours: 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_grid_does_not_jump(page: Any, tabs: BrowserTabs) -> None:
    """The pictures' places are known before the pictures are there."""
    page.route("**/api/thumbnails/**", lambda route: route.abort())
    type_query(page, "red")
    expect(locate_tiles(page)).to_have_count(60)
    measure = "all => all.map((it) => [it.offsetLeft, it.offsetTop, it.offsetHeight])"
    before = locate_tiles(page).evaluate_all(measure)
    page.unroute("**/api/thumbnails/**")
    page.reload()
    expect(locate_tiles(page)).to_have_count(60)
    page.wait_for_function(
        "() => [...document.images].filter((it) => it.complete && it.naturalWidth).length > 12"
    )
    assert locate_tiles(page).evaluate_all(measure) == before
    assert all("ERR_FAILED" in it for it in tabs.console_errors)
    tabs.console_errors.clear()


def test_pictures_far_below_are_not_fetched(page: Any) -> None:
    """Thumbnails load when they come near, in the size that the screen needs."""
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.set_viewport_size({"width": 390, "height": 500})
    type_query(page, "red")
    expect(locate_tiles(page)).to_have_count(60)
    page.wait_for_timeout(300)
    small = [url for url in fetched if "size=320" in url]
    assert small and not any("size=640" in url for url in fetched)
    lazy = locate_tiles(page).get_by_role("img").evaluate_all("all => all.map((it) => it.loading)")
    assert set(lazy) == {"lazy"}


def test_still_where_motion_is_unwanted(tabs: BrowserTabs, site: str) -> None:
    """Who asks for reduced motion gets no transitions."""
    page = tabs.open_page(site, reduced_motion="reduce")
    type_query(page, "red")
    expect(locate_tiles(page)).to_have_count(60)
    image = locate_tiles(page).first.get_by_role("img")
    assert image.evaluate("it => getComputedStyle(it).transitionDuration") in ("0s", "1e-05s")


def test_everything_has_a_name(page: Any) -> None:
    """A screen reader finds a name on each button, link, field and picture."""
    type_query(page, "blue")
    expect(locate_tiles(page)).to_have_count(60)
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
