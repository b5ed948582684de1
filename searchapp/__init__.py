"""Find pictures in your folders by words, by a picture, or by both.

>>> with Library.open("my-library", create=True) as library:
...     for event in library.index(["~/Pictures"]):
...         print(event)
...     for hit in library.search(Query(text="a red boat at sunset")):
...         print(hit.score, hit.path)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from searchapp.errors import (
    EngineError,
    FolderError,
    LibraryError,
    ModelError,
    PictureError,
    QueryError,
    SearchAppError,
    UnsupportedModality,
)
from searchapp.types import (
    DuplicateOptions,
    Duplicates,
    Example,
    Failure,
    Hit,
    IndexOptions,
    Query,
    Region,
    RunSummary,
    SearchOptions,
    SearchQuestion,
    Term,
)

if TYPE_CHECKING:
    from searchapp.library import Library

__all__ = [
    "DuplicateOptions",
    "Duplicates",
    "EngineError",
    "Example",
    "Failure",
    "FolderError",
    "Hit",
    "IndexOptions",
    "Library",
    "LibraryError",
    "ModelError",
    "PictureError",
    "Query",
    "QueryError",
    "Region",
    "RunSummary",
    "SearchAppError",
    "SearchOptions",
    "SearchQuestion",
    "Term",
    "UnsupportedModality",
]
__version__ = "0.1.0"

logging.getLogger("searchapp").addHandler(logging.NullHandler())  # silent by default


def __getattr__(name: str) -> object:
    """Import Library on first use, so that `import searchapp` stays fast."""
    if name == "Library":
        from searchapp.library import Library

        return Library
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
