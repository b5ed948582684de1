"""A decoder that gets stuck."""

from __future__ import annotations

import time
from pathlib import Path

from searchapp.pictures import decode
from searchapp.pictures.decode import PreparedPicture
from searchapp.pictures.model_size import ImageInput

STUCK_FILES = ("03.png", "04.png", "11.png")


REAL_PREPARE = decode.prepare_picture


def read_stuck_files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in STUCK_FILES]


class StuckDecoder:
    """Does not come back from some pictures, as a decoder in C that goes round in circles."""

    def __init__(self, folder: Path) -> None:
        self._stuck_contents = read_stuck_files(folder)

    def __call__(self, data: bytes, target: ImageInput, max_megapixels: float) -> PreparedPicture:
        if data in self._stuck_contents:
            time.sleep(600)
        return REAL_PREPARE(data, target, max_megapixels)
