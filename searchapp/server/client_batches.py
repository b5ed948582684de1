"""Ask the resident process several questions in one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from searchapp.errors import SearchAppError
from searchapp.files.library_folder import require_library
from searchapp.server import client
from searchapp.server.search_fields import SearchForm
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import SearchQuestion, SearchResult

MAX_REQUEST_BYTES = 48 << 20  # size of the pictures in one request


def search_many(
    config: ResidentConfig, questions: Sequence[SearchQuestion], notify: Callable[[str], None]
) -> list[SearchResult | SearchAppError]:
    """Search in the resident process, as search() does, for several questions.

    Return for each question its result, or the error that it alone has. Raises EngineError, and
    the other errors that all questions have.
    """
    require_library(config.library_folder)
    outcomes = dict[int, SearchResult | SearchAppError]()
    waiting = dict[int, SearchForm]()
    first_number = 0
    for number, question in enumerate(questions):
        try:
            form = waiting[number] = SearchForm.read(question, first_number)
        except SearchAppError as error:
            outcomes[number] = error
            continue
        first_number += len(form.terms)
        if sum(form.picture_bytes for form in waiting.values()) > MAX_REQUEST_BYTES:
            outcomes |= _post_searches(config, waiting, notify)
            waiting = {}
    if waiting:
        outcomes |= _post_searches(config, waiting, notify)
    return [outcomes[number] for number in range(len(questions))]


def _post_searches(
    config: ResidentConfig, forms: Mapping[int, SearchForm], notify: Callable[[str], None]
) -> dict[int, SearchResult | SearchAppError]:
    """Post several searches in one request; return their outcomes by the same numbers."""
    body = {"searches": [form.body for form in forms.values()]}
    pictures = dict(item for form in forms.values() for item in form.pictures.items())
    answer = client.post_form(config, "searches", body, pictures, (), notify)
    return {
        number: client.read_result(found) if error is None else client.read_error(error, form.terms)
        for (number, form), found, error in zip(
            forms.items(), answer["answers"], answer["errors"], strict=True
        )
    }
