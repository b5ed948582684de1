"""Write the map: one HTML file with the thumbnails in it, which asks nobody for anything."""

from __future__ import annotations

import html
import io
import json
import math
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchapp.errors import SearchAppError
from searchapp.files import storage
from searchapp.files.atomic import complete

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDE = 128  # pixels of a tile
ACROSS = 16  # tiles in a row of a sheet: phones take no larger pictures
QUALITY = 78


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture of the map."""

    path: str
    thumbnail: Picture  # RGB, at most SIDE by SIDE
    taken_at: str | None = None
    stands_for: int = 1  # pictures, itself among them


def write_map(
    file: Path, tiles: Sequence[Tile], cells: NDArray[np.int32], title: str, told: str
) -> None:
    """Write the page. cells: [n, 2], where each tile lies. told: a sentence on what is shown.

    Errors: SearchAppError where it cannot be written.
    """
    folders = sorted({os.path.split(tile.path)[0] for tile in tiles})
    number = {folder: i for i, folder in enumerate(folders)}
    columns, rows = (cells.max(axis=0) + 1).tolist() if len(tiles) else (1, 1)
    document: dict[str, Any] = {
        "side": SIDE,
        "across": ACROSS,
        "columns": columns,
        "rows": rows,
        "folders": [[folder, storage.uri(folder)] for folder in folders],
        "tiles": [
            [
                *cell, tile.thumbnail.width, tile.thumbnail.height,
                number[os.path.split(tile.path)[0]], Path(tile.path).name, _quoted(tile.path),
                (tile.taken_at or "")[:10], tile.stands_for,
            ]
            for tile, cell in zip(tiles, cells.tolist(), strict=True)
        ],
        "sheets": list(map(_sheet, _parts(tiles))),
    }  # fmt: skip
    data = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    template = (
        resources.files("searchapp.pages").joinpath("templates", "map.html").read_text("utf-8")
    )
    head, _, tail = template.partition("/*DATA*/null")
    head = head.replace("TITLE", html.escape(title)).replace("TOLD", html.escape(told))
    try:
        with complete(file) as temporary:
            temporary.write_text(f"{head}{data}{tail}", encoding="utf-8", errors="replace")
    except OSError as error:
        raise SearchAppError(f"{file} cannot be written: {error.strerror}") from error


def _quoted(path: str) -> str:
    """Return a file's name as it stands in a URI, whatever bytes it has."""
    return storage.uri(path).rpartition("/")[2]


def _parts(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    size = ACROSS * ACROSS
    return [tiles[start : start + size] for start in range(0, len(tiles), size)]


def _sheet(tiles: Sequence[Tile]) -> str:
    """Return tiles as one JPEG, row by row, as a URL of data."""
    from PIL import Image

    rows = math.ceil(len(tiles) / ACROSS)
    sheet = Image.new("RGB", (ACROSS * SIDE, rows * SIDE), "#808080")
    for number, tile in enumerate(tiles):
        sheet.paste(tile.thumbnail, (number % ACROSS * SIDE, number // ACROSS * SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
