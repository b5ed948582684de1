"""Ask the resident process for what the tools of an assistant show; all answers are bounded.

A tool names a picture by its id, never by a path. So no tool reads a file outside the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from searchapp.errors import EngineError
from searchapp.server import client
from searchapp.server.mcp_tools import bounded_answers
from searchapp.server.search_fields import format_options
from searchapp.server.start_resident import ResidentConfig
from searchapp.server.unix_http import (
    API_PREFIX,
    MEDIA_TYPE_KEY,
    PICTURE_KEY,
    get_object,
    get_picture,
)
from searchapp.types import Filter, Query, SearchOptions

Notify = Callable[[str], None]
THUMBNAIL_SIDE_PX = 640


@dataclass(frozen=True, slots=True)
class LibraryRequests:
    """Read-only questions about one library, answered by its resident process.

    Each method raises SearchAppError: the errors of the process, and those of its start.
    notify: called with a line of text before each slow step.
    """

    config: ResidentConfig

    def search(self, text: str, options: SearchOptions, notify: Notify) -> dict[str, Any]:
        """Return the pictures that a text finds, best first."""
        found = client.search(self.config, Query(text), options, notify)
        return {
            "good_match": found.good,
            "warnings": bounded_answers.shorten_texts(found.warnings),
            **bounded_answers.describe_hits([hit.to_dict() for hit in found.hits]),
        }

    def find_similar(
        self, image_id: int, filters: Filter, collection: str | None, count: int, notify: Notify
    ) -> dict[str, Any]:
        """Return the pictures nearest to a picture of the library, which comes first."""
        path = f"/similar/{image_id}?{_make_parameters(filters, collection, count=count)}"
        return bounded_answers.describe_hits(self._get(path, notify)["hits"])

    def count_facets(
        self, filters: Filter, collection: str | None, find: str, notify: Notify
    ) -> dict[str, Any]:
        """Return the values to filter by, with the number of pictures of each value."""
        answer = self._get(f"/facets?{_make_parameters(filters, collection, find=find)}", notify)
        return bounded_answers.describe_facets(answer)

    def describe_library(self, notify: Notify) -> dict[str, Any]:
        """Return the size, dates, folders and model of the library."""
        return bounded_answers.describe_library(self._get("/info", notify))

    def load_thumbnail(self, image_id: int, notify: Notify) -> tuple[bytes, str, dict[str, Any]]:
        """Return a thumbnail, its media type, and what the library knows of the picture."""
        details = self._get(f"/pictures/{image_id}", notify)
        answer = self._get(
            f"/thumbnails/{image_id}?size={THUMBNAIL_SIDE_PX}", notify, get=get_picture
        )
        if PICTURE_KEY not in answer:
            raise EngineError("the resident process sent no picture. Try again.")
        return (
            answer[PICTURE_KEY],
            answer[MEDIA_TYPE_KEY],
            bounded_answers.describe_picture(details),
        )

    def _get(
        self,
        path: str,
        notify: Notify,
        get: Callable[[Path, str, Mapping[str, str]], tuple[int, dict[str, Any]]] = get_object,
    ) -> dict[str, Any]:
        path, library = API_PREFIX + path, self.config.library_folder
        try:
            status, answer = client.repeat_request(
                self.config, path, lambda headers: get(library, path, headers), notify
            )
        except client.ResidentDiedError as error:
            raise EngineError(f"{error}. Try again.") from error
        if status != 200:
            raise client.read_error(answer)
        return answer


def _make_parameters(filters: Filter, collection: str | None, **others: object) -> str:
    """Return the conditions of a filter as the parameters of a URL; leave out empty ones."""
    values = format_options({each.name: getattr(filters, each.name) for each in fields(Filter)})
    values |= {"collection": collection, **others}
    given = {name: value for name, value in values.items() if value not in (None, (), [], False)}
    return urlencode(given, doseq=True, errors="surrogateescape")
