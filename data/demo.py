"""Index the pictures in data/photos with the model that ships, ask for some, and show what comes.

    python data/demo.py

Writes demo.html, a page to open in a browser, and keeps its library in .demo/library.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from searchapp import Hit, IndexOptions, Library, Query, SearchOptions, Term
from searchapp.cli.progress import follow
from searchapp.cli.start_engine import start_until_exit
from searchapp.errors import SearchAppError
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.pages.contact_sheet import Section, write_sheet

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "data" / "photos"
PAGE = ROOT / "demo.html"

# What is asked: words; a picture; and sums of terms, here a picture and words.
QUERIES: list[tuple[str, Query | list[Term]]] = [
    ("a red sailing boat at sunset", Query("a red sailing boat at sunset")),
    ("two white sheep on a green hill", Query("two white sheep on a green hill")),
    ("a city at night in the snow", Query("a city at night in the snow")),
    ("a birthday cake with candles", Query("a birthday cake with candles")),
    ("penguins on the ice", Query("penguins on the ice")),
    ("an owl in the forest at night", Query("an owl in the forest at night")),
    ("like the fire engine", Query(image=PHOTOS / "fire-engine.jpg")),
    (
        "like the boat in the fog, but red",
        [Term(Query(image=PHOTOS / "blue-boat-fog.jpg")), Term(Query("a red boat"), 2.0)],
    ),
]


def main() -> None:
    """Run the demo."""
    with Library.open(
        ROOT / ".demo" / "library",
        create=True,
        start=start_until_exit(EngineChoice(), announce=False),
    ) as library:
        print(f"$ searchapp index data/photos --model starter   (library: {library.folder})")
        follow(library.index([PHOTOS], IndexOptions(model="starter")))
        sections = []
        for title, query in QUERIES:
            begun = time.perf_counter()
            hits = library.search(query, SearchOptions(count=5))
            milliseconds = 1000 * (time.perf_counter() - begun)
            print(f'\n"{title}"   ({milliseconds:.0f} ms)')
            for hit in hits[:3]:
                print(f"  {hit.score:.3f}  {_short(hit)}")
            sections.append(Section(title, hits))
    write_sheet(PAGE, sections, title="searchapp: what the demo found")
    print(f"\nopen {PAGE.relative_to(ROOT)} in a browser to see the pictures")


def _short(hit: Hit) -> Path:
    return Path(hit.path).relative_to(ROOT)


if __name__ == "__main__":
    try:
        main()
    except SearchAppError as error:
        sys.exit(f"demo: {error}")
