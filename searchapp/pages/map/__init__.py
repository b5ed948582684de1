"""The collection on one page: a map of thumbnails in which what is alike lies together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.catalog import Located
from searchapp.errors import PictureError, QueryError
from searchapp.library import Library
from searchapp.pages.map.choose_pictures import choose
from searchapp.pages.map.layout import laid_out, on_grid
from searchapp.pages.map.render import SIDE, Tile, write_map
from searchapp.pictures import thumbnails
from searchapp.types import SearchOptions

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Step:
    """Event: so much of a step is done."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """Event: the page is written."""

    pictures: int  # in it
    of: int  # in the collection, as filtered
    left_out: int  # that cannot be read just now


def make_map(
    library: Library, file: Path, options: SearchOptions, most: int
) -> Iterator[Step | Made]:
    """Write the map of a collection's pictures, as filtered, at most so many of them.

    Errors: QueryError where there are none, LibraryError, SearchAppError (the file).
    """
    collection, ids = library.reader.find_matching(options)
    if not len(ids):
        raise QueryError("no picture to put on a map: none is indexed, or none fulfils the filter")
    yield Step(f"choosing of {len(ids):,} pictures")
    chosen = choose(ids, lambda wanted: library.reader.read_vectors(collection, wanted), most)
    located = library.reader.locate_images(chosen.ids.tolist())
    known = [number for number, id in enumerate(chosen.ids.tolist()) if id in located]
    wanted = [located[int(chosen.ids[number])] for number in known]
    tiles, kept = list[Tile](), list[int]()
    for done, (number, each, found) in enumerate(
        zip(known, wanted, thumbnails.ahead(_thumbnail, wanted), strict=True), 1
    ):
        if found is not None:
            path, thumbnail = found
            tiles.append(Tile(path, thumbnail, each.info.taken_at, int(chosen.stands_for[number])))
            kept.append(number)
        yield Step("thumbnails", done, len(wanted))
    if not tiles:
        raise QueryError("none of the pictures can be read just now; is their drive mounted?")
    yield Step(f"laying out {len(tiles):,} pictures")
    cells = on_grid(laid_out(chosen.points[kept]))
    told = f"{len(tiles):,} pictures, those that are alike beside each other"
    if len(chosen.ids) < len(ids):
        told = f"{len(tiles):,} pictures, each in the middle of a group, for {len(ids):,} in all"
    write_map(file, tiles, cells, collection.name, told)
    yield Made(len(tiles), len(ids), len(chosen.ids) - len(tiles))


def _thumbnail(located: Located) -> tuple[str, Picture] | None:
    for path in located.paths:
        try:
            return path, thumbnails.thumbnail(path, SIDE, located.seconds)
        except PictureError:
            continue
    return None
