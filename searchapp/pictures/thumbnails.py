"""Make thumbnails for people to see: of a picture, or of a frame of a video."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from searchapp.pictures import decode, video
from searchapp.pictures.originals import open_original
from searchapp.types import Original

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Item = TypeVar("Item")
Rendered = TypeVar("Rendered")


def make_thumbnail(original: Original, side: int) -> Picture:
    """Return an upright RGB thumbnail of an indexed picture or video frame.

    side: the longest side in pixels. Raises PictureError if the file changed since it was indexed,
    or cannot be decoded.
    """
    with open_original(original) as file:
        if original.seconds is not None:
            return video.extract_frame(file, original.seconds, side)
        return decode.decode_thumbnail(file.read(), side)


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
