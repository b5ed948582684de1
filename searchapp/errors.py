"""Exceptions with a message for the user, and their JSON form for other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SearchAppError(Exception):
    """Base class of all expected errors; the message states what happened, why, and what to do.

    exit_code: exit status of the command line program after this error.
    """

    exit_code = 1


STOPPED_MESSAGE = "stopped. Finished work is saved; run the same command again to continue"


class Interrupted(SearchAppError):
    """Ctrl-C stopped the command; the message states what is saved."""

    exit_code = 130

    def __init__(self, message: str = STOPPED_MESSAGE) -> None:
        """Create the error; the default message is that of work that continues where it stopped."""
        super().__init__(message)


class LibraryError(SearchAppError):
    """The library cannot be opened, read or written."""


class ReadOnlyError(LibraryError):
    """The library cannot be changed: its disk, its folder or its files are read-only."""


class VectorStoreError(LibraryError):
    """The vector store (FAISS file or Milvus) cannot be used or does not answer."""


class LockedError(LibraryError):
    """Another process holds the library's write lock."""


class FolderError(SearchAppError):
    """A folder to index is missing, unreadable, or unexpectedly empty."""


class ModelError(SearchAppError):
    """A model is unknown, incomplete, not available, or not the model of the collection."""


class UnsupportedModality(ModelError):
    """The model cannot embed this kind of query, such as a text with a picture."""


class EngineError(SearchAppError):
    """The engine, which runs the model, cannot start, or has stopped working."""


class QueryError(SearchAppError):
    """A query, a filter or an option is invalid."""

    exit_code = 2


class NameTakenError(QueryError):
    """A saved search has this name already."""


class PictureError(SearchAppError):
    """A picture cannot be used.

    stage: read, fetch, decode or embed, where the error occurred. index_remedy: an option of
    `index` and `watch` that accepts the picture. Other commands do not have it, so that it is not
    part of the message.
    """

    def __init__(self, message: str, stage: str = "decode", index_remedy: str = "") -> None:
        super().__init__(message)
        self.stage, self.index_remedy = stage, index_remedy


KINDS: dict[str, type[SearchAppError]] = {
    kind.__name__: kind
    for kind in (
        SearchAppError,
        Interrupted,
        LibraryError,
        ReadOnlyError,
        VectorStoreError,
        LockedError,
        FolderError,
        ModelError,
        UnsupportedModality,
        EngineError,
        QueryError,
        NameTakenError,
        PictureError,
    )
}


def error_to_dict(error: SearchAppError) -> dict[str, Any]:
    """Convert an error to JSON values, to send it to another process or an HTTP client.

    The message is in "detail": FastAPI uses this key, and HTTP clients expect it.
    """
    values = {
        "detail": str(error),
        "exit_code": error.exit_code,
        "kind": type(error).__name__,
    }
    return {**values, "stage": error.stage} if isinstance(error, PictureError) else values


def error_from_dict(values: Mapping[str, Any]) -> SearchAppError:
    """Create the error that another process sent as JSON values.

    An unknown "kind" in values becomes a plain SearchAppError.
    """
    message = str(values.get("detail", "The other process reported an error without a message."))
    kind = KINDS.get(str(values.get("kind")), SearchAppError)
    error = kind(message)
    if isinstance(error, PictureError):
        error.stage = str(values.get("stage", error.stage))
    exit_code = values.get("exit_code")
    if isinstance(exit_code, int) and 0 < exit_code < 256:  # Exit code 0 would mean success.
        error.exit_code = exit_code
    return error
