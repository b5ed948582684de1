"""A saved search: a name for a question and its filters, and its form in JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from searchapp.errors import QueryError
from searchapp.types.filter_values import FilterValue
from searchapp.types.region import Region
from searchapp.types.search import SearchOptions
from searchapp.types.valid_text import check_text

MAX_NAME_CHARACTERS = 100
# A page of the result, and the permission to run code of a model, are decided at each run.
NOT_SAVED = frozenset({"offset", "trust_remote_code"})


@dataclass(frozen=True, slots=True)
class SavedTerm:
    """Term of a saved question: a text, a picture, or both as one prompt; or an example.

    A picture is either a file or URL, which is read at each run, or an image of the library.
    """

    text: str | None = None
    image: str | None = None  # absolute path or URL
    # SHA-256 of the picture, or the key of a video frame: ids differ from library to library.
    image_key: str | None = None
    weight: float = 1.0
    region: Region | None = None  # part of the picture
    is_liked: bool | None = None  # of an example, see types.Example; None: a term of the sum

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SavedTerm:
        """Create a term from a dictionary of JSON values.

        Raises QueryError or TypeError if a value is not valid.
        """
        region = values.get("region")
        return cls(**{**values, "region": None if region is None else Region.parse(region)})

    def to_dict(self) -> dict[str, Any]:
        """Return the term as a dictionary of JSON values, without the parts it lacks."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _to_json(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """Question and filters under a name; each run finds what the library holds now."""

    name: str
    terms: tuple[SavedTerm, ...]  # empty: all pictures that match the filters, newest first
    options: SearchOptions
    link_folder: str | None = None  # folder with links to the hits; None: no links
    id: int = 0
    created_at: str = ""  # ISO 8601, UTC

    def to_dict(self) -> dict[str, Any]:
        """Return the saved search as a dictionary of JSON values, as `saved --json` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "terms": [term.to_dict() for term in self.terms],
            "options": options_to_dict(self.options),
            "link_folder": self.link_folder,
            "created_at": self.created_at,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SavedSearch:
        """Create a saved search of another library, without id, time and folder of links.

        Raises QueryError, KeyError or TypeError if a value is not valid.
        """
        terms = tuple(map(SavedTerm.from_dict, values["terms"]))
        return cls(normalize_name(values["name"]), terms, options_from_dict(values["options"]))


def normalize_name(name: str) -> str:
    """Return the name of a saved search in one Unicode form, without spaces around it.

    Raises QueryError if it is empty, too long, or has characters that cannot be printed.
    """
    check_text("the name of the saved search", name)
    normalized = unicodedata.normalize("NFC", name).strip()
    if not normalized or len(normalized) > MAX_NAME_CHARACTERS or not normalized.isprintable():
        raise QueryError(
            f"{name[:MAX_NAME_CHARACTERS]!r} cannot be the name of a saved search. Choose a name "
            f"of 1 to {MAX_NAME_CHARACTERS} printable characters."
        )
    return normalized


def options_to_dict(options: SearchOptions) -> dict[str, Any]:
    """Return the options that differ from the defaults as JSON values.

    A date, a rating or a place is a text, as the user wrote it: see FilterValue.
    """
    values = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name not in NOT_SAVED
    }
    default = SearchOptions()
    return {
        name: _to_json(value) for name, value in values.items() if value != getattr(default, name)
    }


def options_from_dict(values: Mapping[str, Any]) -> SearchOptions:
    """Create options from a dictionary of JSON values.

    Raises QueryError if a value is not valid, or if this version does not know an option.
    """
    if unknown := values.keys() - {field.name for field in fields(SearchOptions)}:
        raise QueryError(f"the option {', '.join(sorted(unknown))} is unknown in this version")
    parsed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return SearchOptions(**parsed)


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    return str(value) if isinstance(value, FilterValue | Path) else value
