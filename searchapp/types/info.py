"""What a library tells of itself, and of what was done to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What info tells of a collection."""

    name: str
    model: str
    revision: str
    dimensions: int
    images: int
    failures: int
    last_run: str | None  # when its last complete run ended, ISO 8601, UTC
    index_bytes: int
    index: str = "exact"  # what the index file is: exact, or a FAISS factory string
    index_wanted: str = "auto"  # what the user wants: exact, auto or a factory string
    index_images: int = 0  # in the index file; the others are found all the same
    index_trained: int = 0  # images there were when it was made
    vectors: str = "faiss"  # what answers: a FAISS file, or where in Milvus
    vectors_wanted: str = "faiss"  # where the vectors are to be


@dataclass(frozen=True, slots=True)
class Month:
    """The pictures of a month."""

    month: str  # 2023-06
    images: int
    by_file: int  # of these: by their files' dates


@dataclass(frozen=True, slots=True)
class Facet:
    """The values that pictures have of one kind, and how many have each: the most first."""

    values: tuple[tuple[str, int], ...]
    more: int  # values that are left out


@dataclass(frozen=True, slots=True)
class Facets:
    """What a collection's pictures can be filtered by, and how many there are of each."""

    images: int  # that fulfil the filter, as the counts do: each but for its own kind
    months: tuple[Month, ...]  # those there are, in their order
    folders: Facet  # path, and how many images have a file right in it
    cameras: Facet
    lenses: Facet
    keywords: Facet
    ratings: Facet
    formats: Facet


@dataclass(frozen=True, slots=True)
class Overview:
    """Where a library's pictures are, and of which days."""

    folders: tuple[tuple[str, int], ...]  # path, and how many images have a file right in it
    first_date: str | None  # ISO 8601, the day
    last_date: str | None


EXPORT_FORMAT_VERSION = 1  # the version of what export writes


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """What an exported collection's vectors were made with."""

    model: str
    revision: str
    dimensions: int
    settings: str
    searchapp: int = EXPORT_FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that check found wrong."""

    what: str
    remedy: str = ""  # what the user is to do, where something is left to do
    mended: bool = False


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What import added."""

    collection: str
    images: int  # that it had no embedding of
    files: int  # that are there


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What prune removed, or would."""

    files: int = 0  # that are not there any more
    images: int = 0  # that no file holds
    embeddings: int = 0  # of those
    thumbnails: int = 0
    compacted: bool = False  # the catalogue was written anew, without unused space


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What info tells of a library."""

    path: Path
    images: int
    files: int
    catalog_bytes: int
    collections: tuple[CollectionInfo, ...] = field(default=())
