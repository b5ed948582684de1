"""What people are shown of a file: a picture, or a frame of a video."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from searchapp.files import storage
from searchapp.pictures import decode, video

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Wanted = TypeVar("Wanted")
Shown = TypeVar("Shown")


def thumbnail(path: str, side: int, seconds: float | None = None) -> Picture:
    """Return a file's picture: upright, RGB, at most side by side pixels; PictureError.

    seconds: of a video, when the frame is shown.
    """
    if seconds is not None:
        return video.still(path, seconds, side)
    return decode.thumbnail(storage.read(path)[0], side)


def ahead(show: Callable[[Wanted], Shown], wanted: Iterable[Wanted]) -> Iterator[Shown]:
    """Yield what is shown of each, in order, made by several threads that are somewhat ahead."""
    rest = iter(wanted)
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Shown]] = deque()
        for each in islice(rest, 4 * threads):
            begun.append(pool.submit(show, each))
        while begun:
            yield begun.popleft().result()
            for each in islice(rest, 1):
                begun.append(pool.submit(show, each))
