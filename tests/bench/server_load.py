"""Load the server with 32 clients for 10 seconds, and print errors, p50, p99 and rate.

    python tests/bench/server_load.py [CLIENTS] [SECONDS]

The engine is a fake, so the figures are the cost of HTTP, batching, catalog and index.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from support.fake_engine import FakeEngine  # noqa: E402
from support.library import write_fake_clip  # noqa: E402
from support.live_server import serve_library  # noqa: E402
from support.sample_pictures import save_picture  # noqa: E402

from searchapp.library import Library  # noqa: E402
from searchapp.types import IndexOptions  # noqa: E402

COLORS = {"red": "red.png", "lime": "lime.png", "blue": "blue.png", "yellow": "yellow.png"}


def main() -> None:
    """Index four pictures, serve them, and search from many threads."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    latencies_s: list[float] = []
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for color, name in COLORS.items():
            save_picture(root / "photos" / name, color)
        model = write_fake_clip(root / "model")
        with Library.open(root / "library", create=True, start=FakeEngine) as library:
            for _ in library.index([root / "photos"], IndexOptions(model=str(model))):
                pass
        with serve_library(root / "library", FakeEngine) as url:
            ends_at = time.monotonic() + seconds

            def run_client(number: int) -> None:
                colors = list(COLORS)
                with httpx.Client(base_url=url, timeout=30) as client:
                    while time.monotonic() < ends_at:
                        color = colors[number % 4]
                        number += 1
                        started_at = time.perf_counter()
                        answer = client.post("/api/search", json={"text": color, "count": 1})
                        if answer.status_code == 503:
                            time.sleep(0.05)
                            continue
                        latencies_s.append(time.perf_counter() - started_at)
                        if answer.status_code != 200:
                            errors.append(f"{answer.status_code} {answer.text}")
                        elif answer.json()["hits"][0]["name"] != COLORS[color]:
                            errors.append(f"{color}: {answer.json()['hits'][0]['name']}")

            threads = [
                threading.Thread(target=run_client, args=(number,)) for number in range(clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    percentiles = statistics.quantiles(latencies_s, n=100)
    print(f"{clients} clients, {seconds:.0f} s: {len(latencies_s)} answers, {len(errors)} wrong")
    print(f"p50 {1000 * percentiles[49]:.1f} ms, p99 {1000 * percentiles[98]:.1f} ms")
    print(f"{len(latencies_s) / seconds:.0f} answers/s; the clients use the same cores")
    if errors:
        sys.exit(f"first wrong answer: {errors[0]}")


if __name__ == "__main__":
    main()
