"""The details of a picture."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.library import FakeEngines
from support.terminal_browser import browse

from searchapp.cli.browse.details import MISSING, DetailsScreen
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.cli.browse.question import Question
from searchapp.library import Library


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


def test_a_result_behind_the_details_does_not_change_them(
    library: Library, fake_engines: FakeEngines
) -> None:
    """A like starts a search; space selects the picture that is shown, not the first hit."""

    async def use() -> None:
        async with browse(library, fake_engines, Question("blue")) as browser:
            await browser.press("enter", "plus")
            assert "1 liked" in browser.status and "blue.jpg" not in browser.captions
            await browser.press("space")
            assert "below/blue.jpg" in browser.details
            assert "Marks: selected, liked" in browser.details
            await browser.press("right")
            assert browser.captions[0] in browser.details  # The first of the result.
            await browser.press("q")
        assert browser.app.return_value is not None
        assert [Path(path).name for path in browser.app.return_value] == ["blue.jpg"]

    asyncio.run(use())


def test_a_missing_file_keeps_its_name(
    library: Library, fake_engines: FakeEngines, photos: Path
) -> None:
    """Its drive may be unmounted. It cannot be selected, and the details say why."""
    (photos / "red.jpg").unlink()

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            position = browser.captions.index("red.jpg")
            await browser.press(*["right"] * position, "enter")
            assert browser.details == f"{photos / 'red.jpg'}\n\n{MISSING}"
            await browser.press("space", "y")
            assert isinstance(browser.app.screen, DetailsScreen)
            assert "does not exist" in browser.app.screen.status.line
            await browser.press("q")
        assert browser.app.return_value == []

    asyncio.run(use())
