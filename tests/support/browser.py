"""Drive the web page in Chromium."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

try:
    from playwright import sync_api
except ImportError:
    sync_api = None  # type: ignore[assignment]


expect: Any = sync_api and sync_api.expect


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or sync_api is None,
    reason="Chromium is not installed (apt-get install chromium)"
    if CHROMIUM is None
    else "playwright is not installed (make tools)",
)


SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}


class Tabs:
    """Opens tabs, and collects what their consoles complain of."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self._contexts: list[Any] = []
        self.complaints: list[str] = []

    def open(self, url: str, size: str = "desktop", scheme: str = "light", **more: Any) -> Any:
        width, height = SIZES[size]
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **more
        )
        self._contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", lambda it: it.type != "log" and self.complaints.append(it.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def search(page: Any, text: str) -> None:
    page.get_by_label("What the picture shows").fill(text)
    page.keyboard.press("Enter")


def tiles(page: Any) -> Any:
    """The pictures that are shown."""
    return page.locator("#results li:not([hidden])")


def expect_first(page: Any, name: str) -> None:
    expect(tiles(page).first.get_by_role("img")).to_have_attribute("alt", name)
