"""Write the map: one HTML file that contains its thumbnails and loads nothing."""

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
from searchapp.pages.html_template import jpeg_data_url, write_html

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TILE_SIDE = 128  # pixels
TILES_PER_ROW = 16  # of a sheet: phones decode no larger pictures
JPEG_QUALITY = 78


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture of the map."""

    path: str
    thumbnail: Picture  # RGB, at most TILE_SIDE by TILE_SIDE
    taken_at: str | None = None
    represents: int = 1  # pictures, itself included


def write_map(
    file: Path, tiles: Sequence[Tile], cells: NDArray[np.int32], title: str, subtitle: str
) -> None:
    """Write the page. cells: [tiles, 2], the column and row of each tile.

    Errors: SearchAppError if the file cannot be written.
    """
    folders = sorted({os.path.split(tile.path)[0] for tile in tiles})
    number = {folder: i for i, folder in enumerate(folders)}
    columns, rows = (cells.max(axis=0) + 1).tolist() if len(tiles) else (1, 1)
    data: dict[str, Any] = {
        "side": TILE_SIDE,
        "across": TILES_PER_ROW,
        "columns": columns,
        "rows": rows,
        "folders": [[folder, storage.path_to_uri(folder)] for folder in folders],
        "tiles": [
            [
                *cell, tile.thumbnail.width, tile.thumbnail.height,
                number[os.path.split(tile.path)[0]], Path(tile.path).name, _uri_name(tile.path),
                (tile.taken_at or "")[:10], tile.represents,
            ]
            for tile, cell in zip(tiles, cells.tolist(), strict=True)
        ],
        "sheets": [_sheet_url(part) for part in _split_into_sheets(tiles)],
    }  # fmt: skip
    write_html(file, "map.html", title=title, subtitle=subtitle, data=data)


def _uri_name(path: str) -> str:
    """Return a file's name as in its URI, whatever bytes it has."""
    return storage.path_to_uri(path).rpartition("/")[2]


def _split_into_sheets(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    size = TILES_PER_ROW * TILES_PER_ROW
    return [tiles[start : start + size] for start in range(0, len(tiles), size)]


def _sheet_url(tiles: Sequence[Tile]) -> str:
    """Return one JPEG with all tiles, row by row, as a data: URL."""
    from PIL import Image

    rows = math.ceil(len(tiles) / TILES_PER_ROW)
    sheet = Image.new("RGB", (TILES_PER_ROW * TILE_SIDE, rows * TILE_SIDE), "#808080")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, TILES_PER_ROW)
        sheet.paste(tile.thumbnail, (column * TILE_SIDE, row * TILE_SIDE))
    return jpeg_data_url(sheet, JPEG_QUALITY)
