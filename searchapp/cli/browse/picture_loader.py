"""Load pictures into the widgets that show them; keep those that were visible last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from searchapp.cli.browse.drawing import Drawing, Painter
from searchapp.cli.browse.picture_area import PictureArea
from searchapp.cli.browse.picture_source import BrowsedImage, PictureSource
from searchapp.cli.browse.shown_images import RecentCache
from searchapp.errors import PictureError
from searchapp.files.display_path import display_path
from searchapp.types import Hit

SCROLL_PAUSE_S = 0.03  # Pictures that are visible for a shorter time are not read.
UNKNOWN = "not in the library any more"
KEPT_IMAGES, KEPT_DRAWINGS = 2000, 300


class PictureLoader:
    """Reads images and draws their pictures when they become visible."""

    def __init__(self, source: PictureSource, painter: Painter) -> None:
        """Create a loader that knows no image."""
        self._source, self._painter = source, painter
        self._images: RecentCache[int, BrowsedImage] = RecentCache(KEPT_IMAGES)
        self._drawings: RecentCache[tuple[int, int, int], Drawing] = RecentCache(KEPT_DRAWINGS)
        self._hits: dict[int, Hit] = {}

    def forget_images(self, hits: Iterable[Hit] = ()) -> None:
        """Forget what is known of images; from now on, images have these hits, if any."""
        self._images.clear()
        self._hits = {hit.image_id: hit for hit in hits}

    def find_image(self, image_id: int) -> BrowsedImage | None:
        """Return an image if it is in memory."""
        return self._images.find(image_id)

    async def get_image(self, image_id: int | None) -> BrowsedImage | None:
        """Return an image; None if the library does not have it any more."""
        if image_id is None:
            return None
        await self._read_images([image_id])
        return self.find_image(image_id)

    async def show_pictures(
        self,
        areas: Sequence[tuple[PictureArea, int | None]],
        on_read: Callable[[], None] = lambda: None,
    ) -> None:
        """Show each image in its area; None: the area is empty. A picture can have a message.

        on_read: called when the images are in memory, before their pictures are drawn.
        """
        waiting = []
        for area, image_id in areas:
            drawing = None if image_id is None else self._find_drawing(image_id, area)
            area.show(drawing)
            if image_id is not None and drawing is None:
                waiting.append((area, image_id))
        await asyncio.sleep(SCROLL_PAUSE_S)
        await self._read_images([each for _, each in areas if each is not None])
        on_read()
        await asyncio.gather(*(self._draw(area, image_id) for area, image_id in waiting))

    async def _read_images(self, image_ids: Sequence[int]) -> None:
        unknown = [each for each in image_ids if each not in self._images]
        hits = self._hits  # Another search can replace them while the images are read.
        if not unknown:
            return
        for image_id, image in (await self._source.read_images(unknown, hits)).items():
            if hits is self._hits:
                self._images.add(image_id, image)

    async def _draw(self, area: PictureArea, image_id: int) -> None:
        image, (columns, rows) = self._images.find(image_id), area.picture_size
        if image is None:
            area.show(None, UNKNOWN)
            return
        if columns <= 0 or rows <= 0:
            return
        side = self._painter.count_pixels(columns, rows)
        try:
            drawing = await self._source.render(
                image.located, side, lambda picture: self._painter.draw(picture, columns, rows)
            )
        except PictureError as error:
            area.show(None, display_path(str(error)))
            return
        self._drawings.add((image_id, columns, rows), drawing)
        area.show(drawing)

    def _find_drawing(self, image_id: int, area: PictureArea) -> Drawing | None:
        return self._drawings.find((image_id, *area.picture_size))
