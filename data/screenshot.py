"""Take the screenshot of the web page for the README.

    python data/screenshot.py

Index the pictures in data/photos with the starter model, serve them, and run one query in
Chromium. Write data/screenshot.jpg. Needs `make setup`, playwright (extra `dev`) and Chromium.
"""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

from searchapp import IndexOptions, Library

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / ".demo" / "library"
SCREENSHOT = ROOT / "data" / "screenshot.jpg"
QUERY = "a boat on the water"
VIEWPORT = {"width": 1280, "height": 800}
MAX_BYTES = 200_000
START_TIMEOUT_S = 300  # for vLLM on a busy machine


def main() -> None:
    """Index, serve, search, and save the picture of the page."""
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        raise SystemExit("Chromium is missing; install it, for example: apt-get install chromium")
    with Library.open(LIBRARY, create=True) as library:
        for event in library.index([ROOT / "data" / "photos"], IndexOptions(model="starter")):
            print(event)
    with serve_library() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport=VIEWPORT, color_scheme="light", bypass_csp=True)
        page.set_default_timeout(1000 * START_TIMEOUT_S)
        page.goto(address)
        page.get_by_label("What the picture shows").fill(QUERY)
        page.keyboard.press("Enter")
        page.locator("#status", has_text="best first").wait_for()
        page.wait_for_function(
            "[...document.querySelectorAll('#results li:not([hidden]) img')]"
            ".filter(image => image.getBoundingClientRect().top < innerHeight)"
            ".every(image => image.complete && image.naturalWidth)"
        )
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        time.sleep(1)  # for the transitions of the page to end
        save_screenshot(page.screenshot())
        chromium.close()


@contextmanager
def serve_library() -> Iterator[str]:
    """Run `searchapp serve` on a free port, and give its address once the model is loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "searchapp",
        "serve",
        "--library",
        LIBRARY,
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command)
    try:
        address = f"http://127.0.0.1:{port}/"
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                if httpx.post(f"{address}api/search", json={"text": QUERY}, timeout=60).is_success:
                    break
            except httpx.TransportError:
                pass
            if server.poll() is not None or time.monotonic() > give_up_at:
                raise SystemExit("`searchapp serve` does not answer")
            time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def save_screenshot(png: bytes) -> None:
    """Save the screenshot as a JPEG of at most MAX_BYTES, as good as that allows."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in range(92, 40, -4):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= MAX_BYTES:
            break
    SCREENSHOT.write_bytes(buffer.getvalue())
    print(f"{SCREENSHOT.relative_to(ROOT)}: {buffer.tell():,} bytes, quality {quality}")


if __name__ == "__main__":
    main()
