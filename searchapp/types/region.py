"""Part of a picture to search by: a rectangle in pixels or percent of the upright picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from searchapp.errors import QueryError
from searchapp.types.filter_values import FilterValue, format_number

ROUNDING_PERCENT = 0.01  # Rounded percents may exceed 100 by this much.


@dataclass(frozen=True, slots=True)
class Region(FilterValue):
    """Rectangle of a picture: its left and upper edge, its width and its height.

    The unit is pixels, or percent of the width and of the height, of the picture as it is shown:
    upright. Pixels are those of the original picture.
    """

    x: float
    y: float
    width: float
    height: float
    is_percent: bool = False

    HELP = "X,Y,W,H, such as 100,50,640,480 (pixels) or 10%,5%,50%,40%"

    def __post_init__(self) -> None:
        """Raise QueryError if the rectangle has no area, or if no picture contains it."""
        numbers = (self.x, self.y, self.width, self.height)
        if not all(map(math.isfinite, numbers)):
            raise QueryError(f"'{self}' is not a region. Write {self.HELP}.")
        if self.width <= 0 or self.height <= 0:
            raise QueryError(
                f"the region {self} has no area: its width and its height must be more than 0."
            )
        if self.x < 0 or self.y < 0 or (self.is_percent and self._exceeds(100, 100)):
            raise QueryError(
                f"the region {self} is outside of the picture, which begins at 0,0"
                f"{' and ends at 100%,100%' if self.is_percent else ''}."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse X,Y,W,H: four numbers of pixels, or four percents. Raises QueryError."""
        parts = [part.strip() for part in text.split(",")]
        is_percent = all(part.endswith("%") for part in parts)
        try:
            x, y, width, height = (float(part.removesuffix("%" * is_percent)) for part in parts)
        except ValueError as error:
            raise QueryError(f"{text!r} is not a region. Write {cls.HELP}.") from error
        return cls(x, y, width, height, is_percent)

    def __str__(self) -> str:
        unit = "%" if self.is_percent else ""
        numbers = (self.x, self.y, self.width, self.height)
        return ",".join(f"{format_number(number)}{unit}" for number in numbers)

    def compute_box(
        self, picture_size: tuple[int, int], decoded_size: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Return the edges of the region in decoded pixels: left, upper, right, lower.

        picture_size: width and height of the upright original, to which pixels refer.
        decoded_size: width and height of the pixels to cut. Raises QueryError if the region is not
        completely in the picture.
        """
        full_width, full_height = (100, 100) if self.is_percent else picture_size
        if self._exceeds(full_width, full_height):
            raise QueryError(
                f"the region {self} is outside of the picture, which has {picture_size[0]} x "
                f"{picture_size[1]} pixels. Choose a smaller region."
            )
        width, height = decoded_size
        left = min(width - 1, math.floor(self.x / full_width * width + 1e-6))
        upper = min(height - 1, math.floor(self.y / full_height * height + 1e-6))
        right = math.ceil((self.x + self.width) / full_width * width - 1e-6)
        lower = math.ceil((self.y + self.height) / full_height * height - 1e-6)
        return left, upper, max(left + 1, min(width, right)), max(upper + 1, min(height, lower))

    def _exceeds(self, full_width: float, full_height: float) -> bool:
        tolerance = ROUNDING_PERCENT if self.is_percent else 0
        return (
            self.x + self.width > full_width + tolerance
            or self.y + self.height > full_height + tolerance
        )
