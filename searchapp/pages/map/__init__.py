"""Write a map of a collection: one page of thumbnails, similar pictures next to each other."""

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
from searchapp.pages.map.write_map import TILE_SIDE_PX, PictureMap, Tile, write_map
from searchapp.pictures import thumbnails
from searchapp.types import SearchOptions, WorkStep, format_count

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class MapWritten:
    """Event: the HTML file of the map is written."""

    pictures: int  # on the page
    matching: int  # pictures in the collection that match the filter
    unreadable: int  # pictures left out because their files cannot be read


def make_map(
    library: Library, file: Path, options: SearchOptions, max_pictures: int
) -> Iterator[WorkStep | MapWritten]:
    """Write a map of the pictures that match a filter; yield progress events, then MapWritten.

    Errors: those of arrange_map, and SearchAppError if the file cannot be written.
    """
    for event in arrange_map(library, options, max_pictures):
        if isinstance(event, WorkStep):
            yield event
        else:
            write_map(file, event)
            yield MapWritten(len(event.tiles), event.matching, event.unreadable)


def arrange_map(
    library: Library, options: SearchOptions, max_pictures: int
) -> Iterator[WorkStep | PictureMap]:
    """Arrange the pictures that match a filter; yield progress events, then the map.

    If more than max_pictures match, each picture on the map represents a cluster of similar
    pictures.
    Errors: QueryError if no picture matches, or if no picture can be read; LibraryError.
    """
    collection, ids = library.reader.find_matching(options)
    if not len(ids):
        if not options.has_conditions:
            raise QueryError("there are no pictures for a map; run `searchapp index FOLDER` first")
        raise QueryError(
            "; ".join(library.reader.list_warnings(options.base_filter))
            or "no picture for the map matches the filter; use another filter"
        )
    yield WorkStep(f"choosing pictures for the map from {len(ids):,}")
    reader = library.reader
    chosen = choose_pictures(
        ids, lambda page_ids: reader.read_vectors(collection, page_ids), max_pictures
    )
    located_by_id = reader.locate_images(chosen.ids.tolist())
    numbers = [number for number, id in enumerate(chosen.ids.tolist()) if id in located_by_id]
    images = [located_by_id[int(chosen.ids[number])] for number in numbers]
    tiles, tile_numbers = list[Tile](), list[int]()
    rendered = thumbnails.render_ahead(_read_thumbnail, images)
    for done, (number, image, result) in enumerate(zip(numbers, images, rendered, strict=True), 1):
        if result is not None:
            path, thumbnail = result
            represents = int(chosen.represents[number])
            taken_at = image.get_file_info(path).taken_at
            tiles.append(Tile(path, thumbnail, taken_at, represents, image.image_id))
            tile_numbers.append(number)
        yield WorkStep("making thumbnails", done, len(images))
    if not tiles:
        raise QueryError(
            "no picture for the map can be read. Check that the drive of the pictures is mounted."
        )
    yield WorkStep(f"arranging {format_count(len(tiles), 'picture')}")
    cells = snap_to_grid(compute_layout(chosen.coordinates[tile_numbers]))
    subtitle = f"{format_count(len(tiles), 'picture')}; similar pictures are next to each other"
    if len(chosen.ids) < len(ids):
        subtitle = (
            f"{len(tiles):,} of {format_count(len(ids), 'picture')}; each represents a group of "
            "similar pictures"
        )
    yield PictureMap(
        tiles, cells, collection.name, subtitle, len(ids), len(chosen.ids) - len(tiles)
    )


def _read_thumbnail(located: LocatedImage) -> tuple[str, Picture] | None:
    """Return the path and thumbnail of an image's first readable file; None if there is none."""
    for original in located.originals:
        try:
            return original.path, thumbnails.make_thumbnail(original, TILE_SIDE_PX)
        except PictureError:
            continue
    return None
