"""Questions on the web page: why a hit matches, where words are looked up, and what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import (
    BrowserTabs,
    each_view,
    expect,
    expect_count,
    expect_first,
    list_violations,
    locate_tile,
    needs_chromium,
    type_query,
)
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip
from support.live_server import serve_library, serve_with_engine
from support.metadata_files import make_exif
from support.sample_pictures import make_picture, save_picture

from searchapp.library import Library
from searchapp.models import ModelSpec

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library of three pictures: a green one has a name with words, a blue one a title."""
    root = tmp_path_factory.mktemp("questions")
    save_picture(root / "album" / "plain.jpg", "red")
    save_picture(root / "album" / "IMG_2201 green Café.jpg", "green")
    exif = make_exif(title="An old blue lighthouse <b>by the sea</b>")
    make_picture("blue").save(root / "album" / "b.jpg", exif=exif)
    with Library.open(root / "library", create=True, start=FakeEngine) as opened:
        index_folder(opened, root / "album", write_fake_clip(root / "fake-clip"))
    return root / "library"


@pytest.fixture(scope="module")
def site(library: Path) -> Iterator[str]:
    """URL of a server whose engine and reranker run."""
    with serve_with_engine(library, lambda spec: FakeEngine(spec), has_reranker=True) as url:
        yield url


def test_reasons_are_marked(tabs: BrowserTabs, site: str) -> None:
    """The caption and the information show the name or title, with the words of the question."""
    page = tabs.open_page(site)
    type_query(page, "green img2201 CAFE")
    expect_first(page, "IMG_2201 green Café.jpg")
    locate_tile(page, 0).hover()
    why = locate_tile(page, 0).locator(".why")
    expect(why).to_have_text("Name: IMG_2201 green Café.jpg")
    expect(why.locator("mark")).to_have_text(["IMG_2201", "green", "Café"])
    locate_tile(page, 0).get_by_role("link").press("Enter")
    reasons = page.locator(".reason")
    expect(reasons.last).to_have_text("Name: IMG_2201 green Café.jpg")
    expect(reasons.last.locator("mark")).to_have_text(["IMG_2201", "green", "Café"])
    page.keyboard.press("Escape")
    type_query(page, "blue LIGHTHOUSE sea")
    expect_first(page, "b.jpg")
    locate_tile(page, 0).hover()
    expect(locate_tile(page, 0).locator(".why")).to_have_text(
        "Caption: An old blue lighthouse <b>by the sea</b>"
    )
    expect(locate_tile(page, 0).locator("mark")).to_have_text(["blue", "lighthouse", "sea"])
    assert page.locator("#results b").count() == 0


MARKS = {  # (text, question): the marked parts
    ("Straße 12", "strasse"): ["Straße"],
    ("東京の海.jpg", "海"): ["海"],
    ("aaa", "aa"): ["aa"],
    ("e\u0301cole a\u0301", "école"): ["e\u0301cole"],
    ("x-ray and x ray", '"x-ray"'): ["x-ray", "x ray"],
    ("nothing", "other"): [],
    ("😀 boat😀", "boat"): ["boat"],
    ("ﬁne", "fi"): ["ﬁ"],
    ("a", "  "): [],
}


def test_marks_ignore_case_accents_and_separators(tabs: BrowserTabs, site: str) -> None:
    page = tabs.open_page(site)
    script = page.locator("script").get_attribute("src").replace("app.js", "marks.js")
    for (text, question), expected in MARKS.items():
        marked = page.evaluate(
            """async ([script, text, question]) => {
              const { markWords } = await import(new URL(script, document.baseURI));
              const nodes = markWords(text, question);
              return [nodes.map((node) => node.textContent ?? node).join(""),
                nodes.filter((node) => node.tagName === "MARK").map((node) => node.textContent)];
            }""",
            [script, text, question],
        )
        assert marked == [text, expected]


def test_lines_of_text_are_outlined(tabs: BrowserTabs, site: str) -> None:
    """The large view outlines the text in the picture that matches, also after a zoom."""
    page = tabs.open_page(site)
    box = [[0.25, 0.5], [0.75, 0.5], [0.75, 0.75], [0.25, 0.75]]

    def add_text(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        body["hits"][0]["match"] = [{"by": "text", "snippet": "EXIT", "boxes": [box]}]
        route.fulfill(response=answer, json=body)

    page.route("**/api/search", add_text)
    type_query(page, "red")
    expect_count(page, 3)
    locate_tile(page, 0).get_by_role("link").press("Enter")
    outline, image = page.locator("#large-marks polygon"), page.locator("#large-image")
    expect(page.locator(".reason")).to_have_text("Text in the picture: EXIT")
    for _ in range(2):
        inner, outer = outline.bounding_box(), image.bounding_box()
        assert inner["width"] == pytest.approx(outer["width"] / 2, rel=0.05)
        assert inner["y"] == pytest.approx(outer["y"] + outer["height"] / 2, rel=0.05)
        page.keyboard.press("+")


def test_the_best_hits_are_compared_closely(tabs: BrowserTabs, site: str) -> None:
    """The order of a reranker is a choice of the page, kept in the URL and in saved searches."""
    page = tabs.open_page(f"{site}/?q=green")
    expect_count(page, 3)
    choice = page.get_by_label("Sort")
    with page.expect_request("**/api/search") as request:
        choice.select_option(label="Best match, compared closely")
    assert request.value.post_data_json["rerank"] == 20
    expect_count(page, 3)
    assert page.url.endswith("?q=green&sort=rerank")
    page.reload()
    expect(choice).to_have_value("rerank")
    expect_count(page, 3)


def test_where_words_are_looked_up(tabs: BrowserTabs, site: str) -> None:
    """The choice is in the URL, and exists only for a question in words."""
    page = tabs.open_page(f"{site}/?q=green+cafe")
    expect_count(page, 3)
    choice = page.get_by_label("Search in")
    with page.expect_request("**/api/search") as request:
        choice.select_option("text")
    assert request.value.post_data_json["by"] == "text"
    expect_count(page, 1)
    assert page.url.endswith("?q=green+cafe&by=text")
    page.reload()
    expect(choice).to_have_value("text")
    expect_count(page, 1)
    choice.select_option("vector")
    expect_count(page, 3)
    assert "by=vector" in page.url
    page.goto(f"{site}/?q=green+cafe&by=nonsense")
    expect(choice).to_have_value("")
    expect_count(page, 3)
    page.goto(f"{site}/?similar=1")
    expect_count(page, 3)
    expect(choice).to_be_hidden()


def test_warnings_are_shown(tabs: BrowserTabs, site: str) -> None:
    """An unknown folder is named, with and without a question; another filter removes it."""
    page = tabs.open_page(f"{site}/?folder=/no/such/folder")
    warnings = page.locator("#warnings")
    expect(warnings).to_contain_text("/no/such/folder")
    page.goto(f"{site}/?q=red&folder=/no/such/folder")
    expect(warnings).to_contain_text("/no/such/folder")
    page.get_by_role("button", name="Reset filters").click()
    expect_count(page, 3)
    expect(warnings).to_be_hidden()


def test_page_while_the_model_loads(library: Path, tabs: BrowserTabs) -> None:
    """The page says so, answers filters, and offers a search in names and texts."""
    ready = threading.Event()

    def start(spec: ModelSpec) -> FakeEngine:
        assert ready.wait(300)  # longer than the page waits
        return FakeEngine(spec)

    with serve_library(library, start) as url:
        try:
            httpx.post(f"{url}/api/search", json={"text": "red"})  # starts the model
            page = tabs.open_page(url)
            line = page.locator("#model-status")
            expect(line).to_have_text(
                "The model is loading. Dates, folders and other filters work meanwhile."
            )
            expect_count(page, 3)
            type_query(page, "green cafe")
            expect(page.get_by_role("heading", name="The model is starting")).to_be_visible()
            page.get_by_role("button", name="Search names and texts now").click()
            expect_first(page, "IMG_2201 green Café.jpg")
            expect(page.get_by_role("heading", name="The model is starting")).to_be_hidden()
            page.goto(f"{url}/?q=green+cafe&sort=rerank")  # needs a second model
            page.get_by_role("button", name="Search names and texts now").click()
            expect_first(page, "IMG_2201 green Café.jpg")
            assert page.url.endswith("?q=green+cafe&by=text")
        finally:
            ready.set()
        expect(line).to_be_hidden()
        page.context.close()
    tabs.expect_errors("status of 503")


@each_view
def test_axe_finds_no_violation(tabs: BrowserTabs, site: str, size: str, scheme: str) -> None:
    """The accessibility rules of axe hold for reasons, information and warnings."""
    page = tabs.open_page(f"{site}/?q=green+cafe", size, scheme, reduced_motion="reduce")
    expect_count(page, 3)
    locate_tile(page, 0).get_by_role("link").focus()
    expect(locate_tile(page, 0).locator("mark").first).to_be_visible()
    assert list_violations(page) == []
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert list_violations(page) == []
    page.keyboard.press("i")
    page.keyboard.press("+")
    expect(page.locator("#zoom-level")).to_be_visible()
    assert list_violations(page) == []
    page.goto(f"{site}/?folder=/no/such/folder")
    expect(page.locator("#warnings")).to_be_visible()
    assert list_violations(page) == []
