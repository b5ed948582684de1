"""A map of a collection on one page: thumbnails, with similar pictures next to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.catalog import LocatedImage
from searchapp.errors import PictureError, QueryError
from searchapp.library import Library
from searchapp.pages.map.choose_pictures import choose_pictures
from searchapp.pages.map.layout import compute_layout, snap_to_grid
from searchapp.pages.map.write_map import TILE_SIDE, Tile, write_map
from searchapp.pictures import thumbnails
from searchapp.types import SearchOptions

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class MapStep:
    """Event: how far a step is; total is 0 if the step has no parts to count."""

    description: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class MapWritten:
    """Event: the page is written."""

    pictures: int  # on the page
    matching: int  # in the collection, that match the filter
    unreadable: int  # chosen, but left out because the file cannot be read now


def make_map(
    library: Library, file: Path, options: SearchOptions, max_pictures: int
) -> Iterator[MapStep | MapWritten]:
    """Write a map of the pictures that match a filter, and yield events; MapWritten is the last.

    Errors: QueryError if no picture matches or can be read, LibraryError, SearchAppError (the
    file cannot be written).
    """
    collection, ids = library.reader.find_matching(options)
    if not len(ids):
        raise QueryError("no picture for the map: none is indexed, or none matches the filter")
    yield MapStep(f"choosing from {len(ids):,} pictures")
    reader = library.reader
    chosen = choose_pictures(
        ids, lambda wanted: reader.read_vectors(collection, wanted), max_pictures
    )
    located = reader.locate_images(chosen.ids.tolist())
    located_numbers = [number for number, id in enumerate(chosen.ids.tolist()) if id in located]
    located_images = [located[int(chosen.ids[number])] for number in located_numbers]
    tiles, tile_numbers = list[Tile](), list[int]()
    for done, (number, each, loaded) in enumerate(
        zip(
            located_numbers,
            located_images,
            thumbnails.render_ahead(_read_thumbnail, located_images),
            strict=True,
        ),
        1,
    ):
        if loaded is not None:
            path, thumbnail = loaded
            tiles.append(Tile(path, thumbnail, each.info.taken_at, int(chosen.represents[number])))
            tile_numbers.append(number)
        yield MapStep("making thumbnails", done, len(located_images))
    if not tiles:
        raise QueryError("none of the pictures can be read now; check that their drive is mounted")
    yield MapStep(f"arranging {len(tiles):,} pictures")
    cells = snap_to_grid(compute_layout(chosen.coordinates[tile_numbers]))
    subtitle = f"{len(tiles):,} pictures; similar pictures are next to each other"
    if len(chosen.ids) < len(ids):
        subtitle = (
            f"{len(tiles):,} of {len(ids):,} pictures; each represents a group of similar pictures"
        )
    write_map(file, tiles, cells, collection.name, subtitle)
    yield MapWritten(len(tiles), len(ids), len(chosen.ids) - len(tiles))


def _read_thumbnail(located: LocatedImage) -> tuple[str, Picture] | None:
    """Return the first file of an image that can be read, and its thumbnail."""
    for path in located.paths:
        try:
            return path, thumbnails.make_thumbnail(path, TILE_SIDE, located.seconds)
        except PictureError:
            continue
    return None
