"""Name the places a scene can be in, how each is painted and how people call it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import interiors, landscapes, towns
from .canvas import Canvas

ALL = ("day", "sunset", "night", "overcast", "rain", "snow", "fog", "night snow", "night rain")
WARM = ("day", "sunset", "night", "overcast", "rain", "fog", "night rain")
DRY = ("day", "sunset", "night", "overcast")
COLD = ("day", "sunset", "night", "overcast", "snow", "fog", "night snow")
INDOORS = ("day", "night", "rain", "snow", "sunset")
ROOM = ("day", "night")


@dataclass(frozen=True)
class Place:
    """A background, the band where feet may stand, and its names."""

    paint: Callable[[Canvas, float], None]
    horizon: float
    band: tuple[float, float]
    kind: str
    phrases: tuple[str, ...]
    words: tuple[str, ...]
    moods: tuple[str, ...] = ALL
    bare: tuple[str, ...] = ()


def _field(petal: tuple[float, float, float], name: str, colour: str) -> Place:
    return Place(
        partial(landscapes.flowers, petal=petal),
        0.42,
        (0.66, 0.92),
        "land",
        (f"in a field of {colour} {name}", f"in a {name} field", f"among {colour} {name}"),
        (f"{colour} {name}", f"{name} field", "flowers"),
        ("day", "sunset", "overcast", "fog"),
        (f"a field of {colour} {name}", f"{colour} {name} in a field", f"a field full of {name}"),
    )


PLACES: dict[str, Place] = {
    "sea": Place(
        landscapes.sea,
        0.46,
        (0.6, 0.84),
        "water",
        ("on the sea", "at sea", "on the open ocean", "on the water"),
        ("sea", "ocean"),
        ALL,
        ("the open sea", "waves on the ocean", "an empty sea"),
    ),
    "lake": Place(
        landscapes.lake,
        0.46,
        (0.62, 0.86),
        "water",
        ("on a lake", "on a mountain lake", "on a calm lake below mountains"),
        ("lake", "mountain lake"),
        ALL,
        ("a mountain lake", "a calm lake below mountains", "a lake with mountains and pine trees"),
    ),
    "harbour": Place(
        towns.harbour,
        0.48,
        (0.66, 0.88),
        "water",
        ("in a harbour", "in the harbour of a small town", "in a port"),
        ("harbour", "port"),
        ALL,
        ("a small harbour town", "colourful houses at a harbour", "houses on a quay by the water"),
    ),
    "beach": Place(
        landscapes.beach,
        0.38,
        (0.7, 0.92),
        "land",
        ("on the beach", "on a sandy beach", "on the sand by the sea"),
        ("beach", "sand"),
        WARM,
        ("an empty beach", "a sandy beach with a palm tree", "a tropical beach"),
    ),
    "hills": Place(
        landscapes.hills,
        0.4,
        (0.7, 0.92),
        "land",
        ("on a green hill", "on the hills", "on a grassy hill", "in a green meadow"),
        ("hills", "green hill", "meadow"),
        ALL,
        ("rolling green hills", "green hills", "a hilly meadow"),
    ),
    "mountains": Place(
        landscapes.mountains,
        0.5,
        (0.72, 0.93),
        "land",
        ("in the mountains", "in front of snowy mountains", "in an alpine meadow"),
        ("mountains", "alps"),
        ALL,
        ("snowy mountains", "high mountains above a meadow", "a mountain landscape"),
    ),
    "forest": Place(
        landscapes.forest,
        0.56,
        (0.78, 0.95),
        "land",
        ("in a forest", "in the woods", "among the trees"),
        ("forest", "woods"),
        ("day", "sunset", "night", "overcast", "fog", "snow"),
        ("a forest", "trees in a forest", "a dense wood"),
    ),
    "jungle": Place(
        landscapes.jungle,
        0.6,
        (0.78, 0.95),
        "land",
        ("in the jungle", "in a tropical jungle", "in the rainforest"),
        ("jungle", "rainforest"),
        ("day", "night", "rain", "fog"),
        ("a tropical jungle", "a dense rainforest", "palms in a jungle"),
    ),
    "desert": Place(
        landscapes.desert,
        0.42,
        (0.7, 0.92),
        "land",
        ("in the desert", "on sand dunes", "in a sandy desert"),
        ("desert", "dunes"),
        DRY,
        ("sand dunes", "a desert with a cactus", "a sandy desert"),
    ),
    "savanna": Place(
        landscapes.savanna,
        0.44,
        (0.72, 0.93),
        "land",
        ("on the savanna", "in dry golden grass", "on the African savanna"),
        ("savanna", "africa"),
        ("day", "sunset", "night", "overcast", "rain"),
        ("the savanna", "acacia trees on the savanna", "dry grassland in Africa"),
    ),
    "snowfield": Place(
        landscapes.snowfield,
        0.4,
        (0.72, 0.93),
        "land",
        ("in the snow", "on a snow field", "in deep snow"),
        ("snow", "winter"),
        ("day", "sunset", "night", "overcast", "snow", "fog", "night snow"),
        ("a snow field with pine trees", "a winter landscape", "snowy hills and pine trees"),
    ),
    "ice": Place(
        landscapes.ice,
        0.4,
        (0.74, 0.93),
        "land",
        ("on the ice", "on an ice floe", "in Antarctica"),
        ("ice", "polar"),
        COLD,
        ("icebergs in a cold sea", "ice floes and icebergs", "polar ice"),
    ),
    "city": Place(
        towns.city,
        0.62,
        (0.8, 0.94),
        "land",
        ("in the city", "in front of a city skyline", "downtown"),
        ("city", "skyline"),
        ALL,
        ("a city", "a city skyline", "skyscrapers in a big city", "tall buildings"),
    ),
    "street": Place(
        towns.street,
        0.6,
        (0.78, 0.93),
        "land",
        ("in the street", "on a street with colourful houses", "in an old town street"),
        ("street", "town"),
        ALL,
        ("a street with colourful houses", "a row of houses in a street", "an old town street"),
    ),
    "road": Place(
        towns.road,
        0.44,
        (0.68, 0.92),
        "land",
        ("on a country road", "on a road through fields", "on the road"),
        ("road", "country road"),
        ALL,
        ("an empty country road", "a long straight road", "a road through fields"),
    ),
    "farm": Place(
        towns.farm,
        0.4,
        (0.74, 0.93),
        "land",
        ("on a farm", "in front of a red barn", "in a farmyard"),
        ("farm", "barn"),
        ALL,
        ("a red barn on a farm", "a farm with a fence", "a red barn"),
    ),
    "garden": Place(
        towns.garden,
        0.46,
        (0.74, 0.93),
        "land",
        ("in the garden", "on the lawn", "in a garden with a white fence"),
        ("garden", "lawn"),
        ALL,
        ("a garden with a white fence", "a garden with flowers", "a back garden"),
    ),
    "pitch": Place(
        towns.pitch,
        0.42,
        (0.72, 0.92),
        "land",
        ("on a football pitch", "in a stadium", "on a soccer field"),
        ("football pitch", "stadium", "soccer field"),
        ("day", "sunset", "night", "overcast", "rain", "snow"),
        ("a football pitch", "an empty stadium", "a goal on a soccer field"),
    ),
    "railway": Place(
        towns.railway,
        0.38,
        (0.71, 0.735),
        "land",
        ("on the railway", "on the tracks", "on a railway line"),
        ("railway", "tracks"),
        ALL,
        ("railway tracks", "an empty railway line", "train tracks through the country"),
    ),
    "poppies": _field((214, 44, 36), "poppies", "red"),
    "lavender": _field((132, 96, 196), "lavender", "purple"),
    "tulips": _field((236, 112, 160), "tulips", "pink"),
    "rapeseed": _field((246, 212, 50), "flowers", "yellow"),
    "daisies": _field((246, 246, 240), "daisies", "white"),
    "sky": Place(
        landscapes.sky_only,
        0.9,
        (0.42, 0.62),
        "air",
        ("in the sky", "high in the sky", "up in the air"),
        ("sky", "air"),
        WARM,
        ("the sky", "a wide sky", "clouds in the sky"),
    ),
    "underwater": Place(
        landscapes.underwater,
        0.8,
        (0.42, 0.72),
        "under",
        ("under water", "underwater", "over a coral reef", "in the deep blue sea"),
        ("underwater", "reef"),
        ("day",),
        ("a coral reef", "a coral reef under water", "corals on the sea floor"),
    ),
    "space": Place(
        landscapes.space,
        0.9,
        (0.5, 0.7),
        "space",
        ("in space", "in outer space", "among the stars"),
        ("space", "stars"),
        ("day",),
        ("stars in outer space", "the stars", "a nebula in space"),
    ),
    "living room": Place(
        interiors.living_room,
        0.7,
        (0.86, 0.96),
        "room",
        ("in the living room", "in front of the sofa", "at home"),
        ("living room", "sofa"),
        INDOORS,
        ("a living room with a sofa", "a sofa in a living room", "an empty living room"),
    ),
    "kitchen": Place(
        interiors.kitchen,
        0.66,
        (0.82, 0.93),
        "table",
        ("in the kitchen", "on a kitchen counter", "on the kitchen table"),
        ("kitchen", "counter"),
        ROOM,
        ("a kitchen", "a kitchen with a wooden worktop", "an empty kitchen"),
    ),
    "table": Place(
        interiors.table,
        0.52,
        (0.78, 0.93),
        "table",
        ("on a wooden table", "on a dark table", "on a table in a cafe"),
        ("wooden table", "table"),
        ROOM,
    ),
    "picnic": Place(
        interiors.picnic,
        0.32,
        (0.74, 0.92),
        "table",
        ("on a picnic blanket", "on a red and white cloth", "at a picnic"),
        ("picnic", "blanket"),
        ("day", "overcast"),
        ("a checked picnic blanket on the grass", "a red and white picnic cloth"),
    ),
    "stage": Place(
        interiors.stage,
        0.74,
        (0.85, 0.94),
        "room",
        ("on a stage", "on stage in front of a red curtain", "in a theatre"),
        ("stage", "theatre"),
        ("day",),
        ("an empty stage", "a stage with red curtains"),
    ),
    "library": Place(
        interiors.library,
        0.78,
        (0.86, 0.94),
        "table",
        ("in a library", "on a desk in front of bookshelves", "in front of bookshelves"),
        ("library", "books"),
        ROOM,
        ("a library", "shelves full of books", "bookshelves"),
    ),
}
