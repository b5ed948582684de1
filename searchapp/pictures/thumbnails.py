"""Make thumbnails of files for people to see: of a picture, or of a frame of a video."""

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
    """Return an upright RGB thumbnail of a file; raise PictureError if it cannot be decoded.

    side: the longest side in pixels. seconds: the time of the frame, if the file is a video.
    """
    if seconds is not None:
        return video.extract_frame(path, seconds, side)
    return decode.decode_thumbnail(storage.read_file(path)[0], side)


def render_ahead(render: Callable[[Item], Rendered], items: Iterable[Item]) -> Iterator[Rendered]:
    """Yield render(item) for all items, in order; several threads work ahead of the caller."""
    remaining_items = iter(items)
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        futures: deque[Future[Rendered]] = deque()
        for item in islice(remaining_items, 4 * threads):
            futures.append(pool.submit(render, item))
        while futures:
            yield futures.popleft().result()
            for item in islice(remaining_items, 1):
                futures.append(pool.submit(render, item))
