"""Pictures in the protocols of terminals."""

from __future__ import annotations

import asyncio

import pytest
from support.library import FakeEngines
from support.terminal_browser import browse

from searchapp.cli.terminal_protocol import Protocol
from searchapp.library import Library


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
