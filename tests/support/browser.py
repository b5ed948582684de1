"""Drive the web page in Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from support.effort import EFFORT

try:
    from playwright import sync_api
except ImportError:
    sync_api = None  # type: ignore[assignment]


expect: Any = sync_api and sync_api.expect
if sync_api:
    sync_api.expect.set_options(timeout=60_000)  # ms; a busy machine needs more than the default


BROWSER_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


CHROMIUM_PATH = next(filter(None, map(shutil.which, BROWSER_COMMANDS)), None)


needs_chromium = pytest.mark.skipif(
    CHROMIUM_PATH is None or sync_api is None,
    reason="Chromium is not installed (apt-get install chromium)"
    if CHROMIUM_PATH is None
    else "playwright is not installed (make tools)",
)


# The large view closes at once, and its step back in the history comes later.
IS_GOING_BACK = """() => document.getElementById("large")?.open === false
  && new URLSearchParams(location.search).has("open")"""
VIEWPORT_SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
# Each size and each scheme; with more effort, every pair of them.
VIEWS = [("light", "phone"), ("dark", "tablet"), ("light", "desktop")]
if EFFORT > 1:
    VIEWS = [(scheme, size) for scheme in ("light", "dark") for size in VIEWPORT_SIZES]
each_view = pytest.mark.parametrize(("scheme", "size"), VIEWS)


class SharedChromium:
    """Starts Chromium for the first test that wants it; the tests that follow share it."""

    def __init__(self) -> None:
        self._playwright: Any = None
        self._chromium: Any = None

    def get(self) -> Any:
        """Return the running Chromium."""
        if self._chromium is None:
            self._playwright = sync_api.sync_playwright().start()
            self._chromium = self._playwright.chromium.launch(
                executable_path=CHROMIUM_PATH, args=["--no-sandbox"]
            )
        return self._chromium

    def close(self) -> None:
        """End Chromium, and the event loop with which asyncio.run() would fail in this thread."""
        if self._chromium is not None:
            self._chromium.close()
            self._playwright.stop()
            self._playwright = self._chromium = None


class BrowserTabs:
    """Opens browser tabs, and collects the errors of their consoles.

    Messages come late, so tests compare them when all tabs are closed: see list_errors.
    """

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self._contexts: list[Any] = []
        self._console_errors: list[str] = []
        self._expected_texts: list[str] = []

    def open_page(
        self, url: str, size: str = "desktop", color_scheme: str = "light", **options: Any
    ) -> Any:
        width, height = VIEWPORT_SIZES[size]
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=color_scheme, **options
        )
        self._contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on(
            "console", lambda line: line.type != "log" and self._console_errors.append(line.text)
        )
        page.on("pageerror", lambda error: self._console_errors.append(str(error)))
        page.goto(url)
        for name in ("goto", "reload", "go_back"):
            setattr(page, name, wait_for_history(page, getattr(page, name)))
        return page

    def expect_errors(self, *texts: str) -> None:
        """Expect errors that contain one of these texts, such as a status that Chromium reports."""
        self._expected_texts += texts

    def list_errors(self) -> list[str]:
        """Return the errors that the test does not expect."""
        return [
            error
            for error in self._console_errors
            if not any(text in error for text in self._expected_texts)
        ]

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def wait_for_history(page: Any, navigate: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that navigates when no step back in the history could abort it."""

    @wraps(navigate)
    def navigate_later(*arguments: Any, **options: Any) -> Any:
        page.wait_for_function(f"() => !({IS_GOING_BACK})()")
        return navigate(*arguments, **options)

    return navigate_later


def type_query(page: Any, text: str) -> None:
    page.get_by_label("What the picture shows").fill(text)
    page.keyboard.press("Enter")


def locate_tiles(page: Any) -> Any:
    """Return the tiles of the grid near the viewport."""
    return page.locator("#results li")


def locate_tile(page: Any, index: int) -> Any:
    """Return one tile by its place in the grid; it must be near the viewport."""
    return page.locator(f'#results li[data-index="{index}"]')


def expect_count(page: Any, count: int) -> None:
    """Wait until the grid has this number of pictures, of which only some have tiles."""
    if count:
        expect(locate_tiles(page).first).to_have_attribute("aria-setsize", str(count))
    else:
        expect(locate_tiles(page)).to_have_count(0)


def load_all(page: Any, count: int) -> None:
    """Scroll until the results have this number of pictures."""
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    expect_count(page, count)


def choose_value(page: Any, text: str) -> Any:
    """Return the button of a value in the lists beside the pictures."""
    return page.locator("#kinds li").get_by_role("button", name=text)


def expect_first(page: Any, name: str) -> None:
    expect(locate_tile(page, 0).locator("img")).to_have_attribute("alt", name)


def list_violations(page: Any) -> list[tuple[str, str]]:
    """Return the violated rules of axe on the shown view, each with the HTML of an element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    violations = axe.Axe().run(page).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"]) for rule in violations]
