"""What a subject is: its picture, size, colours, where it belongs, what people call it."""

from dataclasses import dataclass

WATER_PLACES = "sea lake harbour"
WILD_PLACES = "forest hills mountains snowfield"
TOWN_PLACES = "street city road"
TABLE_PLACES = "kitchen table picnic"
PAINT_COLORS = ("", "red", "blue", "yellow", "green", "white", "black", "pink", "orange")


@dataclass(frozen=True)
class Subject:
    """One thing that can be in a picture."""

    code: str
    names: tuple[str, ...]
    size: float
    places: tuple[str, ...]
    colors: tuple[str, ...] = ()
    hue: tuple[float, float] | None = None
    foot_trim: float = 0.0
    natural_color: str = ""
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
    """Build a subject from short strings; `plain` is its colour when left as it is."""
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
