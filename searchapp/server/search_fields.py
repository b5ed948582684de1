"""Write a query and its options as the fields of a request to the resident process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from searchapp.errors import ModelError, PictureError, QueryError
from searchapp.files import fetch_url, storage
from searchapp.files.enter_path import resolve_if_exists
from searchapp.types import Example, PictureName, SearchOptions, SearchQuestion, Term
from searchapp.types.filter_values import FilterValue, list_values


@dataclass(frozen=True, slots=True)
class SearchForm:
    """Search as the resident process takes it: its fields, and the bytes of its pictures."""

    terms: Sequence[Term]
    body: dict[str, Any]
    pictures: dict[str, bytes]  # by the names of their form parts

    @classmethod
    def read(cls, question: SearchQuestion, first_number: int = 0) -> Self:
        """Read the pictures of a question; first_number: of its terms, in the request.

        Raises QueryError, ModelError and PictureError.
        """
        terms = question.list_terms()
        body = build_search_fields(terms, question.options, first_number)
        pictures = {
            name_picture_field(number): fetch_url.read_query_image(term.query.image)
            for number, term in enumerate(terms, first_number)
            if isinstance(term.query.image, (str, Path))
        }
        return cls(terms, body | build_example_fields(question.examples), pictures)

    @property
    def picture_bytes(self) -> int:
        """Return the size of all pictures."""
        return sum(map(len, self.pictures.values()))


def name_picture_field(number: int) -> str:
    """Return the name of the multipart form part that holds the picture of a query term."""
    return f"picture{number}"


def build_search_fields(
    terms: Sequence[Term], options: SearchOptions, first_number: int = 0
) -> dict[str, Any]:
    """Return the fields of a query and its options, without the pictures of the query.

    first_number: of the terms of the query, in the request.
    """
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        "terms": [
            {
                "text": term.query.text,
                "weight": term.weight,
                "region": _format_value(term.query.region),
                **_build_picture_field(number, term.query.image),
            }
            for number, term in enumerate(terms, first_number)
        ],
        **format_options(values),
        "one_prompt": True,
    }


def format_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON values; paths are absolute, because the process has another folder."""
    formatted: dict[str, Any] = {name: _format_value(value) for name, value in values.items()}
    if "folder" in values:
        folders = list_values(values["folder"])
        formatted["folder"] = [storage.normalize_folder(folder, QueryError) for folder in folders]
    for name in ("model", "reranker"):
        if formatted.get(name) is not None:
            formatted[name] = resolve_if_exists(formatted[name], ModelError)
    return formatted


def _build_picture_field(number: int, image: PictureName | None) -> dict[str, Any]:
    """Return the field of a term that says which picture it has; none for a term of words."""
    if image is None:
        return {}
    return {"image_id": image} if isinstance(image, int) else {"image": name_picture_field(number)}


def build_example_fields(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the fields with the ids of images of the library, and with paths of files.

    The process reads the files itself, because it may know them already, even on a drive that is
    not mounted now.
    """
    fields: dict[str, list[int | str]] = {
        "like": [], "unlike": [], "like_files": [], "unlike_files": [],
    }  # fmt: skip
    for example in examples:
        name, image = "like" if example.is_liked else "unlike", example.image
        if isinstance(image, int):
            fields[name].append(image)
        else:
            fields[f"{name}_files"].append(
                storage.normalize_folder(image, lambda message: PictureError(message, "read"))
            )
    return fields


def _format_value(value: object) -> object:
    """Return a date, rating or place as text, which the server parses; keep other values."""
    if isinstance(value, tuple):
        return [_format_value(item) for item in value]
    return str(value) if isinstance(value, FilterValue) else value
