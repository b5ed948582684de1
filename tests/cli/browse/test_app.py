"""`searchapp browse`, driven by Textual's pilot: searches, keys, and the result."""

from __future__ import annotations

import asyncio
import base64

import pytest
from support.library import FakeEngines
from support.terminal_browser import SIZE, browse
from textual.events import Key
from textual.widgets import Input

from searchapp.cli.browse import app as app_module
from searchapp.cli.browse.picture_source import PictureSource
from searchapp.cli.browse.question import Question
from searchapp.library import Library
from searchapp.types import SearchOptions


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


def test_an_editing_key_is_not_overtaken_by_letters(
    library: Library, fake_engines: FakeEngines
) -> None:
    """Keys that arrive at once, as over a slow connection."""

    async def use() -> None:
        async with browse(library, fake_engines, Question("red", "--by text")) as browser:
            keys = ("slash", *["backspace"] * 3, *"glue", "home", "delete", "b", "end", "s")
            for key in keys:
                browser.app.post_message(Key(key, key if len(key) == 1 else None))
            field = browser.app.query_one("#search", Input)
            await browser.wait_until(lambda: field.value.endswith("s"))
            assert field.value == "blues"

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


def test_options_of_the_command_line_reach_the_search(
    library: Library, fake_engines: FakeEngines
) -> None:
    """The count of hits, beside the filter line."""

    async def use() -> None:
        question = Question("red", "--by vector", SearchOptions(count=2))
        async with browse(library, fake_engines, question) as browser:
            assert len(browser.captions) == 2

    asyncio.run(use())


def test_any_size_of_the_terminal_is_possible(library: Library, fake_engines: FakeEngines) -> None:
    """Also one without room for a picture; the cursor stays on its picture."""

    async def use() -> None:
        async with browse(library, fake_engines) as browser:
            await browser.press("end")
            for size in ((40, 10), (10, 3), (1, 1), (2, 200), (300, 1), (200, 60), SIZE):
                await browser.pilot.resize_terminal(*size)
                await browser.settle()
                await browser.press("enter", "escape")
            assert browser.status.startswith("3 of 3 pictures")
            assert browser.drawn == 3

    asyncio.run(use())


def test_an_empty_result_says_why(opened: Library, fake_engines: FakeEngines) -> None:
    """A library without pictures, and a filter without a match; the keys do nothing."""

    async def use() -> None:
        async with browse(opened, fake_engines) as browser:
            hint = "the library holds no pictures yet; run `searchapp index FOLDER`"
            assert browser.status == hint
            await browser.press("space", "plus", "o", "y", "enter", "left", "end", "pageup")
            await browser.press("slash", *"red", "enter")
            assert browser.status == hint
            await browser.press("slash", *["backspace"] * 3, "enter")
            await browser.press("f", *"--format png", "enter")
            assert browser.status == "no picture matches the filters"

    asyncio.run(use())
