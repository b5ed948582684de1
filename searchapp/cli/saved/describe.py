"""Describe a saved search in words."""

from __future__ import annotations

from searchapp.types import SavedSearch, SavedTerm
from searchapp.types.saved_search import options_to_dict


def describe_question(search: SavedSearch) -> str:
    """Return the question and the options of a saved search in one line."""
    question = " ".join(map(_describe_term, search.terms)).removeprefix("+ ")
    options = ", ".join(f"{name} {_format(value)}" for name, value in list_options(search))
    return "; ".join(filter(None, (question, options)))


def list_options(search: SavedSearch) -> list[tuple[str, object]]:
    """Return the names and values of the options that a saved search sets."""
    return list(options_to_dict(search.options).items())


def _describe_term(term: SavedTerm) -> str:
    picture = term.image or (f"picture {term.image_key[:12]}" if term.image_key else None)
    if term.is_liked is not None:
        return f"{'like' if term.is_liked else 'unlike'} {picture}"
    if picture is not None and term.region is not None:
        picture = f"{picture} ({term.region})"
    sign = "-" if term.weight < 0 else "+"
    weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} × "
    return f"{sign} {weight}{' + '.join(filter(None, (term.text, picture)))}"


def _format(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
