"""Answer a query in the library's resident process, or in this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from searchapp.files.library_folder import may_be_resident
from searchapp.server import client
from searchapp.server.client import Residence
from searchapp.types import Answer, Query, SearchOptions, Term

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.models import ModelSpec


def answer_query(
    query: Query | Sequence[Term],
    options: SearchOptions,
    residence: Residence,
    start: Callable[[ModelSpec], Engine],
    *,
    use_resident: bool,
    notify: Callable[[str], None],
) -> Answer:
    """Answer a query; the resident process is started if it does not run.

    use_resident: False answers in this process, with the engine that start returns. So does a
    library that cannot have a resident process, because it is read-only.
    notify: called with a line of text before what takes a while.
    Errors: those of Library.find; EngineError if the resident process cannot be started.
    """
    if use_resident and may_be_resident(residence.library):
        return client.search(residence, query, options, notify)
    from searchapp.library import Library

    with Library.open(residence.library, start=start, tell=notify) as library:
        return library.find(query, options)
