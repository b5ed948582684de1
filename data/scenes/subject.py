"""Define the type Subject: picture, size, colors, places and names."""

from dataclasses import dataclass

WATER_PLACES = "sea lake harbour"
WILD_PLACES = "forest hills mountains snowfield"
TOWN_PLACES = "street city road"
TABLE_PLACES = "kitchen table picnic"
PAINT_COLORS = ("", "red", "blue", "yellow", "green", "white", "black", "pink", "orange")


@dataclass(frozen=True)
class Subject:
    """An object, animal or person that a scene can contain."""

    code: str  # Unicode code point of its emoji; empty: drawn by code
    names: tuple[str, ...]  # the usual name first
    size: float  # height as a share of the picture's height
    places: tuple[str, ...]  # keys of PLACES
    colors: tuple[str, ...] = ()  # colors that it can have; empty: the natural one
    hue: tuple[float, float] | None = None  # range of hues that a color replaces; None: all
    foot_trim: float = 0.0  # share of the height that lies under water
    natural_color: str = ""  # for captions
    can_be_many: bool = True


def make_subject(
    code: str,
    names: str,
    size: float,
    places: str,
    colors: tuple[str, ...] = (),
    hue: tuple[float, float] | None = None,
    trim: float = 0.0,
    natural_color: str = "",
    can_be_many: bool = True,
) -> Subject:
    """Make a subject; names are separated by "|", places by spaces or commas."""
    place_names = tuple(places.split(",") if "," in places else places.split())
    return Subject(
        code,
        tuple(names.split("|")),
        size,
        place_names,
        colors,
        hue,
        trim,
        natural_color,
        can_be_many,
    )
