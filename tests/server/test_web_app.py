"""The page as an app that a browser can install."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support.browser import BrowserTabs, needs_chromium
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.server.guard import AccessRules


@needs_chromium
def test_chromium_reads_the_manifest(
    library: Path, fake_engines: FakeEngines, tabs: BrowserTabs
) -> None:
    """Also behind a token: browsers send the cookie with the manifest only if the page says so."""
    with serve_library(library, fake_engines, AccessRules("secret")) as url:
        page = tabs.open_page(f"{url}/?token=secret")
        answer = page.context.new_cdp_session(page).send("Page.getAppManifest")
        assert answer["errors"] == []
        assert re.fullmatch(rf"{url}/assets/[0-9a-f]{{16}}/manifest.webmanifest", answer["url"])
        manifest = json.loads(answer["data"])
        assert page.evaluate("([to, base]) => new URL(to, base).href", [
            manifest["start_url"], answer["url"],
        ]) == f"{url}/"  # fmt: skip
        for icon in manifest["icons"]:
            address = page.evaluate("([to, base]) => new URL(to, base).href", [
                icon["src"], answer["url"],
            ])  # fmt: skip
            size: Any = page.evaluate(
                "async (src) => { const image = new Image(); image.src = src;"
                " await image.decode(); return `${image.naturalWidth}x${image.naturalHeight}`; }",
                address,
            )
            assert icon["sizes"] in (size, "any")
        page.context.close()
