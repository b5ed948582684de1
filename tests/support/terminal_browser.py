"""Drive `searchapp browse` by Textual's pilot: a real library, and a fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from searchapp.cli.browse.app import BrowseApp
from searchapp.cli.browse.details import DetailsScreen
from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.grid import PictureGrid
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.cli.browse.question import Question
from searchapp.cli.browse.status_line import StatusLine
from searchapp.cli.terminal_protocol import Protocol, Screen
from searchapp.library import Library
from searchapp.server.start_resident import ResidentConfig
from support.library import FakeEngines

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
        return self.app.screen_stack[0].query_one(StatusLine).line

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
