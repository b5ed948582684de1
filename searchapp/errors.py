"""Every error that searchapp states: a message names the thing, the cause and the remedy."""

from __future__ import annotations


class SearchAppError(Exception):
    """Stop with a message for the user; exit_code is the process's exit status."""

    exit_code = 1


class Interrupted(SearchAppError):
    """Say where Ctrl-C has left things."""

    exit_code = 130


class LibraryError(SearchAppError):
    """Say that the library cannot be opened, or not written to just now."""


class VectorsError(LibraryError):
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
