"""Answer a query in the library's resident process, or in this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from searchapp.files.library_folder import can_be_resident
from searchapp.server import client
from searchapp.server.client import ResidentConfig
from searchapp.types import Query, SearchOptions, SearchResult, Term

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.models import ModelSpec


def answer_query(
    query: Query | Sequence[Term],
    options: SearchOptions,
    residence: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    *,
    use_resident: bool,
    notify: Callable[[str], None],
) -> SearchResult:
    """Answer a query; the resident process is started if it does not run.

    use_resident: False answers in this process, with the engine that start returns. So does a
    library that cannot have a resident process, because it is read-only.
    notify: called with a line of text before what takes a while.
    Errors: those of Library.find; EngineError if the resident process cannot be started.
    """
    if use_resident and can_be_resident(residence.library_folder):
        return client.search(residence, query, options, notify)
    from searchapp.library import Library

    with Library.open(residence.library_folder, start=start, tell=notify) as library:
        return library.find(query, options)
