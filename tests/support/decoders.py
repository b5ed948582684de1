"""A decoder that gets stuck."""

from __future__ import annotations

import time
from pathlib import Path

from searchapp.pictures import decode
from searchapp.pictures.decode import Prepared
from searchapp.pictures.model_size import ImageInput

STUCK = ("03.png", "04.png", "11.png")


PREPARE = decode.prepare


def stuck_on(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in STUCK]


class SleepingDecoder:
    """Does not come back from some pictures, as a decoder in C that goes round in circles."""

    def __init__(self, folder: Path) -> None:
        self._stuck = stuck_on(folder)

    def __call__(self, data: bytes, target: ImageInput, max_megapixels: float) -> Prepared:
        if data in self._stuck:
            time.sleep(600)
        return PREPARE(data, target, max_megapixels)
