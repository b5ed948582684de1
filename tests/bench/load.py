"""Load the server: 32 clients for 10 seconds on the fake engine; prints errors, p50, p99 and rate.

    python tests/bench/load.py [CLIENTS] [SECONDS]

The engine is a fake, so this is the time of everything else: HTTP, batching, catalogue, index.
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
from support.fakes import FakeEngine  # noqa: E402
from support.library import write_model  # noqa: E402
from support.pictures import draw  # noqa: E402
from support.serving import serving  # noqa: E402

from searchapp.library import Library  # noqa: E402
from searchapp.types import IndexOptions  # noqa: E402

COLOURS = {"red": "red.png", "lime": "lime.png", "blue": "blue.png", "yellow": "yellow.png"}


def main() -> None:
    """Index some pictures, serve them, ask from all sides."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    times: list[float] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for colour, name in COLOURS.items():
            draw(root / "photos" / name, colour)
        model = write_model(root / "model")
        with Library.open(root / "library", create=True, start=FakeEngine) as library:
            for _ in library.index([root / "photos"], IndexOptions(model=str(model))):
                pass
        with serving(root / "library", FakeEngine) as url:
            end = time.monotonic() + seconds

            def ask(number: int) -> None:
                colours = list(COLOURS)
                with httpx.Client(base_url=url, timeout=30) as client:
                    while time.monotonic() < end:
                        colour = colours[number % 4]
                        number += 1
                        begun = time.perf_counter()
                        answer = client.post("/api/search", json={"text": colour, "count": 1})
                        if answer.status_code == 503:
                            time.sleep(0.05)
                            continue
                        times.append(time.perf_counter() - begun)
                        if answer.status_code != 200:
                            wrong.append(f"{answer.status_code} {answer.text}")
                        elif answer.json()["hits"][0]["name"] != COLOURS[colour]:
                            wrong.append(f"{colour}: {answer.json()['hits'][0]['name']}")

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    cuts = statistics.quantiles(times, n=100)
    print(f"{clients} clients, {seconds:.0f} s: {len(times)} answers, {len(wrong)} wrong")
    print(f"p50 {1000 * cuts[49]:.1f} ms, p99 {1000 * cuts[98]:.1f} ms")
    print(f"{len(times) / seconds:.0f} answers a second, clients on the same two cores included")
    if wrong:
        sys.exit(f"first wrong: {wrong[0]}")


if __name__ == "__main__":
    main()
