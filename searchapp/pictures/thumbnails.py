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

Item = TypeVar("Item")
Rendered = TypeVar("Rendered")


def make_thumbnail(path: str, side: int, seconds: float | None = None) -> Picture:
    """Return a file's picture: upright, RGB, at most side by side pixels; PictureError.

    seconds: of a video, when the frame is shown.
    """
    if seconds is not None:
        return video.extract_frame(path, seconds, side)
    return decode.decode_thumbnail(storage.read_file(path)[0], side)


def render_ahead(render: Callable[[Item], Rendered], items: Iterable[Item]) -> Iterator[Rendered]:
    """Yield what is shown of each, in order, made by several threads that are somewhat ahead."""
    remaining_items = iter(items)
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        futures: deque[Future[Rendered]] = deque()
        for each in islice(remaining_items, 4 * threads):
            futures.append(pool.submit(render, each))
        while futures:
            yield futures.popleft().result()
            for each in islice(remaining_items, 1):
                futures.append(pool.submit(render, each))
