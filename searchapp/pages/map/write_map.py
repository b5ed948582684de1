"""Write the HTML file of a map, which contains its thumbnails and loads nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchapp.files import storage
from searchapp.pages.html_template import encode_jpeg_url, write_html

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TILE_SIDE_PX = 128
TILES_PER_ROW = 16  # of a sheet of 2048 x 2048 pixels: phones may not decode larger pictures
JPEG_QUALITY = 78


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture on the map."""

    path: str
    thumbnail: Picture  # RGB, at most TILE_SIDE_PX by TILE_SIDE_PX
    taken_at: str | None = None  # ISO 8601
    represents: int = 1  # size of its cluster, including itself
    image_id: int = 0


@dataclass(frozen=True, slots=True)
class PictureMap:
    """The pictures of a map, and where they are."""

    tiles: Sequence[Tile]
    cells: NDArray[np.int32]  # [tiles, 2], the column and row of each tile
    title: str
    subtitle: str
    matching: int  # pictures in the collection that match the filter
    unreadable: int = 0  # pictures left out because their files cannot be read


def write_map(file: Path, picture_map: PictureMap) -> None:
    """Write the HTML file of a map. Errors: SearchAppError if the file cannot be written."""
    write_html(
        file,
        "map.html",
        title=picture_map.title,
        subtitle=picture_map.subtitle,
        data=make_map_data(picture_map),
    )


def make_map_data(picture_map: PictureMap) -> dict[str, Any]:
    """Return the values that the script map_canvas.js reads; they contain the thumbnails."""
    tiles, cells = picture_map.tiles, picture_map.cells
    folders = sorted({os.path.split(tile.path)[0] for tile in tiles})
    number_by_folder = {folder: number for number, folder in enumerate(folders)}
    columns, rows = (cells.max(axis=0) + 1).tolist() if len(tiles) else (1, 1)
    return {
        "side": TILE_SIDE_PX,
        "across": TILES_PER_ROW,
        "columns": columns,
        "rows": rows,
        "folders": [[folder, storage.path_to_uri(folder)] for folder in folders],
        "tiles": [
            [
                *cell, tile.thumbnail.width, tile.thumbnail.height,
                number_by_folder[os.path.split(tile.path)[0]], Path(tile.path).name,
                _make_uri_name(tile.path), (tile.taken_at or "")[:10], tile.represents,
                tile.image_id,
            ]
            for tile, cell in zip(tiles, cells.tolist(), strict=True)
        ],
        "sheets": [_encode_sheet(part) for part in _split_into_sheets(tiles)],
    }  # fmt: skip


def _make_uri_name(path: str) -> str:
    """Return a file's name percent-encoded, also if it is not valid UTF-8."""
    return storage.path_to_uri(path).rpartition("/")[2]


def _split_into_sheets(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    size = TILES_PER_ROW * TILES_PER_ROW
    return [tiles[start : start + size] for start in range(0, len(tiles), size)]


def _encode_sheet(tiles: Sequence[Tile]) -> str:
    """Return one JPEG with all tiles, row by row, as a data: URL."""
    from PIL import Image

    rows = math.ceil(len(tiles) / TILES_PER_ROW)
    sheet = Image.new("RGB", (TILES_PER_ROW * TILE_SIDE_PX, rows * TILE_SIDE_PX), "#808080")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, TILES_PER_ROW)
        sheet.paste(tile.thumbnail, (column * TILE_SIDE_PX, row * TILE_SIDE_PX))
    return encode_jpeg_url(sheet, JPEG_QUALITY)
