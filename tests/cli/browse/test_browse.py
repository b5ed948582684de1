"""`searchapp browse`, driven by Textual's pilot: a real library, and a fake engine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, Static

from searchapp.cli.browse import app as app_module
from searchapp.cli.browse.app import BrowseApp, Question
from searchapp.cli.browse.details import DetailsScreen
from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.grid import PictureGrid
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.cli.terminal_protocol import Protocol, Screen
from searchapp.library import Library
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import SearchOptions

SIZE = (80, 24)


class Browser:
    """A browser in a test, and what a user sees of it."""

    def __init__(self, app: BrowseApp, pilot: Pilot[list[str]]) -> None:
        self.app, self.pilot = app, pilot
        self.written: list[str] = []
        app._driver.write = self.written.append  # type: ignore[union-attr, method-assign]

    @property
    def grid(self) -> PictureGrid:
        return self.app.screen_stack[0].query_one(PictureGrid)

    @property
    def status(self) -> str:
        return str(self.app.screen_stack[0].query_one("#status", Static).content)

    @property
    def captions(self) -> list[str]:
        return [tile.caption for tile, image_id in self.grid.visible_tiles if image_id]

    @property
    def drawn(self) -> int:
        return sum(tile.drawing is not None for tile, _ in self.grid.visible_tiles)

    @property
    def details(self) -> str:
        assert isinstance(self.app.screen, DetailsScreen)
        return str(self.app.screen._text.content)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait until no worker runs, and no message that could start one waits."""
        idle = 0
        async with asyncio.timeout(20):
            while idle < 3:
                await self.pilot.pause(0.005)
                is_idle = all(worker.is_finished for worker in self.app.workers)
                idle = idle + 1 if is_idle else 0

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_true():
                await self.pilot.pause(0.01)


@pytest.fixture
def library(opened: Library, photos: Path, model: Path) -> Library:
    """A library with a red, a green and a blue picture."""
    index_folder(opened, photos, model)
    return opened


@asynccontextmanager
async def browse(
    library: Library,
    start: FakeEngines,
    question: Question | None = None,
    protocol: Protocol = "blocks",
) -> AsyncIterator[Browser]:
    source = PictureSource(ResidentConfig(library.folder), start, use_resident=False)
    app = BrowseApp(source, Painter(protocol, Screen()), question or Question())
    try:
        async with app.run_test(size=SIZE) as pilot:
            browser = Browser(app, pilot)
            await browser.settle()
            yield browser
    finally:
        source.close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load pictures at once, and search only at Enter: no test depends on the speed of typing."""
    monkeypatch.setattr(app_module, "SCROLL_PAUSE_S", 0)
    monkeypatch.setattr(app_module, "TYPING_PAUSE_S", 600)


def test_it_shows_the_newest_first_and_the_best_of_a_search(
    library: Library, fake_engines: FakeEngines
) -> None:
    """Without a question the newest come first; a text searches, and a filter narrows."""

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            assert sorted(browser.captions) == ["blue.jpg", "green.png", "red.jpg"]
            assert browser.drawn == 3
            assert browser.status == "1 of 3 pictures · newest first"
            started = len(fake_engines.started_engines)
            await browser.press("slash", *"green", "enter")
            assert browser.captions[0] == "green.png"
            assert "best first" in browser.status
            assert len(fake_engines.started_engines) == started + 1
            await browser.press("slash", *" green", "enter")
            assert len(fake_engines.started_engines) == started + 1  # The engine is kept.
            await browser.press("f", *"--format png", "enter")
            assert browser.captions == ["green.png"], browser.status
            await browser.press("f", *" --rating x", "enter")
            assert "--rating" in browser.status and "'x'" in browser.status
            assert browser.captions == ["green.png"]

    asyncio.run(use())


def test_typing_searches_once_after_a_pause(
    library: Library, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letters of a word are one search, without the Enter key."""
    searched: list[str] = []
    real_search = PictureSource.search

    async def search(self: PictureSource, text: str, *arguments: object) -> object:
        searched.append(text)
        return await real_search(self, text, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureSource, "search", search)
    monkeypatch.setattr(app_module, "TYPING_PAUSE_S", 0.01)

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            await browser.press("slash")
            field = browser.app.query_one("#search", Input)
            for text in ("b", "bl", "blue"):  # without time between the letters
                field.value = text
            await browser.wait_until(lambda: browser.captions[:1] == ["blue.jpg"])
            assert searched == ["blue"]

    asyncio.run(use())


def test_fast_typing_loses_no_letter(
    library: Library, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that arrive at once: no letter of a question is a command, such as o for open."""
    opened: list[str] = []
    monkeypatch.setattr(app_module, "start_viewer", opened.append)

    async def use() -> None:
        async with browse(library, fake_engines, Question("", "--by text")) as browser:
            for key in ("slash", *"fool"):
                browser.app.post_message(Key(key, "/" if key == "slash" else key))
            field = browser.app.query_one("#search", Input)
            await browser.wait_until(lambda: field.value == "fool")
            assert opened == []

    asyncio.run(use())


def test_the_selected_paths_are_the_result(library: Library, fake_engines: FakeEngines) -> None:
    """In the order of selection; Ctrl-C returns none."""

    async def use(last_key: str) -> list[str] | None:
        question = Question("red", "--in " + str(library.folder.parent / "photos"))
        async with browse(library, fake_engines, question) as browser:
            assert browser.captions[0] == "red.jpg"
            await browser.press("right", "space", "home", "space", "space", "space", "end")
            assert "2 selected" in browser.status
            assert browser.captions[0] == "✓ red.jpg"
            await browser.press(last_key)
        return browser.app.return_value

    chosen = asyncio.run(use("q"))
    assert chosen is not None and len(chosen) == 2
    assert chosen[1].endswith("/photos/red.jpg")
    assert asyncio.run(use("ctrl+c")) is None


def test_likes_search_for_more_of_the_same(library: Library, fake_engines: FakeEngines) -> None:
    """A like alone is a question; the same key again removes it."""

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            names = browser.captions
            await browser.press("plus")
            assert "best first · 1 liked" in browser.status
            assert names[0] not in browser.captions and len(browser.captions) == 2
            await browser.press("minus")
            assert "1 liked · 1 unliked" in browser.status

    asyncio.run(use())


def test_the_details_say_what_is_known(
    library: Library, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path, the metadata and the text of the picture; the arrows go on to the next one."""
    monkeypatch.setattr(
        PictureSource, "read_text", lambda self, image_id: asyncio.sleep(0, "EXIT ONLY")
    )

    async def use() -> None:
        async with browse(library, fake_engines, Question("blue")) as browser:
            await browser.press("enter")
            assert "/photos/below/blue.jpg" in browser.details
            assert "Size: 80 × 60, JPEG" in browser.details
            assert browser.details.endswith("Text in the picture:\nEXIT ONLY")
            screen = browser.app.screen
            assert isinstance(screen, DetailsScreen) and screen.area.drawing is not None
            await browser.press("right")
            assert "blue.jpg" not in browser.details
            await browser.press("left", "space")
            assert "Marks: selected" in browser.details
            await browser.press("escape")
            assert browser.captions[0] == "✓ blue.jpg"

    asyncio.run(use())


def test_a_path_is_copied_and_a_file_is_opened(
    library: Library, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OSC 52 carries the path; the viewer gets it, too."""
    opened: list[str] = []
    monkeypatch.setattr(app_module, "start_viewer", opened.append)

    async def use() -> None:
        async with browse(library, fake_engines, Question("red")) as browser:
            await browser.press("y")
            path = str(library.folder.parent / "photos" / "red.jpg")
            data = base64.b64encode(path.encode()).decode()
            assert f"\x1b]52;c;{data}\a" in browser.written
            await browser.press("o")
            assert opened == [path]
            assert f"opened {path}" in browser.status

    asyncio.run(use())


@pytest.mark.parametrize("protocol", ["kitty", "iterm", "sixel"])
def test_graphics_are_drawn_over_the_cells_of_their_tile(
    library: Library, fake_engines: FakeEngines, protocol: Protocol
) -> None:
    """The sequence follows the blanks, moves to its tile, and has no width."""
    start = {"kitty": "\x1b_Ga=T,i=", "iterm": "\x1b]1337;File=", "sixel": "\x1bP0;1;0q"}[protocol]

    async def use() -> None:
        async with browse(library, fake_engines, protocol=protocol) as browser:
            tile = browser.grid.visible_tiles[1][0]
            *_, last, caption = tile.render_lines(tile.size.region)
            assert last.cell_length == tile.size.width
            text, control = last
            assert text.text == " " * tile.size.width and control.control
            assert f"\x1b7{start}" in control.text
            drawing = tile.drawing
            assert drawing is not None
            x, y = tile.region.x + drawing.left, tile.region.y + drawing.top
            assert control.text.startswith(f"\x1b[{y + 1};{x + 1}H")
            end = f"\x1b[{tile.region.y + tile.size.height - 1};{tile.region.right + 1}H"
            assert control.text.endswith(end)
            assert caption.text.startswith(tile.caption)
            await browser.press("enter")
            removes = "\x1b_Ga=d,d=A,q=2\x1b\\" in browser.written
            assert removes == (protocol == "kitty")

    asyncio.run(use())


def test_a_large_library_costs_what_is_visible(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With 100,000 ids, only the images near the cursor are read, and few drawings are kept."""
    for mark in range(60):
        save_picture(tmp_path / f"many/{mark:02}.png", "red", mark=mark + 1)
    index_folder(opened, tmp_path / "many", model)
    monkeypatch.setattr(app_module, "KEPT_DRAWINGS", 12)
    monkeypatch.setattr(app_module, "KEPT_IMAGES", 20)
    read: list[int] = []
    real_read = PictureSource.read_images

    async def read_images(self: PictureSource, ids: list[int]) -> object:
        read.extend(ids)
        return await real_read(self, ids)

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
            assert set(messages) == {"The file is gone."}
            browser.grid.show_images(known)
            for _ in range(10):
                await browser.press("pagedown")
            assert len(browser.app._drawings) <= 12 and len(browser.app._images) <= 20
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


def test_options_of_the_command_line_reach_the_search(
    library: Library, fake_engines: FakeEngines
) -> None:
    """The count of hits, beside the filter line."""

    async def use() -> None:
        question = Question("red", "--by vector", SearchOptions(count=2))
        async with browse(library, fake_engines, question) as browser:
            assert len(browser.captions) == 2

    asyncio.run(use())
