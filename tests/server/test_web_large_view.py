"""The large view of the web page by mouse, keyboard and touch, in a real Chromium."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    each_view,
    expect,
    expect_count,
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

COUNT = 5
WIDTH, HEIGHT = 1600, 1200


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with five pictures; the newest has a place, and a copy."""
    root = tmp_path_factory.mktemp("large")
    album = root / "album"
    (album / "copies").mkdir(parents=True)
    for number in range(COUNT):
        place = (48.858, 2.294) if number == 0 else None
        exif = make_exif(
            f"2023:06:{20 - number:02} 12:00:00",
            coordinates=place,
            caption=f"Picture {number} of the series",
        )
        picture = make_picture("teal", (WIDTH, HEIGHT), mark=5000 * number + 1)
        picture.save(album / f"{number}.jpg", exif=exif)
    shutil.copy(album / "0.jpg", album / "copies" / "0 (1).jpg")
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, album, write_fake_clip(root / "fake-clip"))
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture(scope="module")
def transparent_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with an opaque picture, and a black disk on a transparent ground."""
    root = tmp_path_factory.mktemp("transparent")
    (root / "album").mkdir()
    make_picture("teal", (800, 400)).save(root / "album" / "photo.jpg")
    logo = Image.new("RGBA", (800, 400))
    ImageDraw.Draw(logo).ellipse((250, 50, 550, 350), fill="black")
    logo.save(root / "album" / "logo.png")
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, root / "album", write_fake_clip(root / "fake-clip"))
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[str]:
    """URL of a server with album/0.jpg to 4.jpg, the newest first, which a test can remove."""
    root = tmp_path
    (root / "album").mkdir()
    for number in range(COUNT):
        exif = make_exif(f"2023:06:{20 - number:02} 12:00:00")
        picture = make_picture("teal", (400, 300), mark=5000 * number + 1)
        picture.save(root / "album" / f"{number}.jpg", exif=exif)
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, root / "album", write_fake_clip(root / "fake-clip"))
    with serve_with_engine(root / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


def open_picture(tabs: BrowserTabs, site: str, index: int = 0, **options: Any) -> Any:
    """Open a picture of the first view; return the page when its original is shown."""
    page = tabs.open_page(site, **options)
    expect_count(page, COUNT)
    locate_tile(page, index).get_by_role("link").press("Enter")
    expect(page.locator("#large-image")).to_have_attribute("src", re.compile("api/images/"))
    return page


def get_scale(page: Any) -> float:
    """Return how much the picture is enlarged."""
    transform = page.locator("#large-image").evaluate("image => image.style.transform")
    match = re.search(r"scale\(([\d.]+)\)", transform)
    return float(match[1]) if match else 1.0


def get_center(page: Any) -> tuple[float, float]:
    """Return the center of the picture on the screen."""
    box = page.locator("#large-image").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def find_stage_center(page: Any) -> tuple[float, float]:
    box = page.locator("#stage").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Fingers:
    """Touches a page with one or two fingers, through Chromium's own input.

    The events have times of their own, so that a slow machine does not part a double tap.
    """

    INTERVAL_S = 0.01

    def __init__(self, page: Any) -> None:
        self._session = page.context.new_cdp_session(page)
        self._time_s = time.time()

    def move(self, *paths: tuple[tuple[float, float], tuple[float, float]], steps: int = 6) -> None:
        """Move each finger along a line, then lift all fingers."""
        for step in range(steps + 1):
            points = [
                {"x": a[0] + (b[0] - a[0]) * step / steps, "y": a[1] + (b[1] - a[1]) * step / steps}
                for a, b in paths
            ]
            self._send("touchMove" if step else "touchStart", points)
        self._send("touchEnd", [])

    def tap(self, point: tuple[float, float]) -> None:
        self.move((point, point), steps=1)

    def _send(self, kind: str, points: list[dict[str, float]]) -> None:
        numbered = [point | {"id": number} for number, point in enumerate(points)]
        self._time_s += self.INTERVAL_S
        event = {"type": kind, "touchPoints": numbered, "timestamp": self._time_s}
        self._session.send("Input.dispatchTouchEvent", event)


def test_keys_zoom_and_pan(tabs: BrowserTabs, site: str) -> None:
    """Plus, minus and zero zoom; arrows move the picture, and go on at its edge."""
    page = open_picture(tabs, site)
    page.keyboard.press("+")
    page.keyboard.press("Shift+Equal")  # plus on an American keyboard
    assert get_scale(page) == pytest.approx(2.25)
    expect(page.locator("#zoom-level")).to_have_text(re.compile(r"^\d+ %$"))
    x, _ = get_center(page)
    page.keyboard.press("ArrowRight")
    assert get_center(page)[0] < x
    expect(page.locator("#position")).to_have_text("1 of 5")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        if page.locator("#position").inner_text() != "1 of 5":
            break
    expect(page.locator("#position")).to_have_text("2 of 5")
    assert get_scale(page) == 1  # the next picture fits
    page.keyboard.press("=")  # plus without Shift
    page.keyboard.press("-")
    assert get_scale(page) == 1
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert get_scale(page) == 1
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#position")).to_have_text("1 of 5")


def test_a_resize_keeps_the_zoom(tabs: BrowserTabs, site: str) -> None:
    """The panel of information, or a turned phone, changes the stage and not the zoom."""
    page = open_picture(tabs, site)
    page.keyboard.press("+")
    width = page.locator("#large-marks").evaluate("marks => marks.style.width")
    page.set_viewport_size({"width": 500, "height": 700})
    page.wait_for_function(
        "width => document.getElementById('large-marks').style.width !== width", arg=width
    )
    assert get_scale(page) == pytest.approx(1.5)
    expect(page.locator("#zoom-level")).to_be_visible()


def test_mouse_zooms_and_drags(tabs: BrowserTabs, site: str) -> None:
    """The wheel keeps the point under the mouse; a double click shows the pixels; drags move."""
    page = open_picture(tabs, site)
    x, y = find_stage_center(page)
    left, top = get_center(page)
    page.mouse.move(x + 100, y + 50)
    page.mouse.wheel(0, -400)
    page.wait_for_function("() => document.getElementById('large-image').style.transform")
    scale = get_scale(page)
    assert scale > 1.5
    assert get_center(page)[0] - left == pytest.approx(-100 * (scale - 1), abs=2)
    page.mouse.wheel(0, 4000)
    page.wait_for_function("() => !document.getElementById('large-image').style.transform")
    page.mouse.dblclick(x, y)
    expect(page.locator("#zoom-level")).to_have_text("100 %")
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=3)
    page.mouse.up()
    assert get_center(page) == pytest.approx((left + 60, top + 30), abs=2)
    page.mouse.dblclick(x, y)
    assert get_scale(page) == 1
    expect(page.get_by_role("dialog")).to_be_visible()


def test_click_beside_the_picture_closes(tabs: BrowserTabs, site: str) -> None:
    """A click on the picture does not."""
    page = open_picture(tabs, site)
    box = page.locator("#stage").bounding_box()
    page.mouse.click(*find_stage_center(page))
    expect(page.get_by_role("dialog")).to_be_visible()
    page.mouse.click(box["x"] + 30, box["y"] + 30)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(locate_tile(page, 0).get_by_role("link")).to_be_focused()


COUNT_OPENINGS = """() => {
  const { showModal } = HTMLDialogElement.prototype;
  window.openings = 0;
  HTMLDialogElement.prototype.showModal = function () {
    window.openings += 1;
    showModal.call(this);
  };
  history.back = () => (window.goBack = () => History.prototype.back.call(history));
}"""


def test_closed_view_stays_closed(tabs: BrowserTabs, site: str) -> None:
    """A picture arrives, and a question is sent, between Escape and the browser's step back.

    The picture does not open the view again, and the step back does not undo the question.
    """
    page = tabs.open_page("about:blank")
    held: list[Any] = []

    def hold(route: Any) -> None:
        is_first = route.request.url.endswith(f"id={ids[0]}")
        route.continue_() if is_first else held.append(route)

    ids = httpx.get(f"{site}/api/timeline").json()["ids"]
    ids = [sum(ids[: i + 1]) for i in range(COUNT)]  # each is the difference to the previous one
    page.route("**/api/pictures?*", hold)
    page.goto(site)
    expect_count(page, COUNT)
    page.evaluate(COUNT_OPENINGS)
    locate_tile(page, 0).get_by_role("link").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(f"open={ids[1]}$"))
    page.keyboard.press("Escape")
    page.wait_for_function("() => window.goBack")
    (request,) = [route for route in held if route.request.url.endswith(f"?id={ids[1]}")]
    with page.expect_response(lambda response: response.url == request.request.url):
        request.continue_()
    page.evaluate("() => new Promise((done) => setTimeout(done))")
    type_query(page, "blue")
    page.evaluate("goBack()")
    expect(page).to_have_url(re.compile(r"\?q=blue$"))
    assert page.evaluate("openings") == 1


def test_view_closes_before_the_search_ends(tabs: BrowserTabs, site: str) -> None:
    """A slow answer, or a model that loads, must not leave the user with the large view."""
    page = open_picture(tabs, site)
    held: list[Any] = []
    page.route("**/api/similar/**", lambda route: held.append(route))
    page.get_by_role("link", name="More like this").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#results")).to_be_focused()
    expect(page.locator("#status")).to_have_text("Searching …")
    while not held:
        page.wait_for_timeout(20)  # ms; Playwright calls the route meanwhile
    held[0].continue_()
    expect(page.locator("#status")).to_contain_text("best first")
    expect(page).to_have_url(re.compile(r"\?similar=\d+$"))


@pytest.mark.parametrize("size", ["phone", "tablet"])
def test_fingers_swipe_pinch_and_tap(tabs: BrowserTabs, site: str, size: str) -> None:
    """A swipe goes on, a pinch or double tap zooms, and a finger moves the enlarged picture."""
    page = open_picture(tabs, site, size=size, has_touch=True)
    fingers, (x, y) = Fingers(page), find_stage_center(page)
    fingers.move(((x + 100, y), (x - 100, y + 10)))
    expect(page.locator("#position")).to_have_text("2 of 5")
    fingers.move(((x - 100, y), (x + 100, y)))
    expect(page.locator("#position")).to_have_text("1 of 5")
    fingers.move(((x, y - 100), (x, y + 100)))  # not to the side
    expect(page.locator("#position")).to_have_text("1 of 5")
    fingers.move(((x - 30, y), (x - 120, y)), ((x + 30, y), (x + 120, y)))
    assert get_scale(page) == pytest.approx(4, rel=0.05)
    assert page.evaluate("visualViewport.scale") == 1  # the page itself stays as it is
    left, _ = get_center(page)
    fingers.move(((x + 80, y), (x - 80, y)))
    assert get_center(page)[0] == pytest.approx(left - 160, abs=3)
    expect(page.locator("#position")).to_have_text("1 of 5")
    fingers.tap((x, y))
    fingers.tap((x, y))
    assert get_scale(page) == 1
    fingers.tap((x, y))
    fingers.tap((x, y))
    assert get_scale(page) > 1


@pytest.mark.parametrize("size", VIEWPORT_SIZES)
def test_information(tabs: BrowserTabs, site: str, size: str) -> None:
    """The key i and a button show what the picture says, its copies, and its place on a map."""
    page = open_picture(tabs, site, size=size)
    panel = page.get_by_role("complementary", name="Information")
    if size == "desktop":
        expect(panel).to_be_visible()
        page.keyboard.press("i")
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="Information").click()
    for text in (
        "20 June 2023",
        "(EXIF)",
        f"{WIDTH} × {HEIGHT} pixels, 1.9 megapixels",
        "Copy",
        "Picture 0 of the series",
        "JPEG, ",
    ):
        expect(panel).to_contain_text(text)
    expect(panel.locator("bdi")).to_have_text(
        [re.compile(r"0\.jpg$"), re.compile(r"0 \(1\)\.jpg$")]
    )
    expect(page.get_by_role("img", name="Where the picture was taken")).to_be_attached()
    assert page.locator("#info-map").get_attribute("viewBox").startswith("761.47")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.get_by_role("link", name="Pictures near here").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_count(page, 1)
    expect(page.get_by_role("button", name="Remove the filter Place")).to_be_visible()


def test_hidden_information_stays_hidden(tabs: BrowserTabs, site: str) -> None:
    page = open_picture(tabs, site)
    panel = page.get_by_role("complementary", name="Information")
    page.keyboard.press("i")
    expect(panel).to_be_hidden()
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Information")).to_have_attribute(
        "aria-expanded", "false"
    )
    expect(panel).to_be_hidden()


def test_download(tabs: BrowserTabs, site: str, tmp_path: Path) -> None:
    """The key d saves the unchanged file under its own name."""
    page = open_picture(tabs, site, index=1)
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename == "1.jpg"
    path = httpx.get(f"{site}/api/search?q=red").json()["hits"][0]["path"]
    download.value.save_as(tmp_path / "1.jpg")
    assert (tmp_path / "1.jpg").read_bytes() == (Path(path).parent / "1.jpg").read_bytes()


def test_full_screen(tabs: BrowserTabs, site: str) -> None:
    """The key f shows bar, picture and information in full screen, and leaves it again."""
    page = open_picture(tabs, site)
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement?.id === 'large-frame'")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("2 of 5")
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_folder_is_opened_on_this_computer_only(
    tabs: BrowserTabs, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a desktop, there is no button, and the key does nothing."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    requests: list[str] = []
    page = open_picture(tabs, site)
    page.on("request", lambda request: requests.append(request.url))
    expect(page.get_by_role("button", name="Open the folder")).to_be_hidden()
    page.keyboard.press("o")
    command = tmp_path / "xdg-open"
    command.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened.txt"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("DISPLAY", ":0")
    assert not any("open-folder" in url for url in requests)
    page.reload()
    page.get_by_role("button", name="Open the folder").click()
    expect(page.locator("#toast")).to_have_text("The folder is open in the file manager.")
    assert (tmp_path / "opened.txt").read_text().endswith("/album")
    command.write_text("#!/bin/sh\nexit 4\n")
    page.keyboard.press("o")
    expect(page.locator("#toast")).to_contain_text("xdg-open ended with status 4")
    tabs.expect_errors("status of 500")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_transparent_picture_has_a_ground(
    tabs: BrowserTabs, transparent_site: str, scheme: str
) -> None:
    """The ground is behind the picture only, follows its zoom, and is not behind other pictures."""
    page = tabs.open_page(transparent_site, color_scheme=scheme)
    expect_count(page, 2)
    page.get_by_alt_text("logo.png").click()
    ground = page.locator("#large-ground")
    expect(ground).to_be_visible()
    box, image = ground.bounding_box(), page.locator("#large-image").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(2, rel=0.01)
    assert box["height"] < image["height"] - 50  # the box of the image is larger
    assert box["y"] + box["height"] / 2 == pytest.approx(image["y"] + image["height"] / 2, abs=1)
    with Image.open(io.BytesIO(page.locator("#stage").screenshot())) as shot:
        pixels = shot.convert("RGB")
    stage = page.locator("#stage").bounding_box()
    column = int(box["x"] - stage["x"] + box["width"] / 10)
    beside_black, top = (pixels.height // 2, int(box["y"] - stage["y"]))
    assert min(pixels.getpixel((column, beside_black))) > 100  # type: ignore[type-var,arg-type]
    assert pixels.getpixel((column, top - 10)) == pixels.getpixel((pixels.width // 2, 3))
    page.keyboard.press("+")
    assert ground.bounding_box()["width"] == pytest.approx(1.5 * box["width"], rel=0.01)
    page.keyboard.press("0")
    page.get_by_role("button", name=re.compile("^(Next|Previous) picture")).first.click()
    expect(page.locator("#large-image")).to_have_attribute("alt", "photo.jpg")
    expect(page.locator("#large-image")).to_have_attribute("src", re.compile("api/images/"))
    expect(ground).to_be_hidden()


def test_click_on_a_vanished_picture_shows_a_message(
    own_site: str, tabs: BrowserTabs, tmp_path: Path
) -> None:
    """A click far below the status line shows a message, and the number of pictures stays."""
    (tmp_path / "album" / "4.jpg").unlink()
    page = tabs.open_page(own_site)
    tabs.expect_errors("status of 400")
    page.set_viewport_size({"width": 390, "height": 300})
    expect_count(page, COUNT)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    locate_tile(page, COUNT - 1).click()
    expect(page.get_by_text("The file of this picture is not found.")).to_be_in_viewport()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("5 pictures")


def test_next_picture_skips_vanished_ones(own_site: str, tabs: BrowserTabs, tmp_path: Path) -> None:
    """The large view stays open, in both directions; without a next picture, a message says why."""
    for number in (1, 2, 4):
        (tmp_path / "album" / f"{number}.jpg").unlink()
    page = tabs.open_page(own_site)
    tabs.expect_errors("status of 400")
    expect_count(page, COUNT)
    locate_tile(page, 0).click()
    position = page.locator("#position")
    expect(position).to_have_text("1 of 5")
    page.keyboard.press("ArrowRight")
    expect(position).to_have_text("4 of 5")
    page.keyboard.press("ArrowLeft")
    expect(position).to_have_text("1 of 5")
    page.keyboard.press("ArrowRight")
    expect(position).to_have_text("4 of 5")
    page.keyboard.press("ArrowRight")
    message = page.get_by_role("dialog").get_by_text("The file of this picture is not found.")
    expect(message).to_be_visible()
    expect(position).to_have_text("4 of 5")


def test_hit_that_vanished_after_the_search_has_a_message(
    own_site: str, tabs: BrowserTabs, tmp_path: Path
) -> None:
    """The large view opens with what is known of the hit, and says that its file is gone."""
    page = tabs.open_page(own_site)
    tabs.expect_errors("status of 400", "status of 404")
    type_query(page, "teal")
    expect(page.locator("#status")).to_contain_text("best first")
    expect_count(page, COUNT)
    for file in (tmp_path / "album").iterdir():
        file.unlink()
    locate_tile(page, 0).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The file of this picture is not found.")).to_be_visible()


def test_name_has_space_in_a_small_window(tabs: BrowserTabs, site: str) -> None:
    """Such a window is half of a screen, or a screen at 200 %."""
    page = open_picture(tabs, site)
    page.set_viewport_size({"width": 720, "height": 450})
    name = page.locator("#large-name")
    name.evaluate("element => (element.textContent = 'IMG_20230617_120000.jpg')")
    assert name.evaluate("element => element.clientWidth") > 110


@each_view
def test_bar_fits_into_each_size(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """All actions are in the window, large enough for fingers, and do not overlap."""
    page = open_picture(tabs, site, size=size, color_scheme=scheme)
    page.keyboard.press("i")
    boxes = page.locator("#large-actions li:visible > *, #close").evaluate_all(
        "all => all.map((element) => element.getBoundingClientRect())"
        ".map((box) => [box.left, box.top, box.right, box.bottom])"
    )
    width, height = page.evaluate("[innerWidth, innerHeight]")
    for left, top, right, bottom in boxes:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        assert bottom - top >= 40 and right - left >= 40
    actions = sorted(boxes[:-1])
    assert all(a[2] <= b[0] for a, b in pairwise(actions))
    image = page.locator("#large-image").bounding_box()
    assert image["width"] > 0.55 * width or image["height"] > 0.55 * height
