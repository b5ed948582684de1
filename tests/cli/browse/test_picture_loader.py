"""Only what is visible is read, and few drawings are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture
from support.terminal_browser import SIZE, Browser, browse

from searchapp.cli.browse import picture_loader
from searchapp.cli.browse.app import BrowseApp
from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.cli.browse.question import Question
from searchapp.cli.terminal_protocol import Screen
from searchapp.library import Library
from searchapp.server.start_resident import ResidentConfig


def test_a_large_library_costs_what_is_visible(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With 100,000 ids, only the images near the cursor are read, and few drawings are kept."""
    for mark in range(60):
        save_picture(tmp_path / f"many/{mark:02}.png", "red", mark=mark + 1)
    index_folder(opened, tmp_path / "many", model)
    monkeypatch.setattr(picture_loader, "KEPT_DRAWINGS", 12)
    monkeypatch.setattr(picture_loader, "KEPT_IMAGES", 20)
    read: list[int] = []
    real_read = PictureSource.read_images

    async def read_images(self: PictureSource, ids: list[int], hits: object) -> object:
        read.extend(ids)
        return await real_read(self, ids, hits)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureSource, "read_images", read_images)

    async def use() -> None:
        async with browse(opened, fake_engines) as browser:
            visible = len(browser.grid.visible_tiles)
            assert browser.drawn == visible < 20
            known = list(browser.grid.image_ids)
            browser.grid.show_images(range(1, 100_001))
            await browser.settle()
            read.clear()
            await browser.press("end")
            assert "100,000 of 100,000 pictures" in browser.status
            assert read == [id for _, id in browser.grid.visible_tiles if id]
            assert read[-1] == 100_000 and len(read) <= visible
            messages = [tile.message for tile, id in browser.grid.visible_tiles if id]
            assert set(messages) == {"not in the library any more"}
            browser.grid.show_images(known)
            for _ in range(10):
                await browser.press("pagedown")
            loader = browser.app.loader
            assert len(loader._images) <= 20 and len(loader._drawings) <= 12
            assert browser.drawn == visible

    asyncio.run(use())


def test_pictures_that_are_scrolled_away_are_not_read(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A page that the user left before its pictures were read is not read later."""
    for mark in range(40):
        save_picture(tmp_path / f"many/{mark:02}.png", "red", mark=mark + 1)
    index_folder(opened, tmp_path / "many", model)
    rendered: list[int] = []
    real_render = PictureSource.render
    gate = asyncio.Event()

    async def render(self: PictureSource, located: object, *arguments: object) -> object:
        await gate.wait()
        rendered.append(located.image_id)  # type: ignore[attr-defined]
        return await real_render(self, located, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureSource, "render", render)

    async def use() -> None:
        source = PictureSource(ResidentConfig(opened.folder), fake_engines, use_resident=False)
        app = BrowseApp(source, Painter("blocks", Screen()), Question())
        try:
            async with app.run_test(size=SIZE) as pilot:
                browser = Browser(app, pilot)
                await browser.wait_until(lambda: len(browser.grid.image_ids) == 40)
                await pilot.press("end")
                await pilot.pause()
                gate.set()
                await browser.settle()
                shown = {image_id for _, image_id in browser.grid.visible_tiles if image_id}
                assert set(rendered) == shown
        finally:
            source.close()

    asyncio.run(use())


def test_a_picture_that_cannot_be_read_says_why(
    library: Library, fake_engines: FakeEngines, photos: Path
) -> None:
    """The tile shows the reason; the other pictures are drawn."""
    (photos / "red.jpg").write_bytes(b"changed")

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            assert browser.drawn == 2
            messages = [tile.message for tile, _ in browser.grid.visible_tiles if tile.message]
            assert len(messages) == 1 and "changed since it was indexed" in messages[0]

    asyncio.run(use())


def test_hits_that_leave_the_memory_keep_their_scores(
    library: Library, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search can have more hits than images are kept."""
    monkeypatch.setattr(picture_loader, "KEPT_IMAGES", 1)

    async def use() -> None:
        async with browse(library, fake_engines, Question("red")) as browser:
            await browser.press("enter")
            assert "below" not in browser.details and "Score: 1.000" in browser.details

    asyncio.run(use())
