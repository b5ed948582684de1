"""Errors that cross a process: one form, which restores the kinds that searchapp defines."""

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
def test_an_error_comes_back_from_json(kind: type[SearchAppError]) -> None:
    """With its kind, message and exit code."""
    values = json.loads(json.dumps(error_to_dict(kind("no pictures"))))
    error = error_from_dict(values)
    assert (type(error), str(error), error.exit_code) == (kind, "no pictures", kind.exit_code)


def test_every_error_of_the_package_is_known() -> None:
    """A kind that is missing in KINDS would arrive as a plain SearchAppError."""
    defined = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SearchAppError)
    }
    assert defined == errors.KINDS


def test_the_stage_of_a_picture_error_comes_back() -> None:
    """Read, fetch, decode or embed."""
    error = error_from_dict(error_to_dict(PictureError("a.jpg: truncated", "read")))
    assert isinstance(error, PictureError)
    assert error.stage == "read"


@pytest.mark.parametrize("kind", ["SystemExit", "KINDS", "Mapping", "os.system", "", None, 7])
def test_an_unknown_kind_is_a_plain_error(kind: Any) -> None:
    """Whatever a name says, only the known classes are made."""
    error = error_from_dict({"detail": "x", "kind": kind, "exit_code": 2})
    assert (type(error), str(error), error.exit_code) == (SearchAppError, "x", 2)


@pytest.mark.parametrize("code", [0, -1, 256, "2", None])
def test_an_exit_code_is_bounded(code: Any) -> None:
    """An error never ends the process with success."""
    assert error_from_dict({"detail": "x", "exit_code": code}).exit_code == 1
    assert error_from_dict({"kind": QueryError.__name__, "exit_code": code}).exit_code == 2


def test_a_subclass_arrives_as_a_plain_error() -> None:
    """Starting, for example, is known to the server alone."""

    class Starting(EngineError):
        pass

    assert type(error_from_dict(error_to_dict(Starting("soon")))) is SearchAppError
