"""Texts of the web page: all are in one table, in English and in German."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest
from support.browser import (
    VIEWPORT_SIZES,
    BrowserTabs,
    expect,
    expect_count,
    locate_tile,
    needs_chromium,
)
from support.duplicates import make_near_copy
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.duplicates.difference_text import EDIT_TEXTS, describe_difference
from searchapp.duplicates.fingerprint import TURN_NAMES
from searchapp.duplicates.make_groups import LOOK_ALIKE_REASON
from searchapp.files.choose_keeper import KEEP_RULES, MOST_MATCHES_REASON
from searchapp.server.web_files import SHARED_FILES, WEB_FOLDER

TABLE_FILES = {
    language: sorted(WEB_FOLDER.glob(f"texts_{language}*.js")) for language in ("en", "de")
}
ENTRY_PATTERN = re.compile(r"^  (\w+):\s*(\([^)]*\) =>)?", re.MULTILINE)
LITERAL_PATTERN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`", re.DOTALL
)
SENTENCE_PATTERN = re.compile(r"[A-Z][a-z]{2,}|[a-z]{2,} [a-z]{2,}")
# Names in the code of browsers and HTTP, selectors, and a command.
CODE_WORDS = {
    "Home", "End", "Escape", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp",
    "PageDown", "Files", "AbortError", "Content-Type", "Retry-After", "pushState", "replaceState",
    "viewBox", "#results li", "heading line", "day by-file", "Google Takeout", "button, video",
    "searchapp index ~/Pictures", "input, select, textarea", "aria-posinset", "Tab", "GeoNames",
    "12px system-ui, sans-serif", "NameTakenError", "NoAnswer", "PictureError",
}  # fmt: skip
NAMES = {"searchapp", "48.85,2.35,5km"}  # the name of the program, and an example


def read_entries(language: str) -> dict[str, str]:
    """Return the keys of the tables of a language, with the parameters of functions."""
    sources = [file.read_text(encoding="utf-8") for file in TABLE_FILES[language]]
    found = [ENTRY_PATTERN.findall(source[source.rindex("export const") :]) for source in sources]
    return {key: parameters for entries in found for key, parameters in entries}


def list_literals(file: Path) -> Iterator[str]:
    """Yield the strings of a script, with a blank for each value in them."""
    for match in LITERAL_PATTERN.finditer(file.read_text(encoding="utf-8")):
        if not match[0].startswith("/"):
            yield re.sub(r"\$\{[^}]*\}", " ", match[0][1:-1])


class PageTexts(HTMLParser):
    """Collects the texts of index.html, and the keys of the texts that scripts set."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.keys: set[str] = set()
        self._is_in_noscript = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_in_noscript |= tag == "noscript"
        for name, value in attrs:
            if name in ("data-text", "data-label", "data-title", "data-placeholder"):
                self.keys.add(value or "")
            elif name in ("aria-label", "title", "placeholder", "alt") and value:
                self.texts.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._is_in_noscript &= tag != "noscript"

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._is_in_noscript:
            self.texts.append(data.strip())


@pytest.fixture(scope="module")
def page_texts() -> PageTexts:
    parser = PageTexts()
    parser.feed((WEB_FOLDER / "index.html").read_text(encoding="utf-8"))
    return parser


def list_scripts() -> list[Path]:
    tables = {file for files in TABLE_FILES.values() for file in files}
    shared = [file for file in SHARED_FILES if file.suffix == ".js"]
    return [file for file in [*sorted(WEB_FOLDER.glob("*.js")), *shared] if file not in tables]


def test_tables_have_the_same_entries() -> None:
    """A text with values has the same values in both languages."""
    english, german = read_entries("en"), read_entries("de")
    assert len(english) > 100
    assert english == german


def test_page_has_no_text_of_its_own(page_texts: PageTexts) -> None:
    assert set(page_texts.texts) <= NAMES


@pytest.mark.parametrize("file", list_scripts(), ids=lambda file: file.name)
def test_script_has_no_text_of_its_own(file: Path) -> None:
    found = [text for text in list_literals(file) if SENTENCE_PATTERN.search(text)]
    assert [text for text in found if text not in CODE_WORDS and not text.startswith("./")] == []


def test_each_text_is_used_and_each_used_text_exists(page_texts: PageTexts) -> None:
    literals = {text for file in list_scripts() for text in list_literals(file)} | page_texts.keys
    prefixes = tuple(text.rstrip() for text in literals if text.endswith("_ "))  # match_${by}
    entries = read_entries("en").keys()
    assert [key for key in entries if key not in literals and not key.startswith(prefixes)] == []
    calls = re.compile(r"\b(?:text|findText)\(\"(\w+)\"")
    used = {key for file in list_scripts() for key in calls.findall(file.read_text("utf-8"))}
    assert (used | page_texts.keys) - entries == set()


def test_each_explanation_of_duplicates_has_a_translation() -> None:
    """The page translates the phrases of the library by patterns, so none may be missing."""
    source = (WEB_FOLDER / "duplicate_phrases.js").read_text(encoding="utf-8")
    differences, reasons = (
        [pattern for pattern, _ in re.findall(r"^  \[/(.+)/s?, \"(\w+)\"\],$", part, re.MULTILINE)]
        for part in source.split("const REASONS")
    )
    keeper = make_near_copy(Path("/album/a.jpg"), 9)
    other = replace(keeper, width=3, format="PNG", edits=("border", "caption"))
    with_companions = replace(keeper, companions=("/album/a.dng", "/album/a.mov"), taken_at="2023")
    for rule in KEEP_RULES:
        reason = rule.explain(with_companions, other)
        assert any(re.search(pattern, reason, re.DOTALL) for pattern in reasons), reason
    for reason in (LOOK_ALIKE_REASON, MOST_MATCHES_REASON):
        assert any(re.search(pattern, reason) for pattern in reasons), reason
    for turn, cut_share, is_cropped in product(range(len(TURN_NAMES)), (0.0, 0.1), (True, False)):
        for certainty, edits in (("pixels", ()), ("near", tuple(EDIT_TEXTS)), ("near", ())):
            for copy in (other, replace(keeper, certainty="near")):
                difference = describe_difference(
                    with_companions, copy, certainty, turn, cut_share, edits,
                    is_keeper_cropped=is_cropped,
                )  # fmt: skip
                for phrase in difference.split(", "):
                    assert any(re.search(pattern, phrase) for pattern in differences), phrase


@needs_chromium
@pytest.mark.parametrize("size", VIEWPORT_SIZES)
def test_german_page(
    tabs: BrowserTabs, library: Path, fake_engines: FakeEngines, size: str
) -> None:
    """A German browser gets the page in German; the longer texts fit into each size."""
    with serve_library(library, fake_engines) as url:
        page = tabs.open_page(url, size, locale="de-AT")
        expect_count(page, 3)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("#status")).to_have_text("3 Bilder")
        expect(page.get_by_label("Was das Bild zeigt")).to_be_visible()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        if size != "desktop":
            page.get_by_role("button", name="Filter", exact=True).click()
            expect(page.get_by_role("button", name="Filter ausblenden")).to_be_focused()
            page.keyboard.press("Escape")
        locate_tile(page, 0).get_by_role("link").press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.locator("#position")).to_have_text("1 von 3")
        expect(page.get_by_role("link", name="Ähnliche Bilder")).to_be_in_viewport(ratio=1)
        for name in ("Pfad kopieren", "Informationen", "Schließen"):
            expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        page.context.close()


@needs_chromium
def test_other_languages_get_the_english_page(
    tabs: BrowserTabs, library: Path, fake_engines: FakeEngines
) -> None:
    with serve_library(library, fake_engines) as url:
        page = tabs.open_page(url, locale="fr-FR")
        expect(page.locator("#status")).to_have_text("3 pictures")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.context.close()
