"""Measure the web page in Chromium with 5,000 and 100,000 pictures, and print a table.

    python tests/bench/page.py [COUNT ...]

The pictures are rows with made-up thumbnails: nothing is embedded. Each figure is for the first
view, without a question. The scroll goes from the top to the end in steps of one viewport.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from playwright import sync_api  # noqa: E402
from support.browser import CHROMIUM_PATH  # noqa: E402
from support.fake_engine import FakeEngine  # noqa: E402
from support.live_server import serve_library  # noqa: E402
from support.made_library import make_large_library  # noqa: E402

SIZE = {"width": 1440, "height": 900}
FRAME_MS = 1000 / 60
SCROLL_S = 10.0
# Resolves with the time in ms since navigation at which all tiles in the viewport are loaded.
FULL_VIEWPORT = """() => {
  const tiles = [...document.querySelectorAll('#results img')].filter((image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
  const done = (image) => image.complete && image.naturalWidth;
  if (!tiles.length) return false;
  if (tiles.some(done)) window.firstThumbnail ??= performance.now();
  return tiles.every(done) && performance.now();
}"""
# Scroll from the top to the end in a given time; resolves with the times of all frames.
SCROLL = """(seconds) => new Promise((resolve) => {
  const height = document.documentElement.scrollHeight - innerHeight;
  const [frames, start] = [[], performance.now()];
  let nodes = 0;
  const step = (now) => {
    frames.push(now);
    nodes = Math.max(nodes, document.querySelectorAll('*').length);
    const share = (now - start) / 1000 / seconds;
    scrollTo({ top: share * height, behavior: 'instant' });
    if (share < 1) requestAnimationFrame(step);
    else resolve({ frames, nodes });
  };
  requestAnimationFrame(step);
})"""


def measure_page(browser: Any, url: str) -> dict[str, str]:
    """Return the figures of one page load and one scroll, as texts by name."""
    page = browser.new_page(viewport=SIZE)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    # Ticks of the thread do not depend on how busy the machine is.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    received: list[tuple[str, float]] = []
    urls: dict[str, str] = {}
    session.on(
        "Network.requestWillBeSent", lambda e: urls.update({e["requestId"]: e["request"]["url"]})
    )
    session.on(
        "Network.loadingFinished",
        lambda e: received.append((urls.get(e["requestId"], ""), e["encodedDataLength"])),
    )
    page.goto(url)
    full_ms = page.wait_for_function(FULL_VIEWPORT, polling="raf").json_value()
    first_ms = page.evaluate("window.firstThumbnail")
    nodes = page.evaluate("document.querySelectorAll('*').length")
    page.wait_for_timeout(1000)
    requests, size = len(received), sum(length for _, length in received)
    timeline = sum(length for url, length in received if "timeline" in url)
    started_at, cpu_s = time.perf_counter(), read_cpu_seconds(session)
    scroll = page.evaluate(SCROLL, SCROLL_S)
    cpu_s = read_cpu_seconds(session) - cpu_s
    frames = scroll["frames"]
    gaps = [b - a for a, b in pairwise(frames)]
    dropped = sum(round(gap / FRAME_MS) - 1 for gap in gaps if gap > 1.5 * FRAME_MS)
    possible = dropped + len(gaps)
    elapsed_s = time.perf_counter() - started_at
    page.wait_for_function(FULL_VIEWPORT, polling="raf")
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    page.close()
    return {
        "requests, first view": f"{requests}",
        "KiB received, first view": f"{size / 1024:,.0f}",
        "of it the list of all pictures, KiB": f"{timeline / 1024:,.0f}",
        "first thumbnail, ms": f"{first_ms:,.0f}",
        "full viewport, ms": f"{full_ms:,.0f}",
        "nodes, first view": f"{nodes:,}",
        "nodes, maximum in the scroll": f"{scroll['nodes']:,}",
        "heap after the scroll, MiB": f"{heap / 2**20:,.1f}",
        f"frames dropped in a scroll of {elapsed_s:.0f} s": f"{dropped} of {possible}",
        "longest frame, ms": f"{max(gaps):,.0f}",
        "CPU time of the main thread for each frame, ms": f"{1000 * cpu_s / len(frames):.1f}",
    }


def read_cpu_seconds(session: Any) -> float:
    """Return the CPU time that the main thread of the page has used."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def main() -> None:
    """Make each library, serve it, measure the page twice, and print the second run."""
    counts = [int(text) for text in sys.argv[1:]] or [5000, 100_000]
    columns: list[dict[str, str]] = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            library = make_large_library(Path(folder), count)
            with (
                serve_library(library, lambda spec: FakeEngine(spec)) as url,
                sync_api.sync_playwright() as playwright,
            ):
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM_PATH, args=["--no-sandbox"]
                )
                measure_page(browser, url)  # the server reads its columns
                columns.append(measure_page(browser, url))
                browser.close()
    print("| |", " | ".join(f"{count:,} pictures" for count in counts), "|")
    print("|---|" + "---|" * len(counts))
    for name in columns[0]:
        print(f"| {name} |", " | ".join(column.get(name, "") for column in columns), "|")


if __name__ == "__main__":
    main()
