"""Define the type Place, and the moods that fit to kinds of places."""

from collections.abc import Callable
from dataclasses import dataclass

from .canvas import Canvas

ALL_MOODS = (
    "day",
    "sunset",
    "night",
    "overcast",
    "rain",
    "snow",
    "fog",
    "night snow",
    "night rain",
)
WARM_MOODS = ("day", "sunset", "night", "overcast", "rain", "fog", "night rain")
DRY_MOODS = ("day", "sunset", "night", "overcast")
COLD_MOODS = ("day", "sunset", "night", "overcast", "snow", "fog", "night snow")
INDOOR_MOODS = ("day", "night", "rain", "snow", "sunset")
ROOM_MOODS = ("day", "night")


@dataclass(frozen=True)
class Place:
    """The background of a scene; y coordinates are shares of the height."""

    paint: Callable[[Canvas, float], None]  # arguments: canvas, y of the horizon
    horizon: float
    foot_band: tuple[float, float]  # y range for the feet of subjects, far to near
    kind: str  # "land", "water", "air", "under" (water), "space", "room" or "table"
    phrases: tuple[str, ...]  # for sentences, such as "on the sea"
    words: tuple[str, ...]  # for queries, such as "sea"
    moods: tuple[str, ...] = ALL_MOODS
    empty_phrases: tuple[str, ...] = ()  # for the place without subjects
