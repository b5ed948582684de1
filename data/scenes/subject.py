"""What a subject is: its picture, size, colours, where it belongs, what people call it."""

from dataclasses import dataclass

WATER = "sea lake harbour"
WILD = "forest hills mountains snowfield"
TOWN = "street city road"
TABLES = "kitchen table picnic"
PAINT = ("", "red", "blue", "yellow", "green", "white", "black", "pink", "orange")


@dataclass(frozen=True)
class Subject:
    """One thing that can be in a picture."""

    code: str
    names: tuple[str, ...]
    size: float
    places: tuple[str, ...]
    colours: tuple[str, ...] = ()
    hue: tuple[float, float] | None = None
    trim: float = 0.0
    plain: str = ""
    group: bool = True


def make(
    code: str,
    names: str,
    size: float,
    places: str,
    colours: tuple[str, ...] = (),
    hue: tuple[float, float] | None = None,
    trim: float = 0.0,
    plain: str = "",
    group: bool = True,
) -> Subject:
    """Build a subject from short strings; `plain` is its colour when left as it is."""
    where = tuple(places.split(",") if "," in places else places.split())
    return Subject(code, tuple(names.split("|")), size, where, colours, hue, trim, plain, group)
