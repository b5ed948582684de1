"""Statistics of a library, and the results of its upkeep: check, prune, export, import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchapp.types.filter_values import Area


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """Statistics of a collection, as `searchapp info` shows them."""

    name: str
    model: str
    revision: str
    dimensions: int
    images: int
    failures: int
    last_run: str | None  # end of the last complete index run, ISO 8601, UTC
    index_bytes: int
    index: str = "exact"  # kind of the current index: exact, or a FAISS factory string
    index_wanted: str = "auto"  # kind that the user requested: exact, auto or a factory string
    index_images: int = 0  # in the index; a search also finds images that are not yet in it
    index_trained: int = 0  # number of images when the index was built
    vectors: str = "faiss"  # current store: faiss, or the address in Milvus
    vectors_wanted: str = "faiss"  # store that the user requested
    outdated_colors: int = 0  # images that an older version embedded with other colors
    unknown_colors: int = 0  # images of which the next index run finds out whether this is so
    vector_file_bytes: int = 0  # disk space of the vectors beside the index; 0: no such file
    options: Mapping[str, Any] = field(default_factory=dict)  # of the model, if the user set them


@dataclass(frozen=True, slots=True)
class Month:
    """Number of images in one month."""

    month: str  # YYYY-MM
    images: int
    by_file: int  # images whose date is only the file's modification time


@dataclass(frozen=True, slots=True)
class Facet:
    """Values of one image field with the number of images for each value, most images first."""

    values: tuple[tuple[str, int], ...]
    more: int  # number of further values that are not listed


@dataclass(frozen=True, slots=True)
class Facets:
    """Values that can filter a collection, with the number of images for each value.

    A facet ignores the filter's condition on the field of the facet, so that users see other
    values.
    """

    images: int  # that match the filter
    months: tuple[Month, ...]  # in ascending order, without empty months
    folders: Facet  # path, and the number of images with a file directly in it
    cameras: Facet
    lenses: Facet
    keywords: Facet
    ratings: Facet
    formats: Facet
    places: tuple[tuple[int, int, int], ...] = ()  # square degree (south, west), and its images
    place_names: Facet = Facet((), 0)  # cities, regions and countries


NO_VALUES = Facet((), 0)
EMPTY_FACETS = Facets(0, (), NO_VALUES, NO_VALUES, NO_VALUES, NO_VALUES, NO_VALUES, NO_VALUES)


@dataclass(frozen=True, slots=True)
class PlaceCluster:
    """Images that were taken near each other, for a map."""

    area: Area  # the smallest rectangle with all of them
    images: int
    image_id: int  # one of them, to show


@dataclass(frozen=True, slots=True)
class Timeline:
    """Images that match a filter, newest first, grouped by day; undated images come last."""

    days: tuple[tuple[str, int], ...]  # YYYY-MM-DD or "" without a date; the number of images
    image_ids: tuple[int, ...]
    ratios: tuple[int, ...]  # width of each image in percent of its height, 10 to 1000


EMPTY_TIMELINE = Timeline((), (), ())


@dataclass(frozen=True, slots=True)
class Overview:
    """Folders and range of dates of a library's images."""

    folders: tuple[tuple[str, int], ...]  # path, and the number of images directly in it
    first_date: str | None  # YYYY-MM-DD; None: no image has a date
    last_date: str | None


EXPORT_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """Model and settings that made the vectors of an exported collection."""

    model: str
    revision: str
    dimensions: int
    settings: str
    searchapp: int = EXPORT_FORMAT_VERSION
    # Of the library, as SavedSearch.to_dict() returns them; missing in older exports.
    saved_searches: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault that `searchapp check` found in a library."""

    what: str
    remedy: str = ""  # what the user must do; empty: nothing
    mended: bool = False  # check has repaired it


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Numbers of images and of file paths that an import added to a collection."""

    collection: str
    images: int  # that had no embedding in the collection before
    files: int  # that exist on this machine


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a library holds after a backup was restored."""

    images: int
    files: int
    collections: int
    is_new: bool  # False: the backup replaced a catalog


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What Library.prune() removed, or would remove if it is a dry run."""

    files: int = 0  # that no longer exist
    images: int = 0  # that no file contains
    embeddings: int = 0  # of these images
    thumbnails: int = 0
    compacted: bool = False  # the catalog file was rewritten without unused space


# The license of GeoNames asks for it: https://creativecommons.org/licenses/by/4.0/
PLACE_NAMES_CREDIT = "place names by GeoNames (https://www.geonames.org), CC BY 4.0"


@dataclass(frozen=True, slots=True)
class PlacesInfo:
    """Number of images with a position, and how many of them have the name of a place."""

    positions: int
    named: int
    gazetteer: str | None  # name and version of the source of the names; None: no names yet


@dataclass(frozen=True, slots=True)
class TextStatistics:
    """Numbers of images by the state of the text recognition; a frame of a video is an image."""

    is_on: bool = False  # index runs recognize text
    with_text: int = 0
    without_text: int = 0
    failed: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """Statistics of a library, as `searchapp info` shows them."""

    path: Path
    images: int
    files: int
    catalog_bytes: int
    collections: tuple[CollectionInfo, ...] = field(default=())
    places: PlacesInfo = field(default=PlacesInfo(0, 0, None))
    text: TextStatistics = TextStatistics()
