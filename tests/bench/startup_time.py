"""Measure commands that should be fast: `--help`, and `index` over 10,000 unchanged files.

    python tests/bench/startup_time.py [FILES]

Prints the wall time of processes in seconds, best and median of five, and for comparison the start
time of Python. The first index run uses a fake engine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from support.fake_engine import FakeEngine  # noqa: E402
from support.library import write_fake_clip  # noqa: E402

from searchapp.library import Library  # noqa: E402
from searchapp.types import IndexOptions  # noqa: E402


def time_command(*arguments: object) -> str:
    """Run a Python command five times, and return best and median time in words."""
    times = []
    for _ in range(5):
        started_at = time.perf_counter()
        subprocess.run(
            [sys.executable, *map(str, arguments)], check=True, capture_output=True, env=os.environ
        )
        times.append(time.perf_counter() - started_at)
    return f"best {min(times):.2f} s, median {statistics.median(times):.2f} s"


def main() -> None:
    """Make and index the pictures, and print the times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(count):
            file = root / "photos" / f"{number // 500:03}" / f"{number:06}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number >> 16, number >> 8 & 255, number & 255)).save(file)
        model = write_fake_clip(root / "model")
        with Library.open(root / "library", create=True, start=FakeEngine) as library:
            for _ in library.index([root / "photos"], IndexOptions(model=str(model))):
                pass
        os.environ["SEARCHAPP_LIBRARY"] = str(root / "library")
        print("python -c pass                 ", time_command("-c", "pass"))
        print("searchapp --help               ", time_command("-m", "searchapp", "--help"))
        again = time_command("-m", "searchapp", "index", root / "photos")
        print(f"searchapp index, {count:,} unchanged ", again)


if __name__ == "__main__":
    main()
