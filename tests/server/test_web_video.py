"""Videos in the web page, in a real Chromium: tiles show frames, the large view plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.browser import expect, expect_first, locate_tiles, needs_chromium, type_query
from support.dng_files import make_dng
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_with_engine
from support.sample_pictures import make_picture, save_picture
from support.video_files import write_video

from searchapp.library import Library

pytestmark = needs_chromium


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """Yield the URL of a server with a playable video, an unsupported one, and a picture with RAW.

    Name it before `tabs` in a test: tabs must close before the server ends.
    """
    folder = tmp_path / "photos"
    write_video(folder / "clip.webm", (("cyan", 4), ("purple", 4)))
    write_video(folder / "old.avi", (("gold", 4), ("brown", 4)))
    save_picture(folder / "IMG_1.JPG", "blue")
    (folder / "IMG_1.dng").write_bytes(make_dng("red", preview=make_picture("red", (160, 120))))
    model = write_fake_clip(tmp_path / "fake-clip")
    with Library.open(tmp_path / "library", create=True, start=FakeEngine) as opened:
        assert index_folder(opened, folder, model).added == 3
    with serve_with_engine(tmp_path / "library", lambda spec: FakeEngine(spec)) as url:
        yield url


def test_video_plays_from_its_frame(site: str, tabs: Any, tmp_path: Path) -> None:
    """A tile shows the time of its frame; the large view plays the video from this time."""
    page = tabs.open_page(site)
    type_query(page, "purple")
    expect_first(page, "clip.webm")
    expect(locate_tiles(page).first).to_contain_text("0:04")
    locate_tiles(page).first.get_by_role("link").click()
    video = page.locator("#large-video")
    expect(video).to_be_visible()
    expect(page.locator("#large-image")).to_be_hidden()
    assert video.evaluate("video => video.currentTime") == pytest.approx(4, abs=0.3)
    assert video.evaluate("video => video.error") is None
    expect(page.locator("#facts")).to_contain_text("0:04")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#large-name")).not_to_have_text("clip.webm")
    page.keyboard.press("Escape")
    expect(page.locator("#large")).to_be_hidden()
    assert not video.evaluate("video => video.hasAttribute('src')")


def test_unsupported_video_is_shown_as_frame(site: str, tabs: Any) -> None:
    """The large view keeps the frame, without an error; it also lists companions."""
    page = tabs.open_page(site)
    type_query(page, "brown")
    expect_first(page, "old.avi")
    locate_tiles(page).first.get_by_role("link").click()
    expect(page.locator("#large-image")).to_be_visible()
    expect(page.locator("#large-video")).to_be_hidden()
    page.keyboard.press("Escape")
    type_query(page, "blue")
    expect_first(page, "IMG_1.JPG")
    locate_tiles(page).first.get_by_role("link").click()
    expect(page.locator("#facts")).to_contain_text("IMG_1.dng")
