"""Errors survive JSON on the way to another process, with kind, message and exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from searchapp import errors
from searchapp.errors import (
    EngineError,
    PictureError,
    QueryError,
    SearchAppError,
    error_from_dict,
    error_to_dict,
)


@pytest.mark.parametrize("kind", errors.KINDS.values(), ids=errors.KINDS)
def test_error_survives_json(kind: type[SearchAppError]) -> None:
    """Kind, message and exit code stay the same."""
    values = json.loads(json.dumps(error_to_dict(kind("no pictures"))))
    error = error_from_dict(values)
    assert (type(error), str(error), error.exit_code) == (kind, "no pictures", kind.exit_code)


def test_kinds_lists_every_error_class() -> None:
    """A class that is missing in KINDS becomes a plain SearchAppError in the other process."""
    defined = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SearchAppError)
    }
    assert defined == errors.KINDS


def test_picture_error_keeps_its_stage() -> None:
    """The stage is read, fetch, decode or embed."""
    error = error_from_dict(error_to_dict(PictureError("a.jpg: truncated", "read")))
    assert isinstance(error, PictureError)
    assert error.stage == "read"


@pytest.mark.parametrize("kind", ["SystemExit", "KINDS", "Mapping", "os.system", "", None, 7])
def test_unknown_kind_becomes_a_plain_error(kind: Any) -> None:
    """Only classes in KINDS are created, whatever name another process sends."""
    error = error_from_dict({"detail": "x", "kind": kind, "exit_code": 2})
    assert (type(error), str(error), error.exit_code) == (SearchAppError, "x", 2)


@pytest.mark.parametrize("code", [0, -1, 256, "2", None])
def test_invalid_exit_code_is_replaced(code: Any) -> None:
    """An error never ends the process with exit code 0, which means success."""
    assert error_from_dict({"detail": "x", "exit_code": code}).exit_code == 1
    assert error_from_dict({"kind": QueryError.__name__, "exit_code": code}).exit_code == 2


def test_unlisted_subclass_becomes_a_plain_error() -> None:
    """Some subclasses exist only in the server, for example the error while an engine starts."""

    class Starting(EngineError):
        pass

    assert type(error_from_dict(error_to_dict(Starting("soon")))) is SearchAppError
