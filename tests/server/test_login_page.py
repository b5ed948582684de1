"""The form that a browser without the token gets, and the cookie that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from support.browser import BrowserTabs, expect, locate_tiles, needs_chromium
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.server.guard import AccessRules
from searchapp.server.login_page import MAX_FORM_BYTES

TOKEN = 'two; "words" & gr\u00fc\u00df + %41'
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def site(library: Path, fake_engines: FakeEngines) -> Iterator[str]:
    """Address of a server that requires a token."""
    with serve_library(library, fake_engines, AccessRules(TOKEN)) as url:
        yield url


def test_only_pages_have_a_form(site: str) -> None:
    """A browser gets the form at the pages; programs, and the API, get a problem."""
    for path in ("/", "/?q=red", "/docs"):
        answer = httpx.get(f"{site}{path}", headers=BROWSER)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert '<form method="post">' in answer.text
        assert "not the token" not in answer.text
        assert httpx.get(f"{site}{path}").json()["status"] == 401
    assert "not the token" in httpx.get(f"{site}/?token=x", headers=BROWSER).text
    for path in ("/api/v1/info", "/app.js", "/metrics"):
        assert httpx.get(f"{site}{path}", headers=BROWSER).json()["status"] == 401


def test_form_leads_to_the_page(site: str) -> None:
    """The right token sets the cookie, and loads the address that the browser wanted."""
    with httpx.Client(base_url=site) as client:
        for wrong in ("", "token=", "token=wrong", f"other={quote_plus(TOKEN)}"):
            answer = send_form(client, "/", wrong)
            assert answer.status_code == 401, wrong
            assert "not the token" in answer.text
        body = f"token={quote_plus(TOKEN)}"
        answer = send_form(client, "/?q=red&token=wrong&sort=date", body)
        assert (answer.status_code, answer.headers["location"]) == (303, "./?q=red&sort=date")
        assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
        assert client.get("/api/v1/info").status_code == 200
        # A browser that is logged in may send the form again.
        assert send_form(client, "/docs", body).headers["location"] == "./docs"


def test_form_accepts_nothing_else(site: str) -> None:
    """Other sites, other paths and other bodies do not log in, and no long body is kept."""
    body = f"token={quote_plus(TOKEN)}"
    with httpx.Client(base_url=site) as client:
        foreign = {"Origin": "http://evil.example"}
        assert send_form(client, "/", body, foreign).status_code == 403
        assert send_form(client, "/", body, {"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert send_form(client, "/api/v1/info", body).status_code == 401
        assert client.post("/", content=body).status_code == 401
        padding = "x" * MAX_FORM_BYTES
        assert send_form(client, "/", f"padding={padding}&{body}").status_code == 401
        assert "set-cookie" not in send_form(client, "/", f"{body}{padding}").headers


def test_server_without_a_token_has_no_form(library: Path, fake_engines: FakeEngines) -> None:
    """The page is open, and takes no form."""
    with serve_library(library, fake_engines) as url, httpx.Client(base_url=url) as client:
        assert "<form method=" not in client.get("/", headers=BROWSER).text
        assert send_form(client, "/", "token=x").status_code == 405


def send_form(
    client: httpx.Client, path: str, body: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.post(path, content=body, headers={**media_type, **(headers or {})})


@needs_chromium
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_browser_logs_in(site: str, tabs: BrowserTabs, size: str) -> None:
    """Chromium sends the form, although the guard refuses foreign origins."""
    page = tabs.open_page(f"{site}/?q=red", size)
    expect(page.get_by_label("Token")).to_be_focused()
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token of this server.")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("search")).to_be_visible()
    assert page.url == f"{site}/?q=red"
    expect(locate_tiles(page).first).to_be_visible()
    # Chromium reports a page without the token, and a search while the engine starts, as errors.
    tabs.expect_errors("status of 401", "status of 503")


@needs_chromium
def test_style_of_the_form_is_allowed_by_its_policy(site: str, chromium: Any) -> None:
    """The policy names the digest of the style, so Chromium applies it."""
    page = chromium.new_page()
    page.goto(site)
    button = page.get_by_role("button", name="Log in")
    assert button.evaluate("node => getComputedStyle(node).borderRadius") == "22px"
    page.close()
