"""Every error that searchapp states: a message names the thing, the cause and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SearchAppError(Exception):
    """Stop with a message for the user; exit_code is the process's exit status."""

    exit_code = 1


class Interrupted(SearchAppError):
    """Say where Ctrl-C has left things."""

    exit_code = 130


class LibraryError(SearchAppError):
    """Say that the library cannot be opened, or not written to just now."""


class VectorStoreError(LibraryError):
    """Say that vectors cannot be kept where they are to be, or not be reached there."""


class LockedError(LibraryError):
    """Say that another process writes to the library just now."""


class FolderError(SearchAppError):
    """Say that a folder to index is missing, unreadable, or suspiciously empty."""


class ModelError(SearchAppError):
    """Say that a model is unknown, incomplete, out of reach, or not the collection's."""


class UnsupportedModality(ModelError):
    """Say that the model cannot embed such a query."""


class EngineError(SearchAppError):
    """Say that the engine could not be started, or cannot go on."""


class QueryError(SearchAppError):
    """Say that a query cannot be asked as it stands."""

    exit_code = 2


class PictureError(SearchAppError):
    """Say why one picture cannot be used; stage is read, fetch, decode or embed."""

    def __init__(self, message: str, stage: str = "decode") -> None:
        super().__init__(message)
        self.stage = stage


KINDS: dict[str, type[SearchAppError]] = {
    kind.__name__: kind
    for kind in (
        SearchAppError,
        Interrupted,
        LibraryError,
        VectorStoreError,
        LockedError,
        FolderError,
        ModelError,
        UnsupportedModality,
        EngineError,
        QueryError,
        PictureError,
    )
}


def error_to_dict(error: SearchAppError) -> dict[str, Any]:
    """Return an error as JSON values, for another process: a worker's parent, an HTTP client.

    detail is the message; HTTP clients know it by this name.
    """
    values = {
        "detail": str(error),
        "exit_code": error.exit_code,
        "kind": type(error).__name__,
    }
    return {**values, "stage": error.stage} if isinstance(error, PictureError) else values


def error_from_dict(values: Mapping[str, Any]) -> SearchAppError:
    """Make the error that another process sent; of an unknown kind: a plain SearchAppError."""
    message = str(values.get("detail", "the other process gave no reason"))
    kind = KINDS.get(str(values.get("kind")), SearchAppError)
    error = kind(message)
    if isinstance(error, PictureError):
        error.stage = str(values.get("stage", error.stage))
    exit_code = values.get("exit_code")
    if isinstance(exit_code, int) and 0 < exit_code < 256:  # never 0: that means success
        error.exit_code = exit_code
    return error
