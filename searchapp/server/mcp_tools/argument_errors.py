"""Explain to an assistant which argument of a tool is wrong, and what the tool accepts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from searchapp.server.mcp_tools.bounded_answers import MAX_LIST_ITEMS, shorten_text
from searchapp.server.request_models import FilterRequest

MAX_VALUE_CHARS = 100
# What is accepted, by the type of pydantic's error; the braces are filled with the error's context.
# https://docs.pydantic.dev/latest/errors/validation_errors/
ACCEPTED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer of 64 bits",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "string_unicode": "a text that UTF-8 can hold",
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "list_type": "a value or a list of values",
    "too_long": "a list of at most {max_length} values",
    "model_type": "an object with conditions, or null",
    "model_attributes_type": "an object with conditions, or null",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def explain_unknown_arguments(tool: str, unknown: Sequence[str], known: Sequence[str]) -> str:
    """Return a message about arguments that a tool does not have."""
    message = f"the tool {tool} has no argument {_join_names(unknown)}. "
    message += f"Its arguments are {', '.join(known)}." if known else "It has no arguments."
    if "filters" in known and not FilterRequest.model_fields.keys().isdisjoint(unknown):
        message += " Put conditions into filters."
    return message


def explain_invalid_arguments(tool: str, error: ValidationError) -> str:
    """Return a sentence for each invalid argument: its name, its value, and what is accepted."""
    errors = error.errors(include_url=False)
    unknown = [str(each["loc"][-1]) for each in errors if each["type"] == "extra_forbidden"]
    sentences = [
        _explain_argument(tool, each) for each in errors if each["type"] != "extra_forbidden"
    ]
    if unknown:
        known = ", ".join(FilterRequest.model_fields)
        sentences.append(
            f"filters has no condition {_join_names(unknown)}. Its conditions are {known}."
        )
    return " ".join(sentences[:MAX_LIST_ITEMS])


def _explain_argument(tool: str, error: Mapping[str, Any]) -> str:
    name = _name_argument(error["loc"])
    if error["type"] == "missing":
        return f"The tool {tool} needs the argument {name}."
    template = ACCEPTED.get(error["type"])
    if template is None:  # The message of a parsed text names the value and what to write.
        return f"The argument {name} cannot be used: {shorten_text(error['msg']).rstrip('.')}."
    limits = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in error.get("ctx", {}).items()
    }
    accepted = template.format_map(limits)
    return f"The argument {name} must be {accepted}, not {_format_value(error['input'])}."


def _name_argument(location: Sequence[int | str]) -> str:
    """Return the place of a value as an assistant writes it: filters.folder[1]."""
    first, *rest = location
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)
    return shorten_text(f"{first}{''.join(parts)}")


def _format_value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return shorten_text(text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…")


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(map(shorten_text, list(names)[:MAX_LIST_ITEMS]))
