"""The events of watching folders; `event_name` is the public name in `watch --json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from searchapp.types import Failure, RunSummary


@dataclass(frozen=True, slots=True)
class ChangesIndexed:
    """Event: changes below a folder were indexed."""

    event_name: ClassVar[str] = "batch"

    folder: str
    summary: RunSummary
    failures: tuple[Failure, ...] = ()  # that are not retried
    again: int = 0  # failed files that are retried soon, because they may be incomplete


@dataclass(frozen=True, slots=True)
class FolderUnavailable:
    """Event: a folder is missing or suddenly empty; the library forgets none of its files."""

    event_name: ClassVar[str] = "away"

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class FolderAvailableAgain:
    """Event: a folder that was unavailable is back, and was scanned."""

    event_name: ClassVar[str] = "back"

    folder: str


@dataclass(frozen=True, slots=True)
class BatchPostponed:
    """Event: the changes in a folder could not be indexed; indexing is tried again soon."""

    event_name: ClassVar[str] = "waiting"

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class PollingStarted:
    """Event: the system does not report changes in a folder, so the folder is polled."""

    event_name: ClassVar[str] = "polling"

    folder: str
    seconds: float  # between two scans
    reason: str


@dataclass(frozen=True, slots=True)
class LinksUpdated:
    """Event: the folder of links of a saved search was brought up to date."""

    event_name: ClassVar[str] = "links"

    folder: str
    search: str  # name
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class LinksOutdated:
    """Event: the folder of links of a saved search could not be brought up to date."""

    event_name: ClassVar[str] = "outdated_links"

    folder: str
    search: str  # name
    reason: str


WatchEvent = (
    ChangesIndexed
    | FolderUnavailable
    | FolderAvailableAgain
    | BatchPostponed
    | PollingStarted
    | LinksUpdated
    | LinksOutdated
)
