"""Show what searchapp does: index the pictures in data/photos, and search them in several ways.

    python data/demo.py

Writes demo.html, a page with the hits, and keeps its library in .demo/library.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from searchapp import Hit, IndexOptions, Library, Query, SearchOptions, Term
from searchapp.cli.event_lines import format_summary
from searchapp.cli.progress import show_run
from searchapp.cli.start_engine import start_until_exit
from searchapp.errors import SearchAppError
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.pages.contact_sheet import Section, write_contact_sheet

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "data" / "photos"
PAGE_FILE = ROOT / "demo.html"
HITS_ON_PAGE, HITS_PRINTED = 5, 3

# Words; an example picture; and a sum of weighted terms, here a picture and words.
QUERIES: list[tuple[str, Query | list[Term]]] = [
    ("a red sailing boat at sunset", Query("a red sailing boat at sunset")),
    ("two white sheep on a green hill", Query("two white sheep on a green hill")),
    ("a city at night in the snow", Query("a city at night in the snow")),
    ("a birthday cake with candles", Query("a birthday cake with candles")),
    ("penguins on the ice", Query("penguins on the ice")),
    ("an owl in the forest at night", Query("an owl in the forest at night")),
    ("pictures like fire-engine.jpg", Query(image=PHOTOS / "fire-engine.jpg")),
    (
        "pictures like blue-boat-fog.jpg, but with a red boat",
        [Term(Query(image=PHOTOS / "blue-boat-fog.jpg")), Term(Query("a red boat"), 2.5)],
    ),
]
OUTRO = """
Open {page} in a browser to see the hits. Then try your own pictures:

  {command} index ~/Pictures --model starter
  {command} query "a dog on the beach" --html hits.html
  {command} serve                 # a web page to search with
  {command} docs                  # the documentation"""


def main() -> None:
    """Index the pictures, run the queries, print the best hits, and write the page."""
    with Library.open(
        ROOT / ".demo" / "library",
        create=True,
        start=start_until_exit(EngineChoice(), announce=False),
    ) as library:
        print("Indexing data/photos. Pictures and vectors stay on this machine.", flush=True)
        summary = show_run(library.index([PHOTOS], IndexOptions(model="starter")))
        print(format_summary(summary))
        print("\nThe nearest pictures for each query, with their scores:", flush=True)
        sections = []
        for title, query in QUERIES:
            started_at = time.perf_counter()
            hits = library.search(query, SearchOptions(count=HITS_ON_PAGE))
            milliseconds = 1000 * (time.perf_counter() - started_at)
            print(f'\n"{title}"   ({milliseconds:.0f} ms)')
            for hit in hits[:HITS_PRINTED]:
                print(f"  {hit.score:.3f}  {_relative_path(hit)}")
            sections.append(Section(title, hits))
    write_contact_sheet(PAGE_FILE, sections, title="searchapp demo: the nearest pictures")
    command = Path(sys.executable).with_name("searchapp")
    name = command.relative_to(ROOT) if command.is_relative_to(ROOT) else command.name
    print(OUTRO.format(page=PAGE_FILE.relative_to(ROOT), command=name))


def _relative_path(hit: Hit) -> Path:
    return Path(hit.path).relative_to(ROOT)


if __name__ == "__main__":
    try:
        main()
    except SearchAppError as error:
        sys.exit(f"demo: {error}")
