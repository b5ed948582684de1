"""Say in words what a scene shows, the way people type or write it."""

import numpy as np

from .compose import Item, Scene
from .places import PLACES, Place
from .subjects import SUBJECTS

MOOD_PHRASES: dict[str, tuple[str, ...]] = {
    "day": ("", "", "on a sunny day", "in the sunshine", "under a blue sky"),
    "sunset": ("at sunset", "at sunset", "in the evening light", "as the sun goes down", "at dusk"),
    "night": ("at night", "at night", "in the moonlight", "under the moon", "in the dark"),
    "overcast": ("on a cloudy day", "under a grey sky", "on an overcast day"),
    "rain": ("in the rain", "on a rainy day", "in heavy rain"),
    "snow": ("in falling snow", "while it is snowing", "in the snow", "on a snowy day"),
    "fog": ("in the fog", "on a foggy morning", "in thick mist"),
    "night snow": ("at night in the snow", "on a snowy night", "in the snow at night"),
    "night rain": ("at night in the rain", "on a rainy night", "in the rain at night"),
}
INDOOR_PHRASES: dict[str, tuple[str, ...]] = {
    "day": ("", "", "in daylight"),
    "sunset": ("", "with a sunset outside the window"),
    "night": ("at night", "in the evening", "by lamplight"),
    "rain": ("", "on a rainy day"),
    "snow": ("", "on a winter day"),
}
MOOD_WORDS: dict[str, tuple[str, ...]] = {
    "day": ("", "", "sunny", "daytime", "blue sky"),
    "sunset": ("sunset", "evening", "dusk"),
    "night": ("night", "moonlight", "dark"),
    "overcast": ("cloudy", "overcast", "grey sky"),
    "rain": ("rain", "rainy", "raining"),
    "snow": ("snow", "snowing", "snowfall"),
    "fog": ("fog", "foggy", "misty"),
    "night snow": ("snowy night", "night snow"),
    "night rain": ("rainy night", "night rain"),
}
SAME = {"sheep", "fish", "deer", "tropical fish", "puffer fish", "French fries", "fries", "books"}
IRREGULAR = {
    "mouse": "mice",
    "canoe": "canoes",
    "wild boar": "wild boars",
    "man surfing": "men surfing",
    "man riding a bicycle": "men riding bicycles",
    "person on a bike": "people on bikes",
    "person on a surfboard": "people on surfboards",
    "person running": "people running",
    "person skiing": "people skiing",
    "gift with a ribbon": "gifts with ribbons",
    "cake with candles": "cakes with candles",
    "planet with a ring": "planets with rings",
    "plant in a pot": "plants in pots",
    "loaf of bread": "loaves of bread",
    "bread": "loaves of bread",
    "glass of beer": "glasses of beer",
    "glass of red wine": "glasses of red wine",
}
NUMBERS = {2: ("two", "a pair of"), 3: ("three",), 4: ("four", "several")}
CROWD = ("many", "a lot of", "several", "a group of", "lots of")
UNCOUNTED = {"french fries", "fries", "chips", "cheese", "pizza", "bread", "beer", "watermelon"}


def plural(name: str) -> str:
    """Return the plural of a subject's name."""
    if name in IRREGULAR:
        return IRREGULAR[name]
    head, of, rest = name.partition(" of ")
    if name in SAME:
        return name
    ending = "es" if head.endswith(("s", "x", "ch", "sh")) else "s"
    if head.endswith("y") and head[-2] not in "aeiou":
        head, ending = head[:-1], "ies"
    return head + ending + of + rest


def article(words: str) -> str:
    """Return the words with a or an before them."""
    if words.startswith("Statue of"):
        return f"the {words}"
    vowel = words[0].lower() in "aeiou" and not words.lower().startswith(("u", "eu"))
    return f"{'an' if vowel or words.startswith('um') else 'a'} {words}"


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _name(item: Item, rng: np.random.Generator) -> str:
    """Return one of the subject's names, the first of them most often."""
    names = SUBJECTS[item.subject].names
    return names[0] if rng.random() < 0.5 else _pick(rng, names)


def _colour(item: Item, name: str, rng: np.random.Generator, chance: float) -> str:
    """Return the colour word to say, if any."""
    plain = SUBJECTS[item.subject].plain
    colour = item.colour or (plain if rng.random() < 0.6 else "")
    return f"{colour} " if colour and colour not in name and rng.random() < chance else ""


def noun(item: Item, rng: np.random.Generator, colour_chance: float = 0.85) -> str:
    """Return a subject with its number and colour: "two white sheep"."""
    name = _name(item, rng)
    words = _colour(item, name, rng, colour_chance) + name
    if item.count == 1:
        bare = name in UNCOUNTED or name.startswith(("Earth", "Saturn"))
        return words if bare else article(words)
    many = plural(name)
    words = words[: len(words) - len(name)] + many
    return f"{_pick(rng, NUMBERS.get(item.count, CROWD))} {words}"


def _nouns(scene: Scene, rng: np.random.Generator, chance: float = 0.85) -> str:
    items = list(scene.items)
    if rng.random() < 0.5:
        items.reverse()
    return " and ".join(noun(item, rng, chance) for item in items)


def mood_phrase(scene: Scene, place: Place, rng: np.random.Generator) -> str:
    """Return how the light and weather are said, with a space before."""
    if place.kind in {"under", "space"} or len(place.moods) == 1:
        return ""
    table = INDOOR_PHRASES if place.kind in {"room", "table"} else MOOD_PHRASES
    words = _pick(rng, table.get(scene.mood, ("",)))
    return f" {words}" if words else ""


def _short(scene: Scene, place: Place, rng: np.random.Generator) -> str:
    """Return a few bare words, as typed into a search box."""
    words = []
    for item in scene.items:
        name = _name(item, rng)
        colour = _colour(item, name, rng, 0.8)
        words.append(colour + (name if item.count == 1 else plural(name)))
    if not scene.items or rng.random() < 0.65:
        words.append(_pick(rng, place.words))
    indoor = place.kind in {"room", "table", "under", "space"}
    mood = "" if indoor else _pick(rng, MOOD_WORDS[scene.mood])
    if mood and rng.random() < 0.8:
        words.append(mood)
    return " ".join(words)


def describe(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Return three to five different captions for a scene."""
    place = PLACES[scene.place]
    makers = _bare_makers(scene, place, rng) if not scene.items else _makers(scene, place, rng)
    found = [makers[0], _short(scene, place, rng)]
    order = rng.permutation(len(makers) - 1) + 1
    found += [makers[int(i)] for i in order[: int(rng.integers(2, 4))]]
    return list(dict.fromkeys(" ".join(caption.split()) for caption in found))


def _makers(scene: Scene, place: Place, rng: np.random.Generator) -> list[str]:
    def where() -> str:
        return _pick(rng, place.phrases)

    def mood() -> str:
        return mood_phrase(scene, place, rng)

    bare = _pick(rng, place.bare).replace("an empty", "a") if place.bare else ""
    return [
        f"{_nouns(scene, rng, 1.0)} {where()}{mood()}",
        f"{_nouns(scene, rng)} {where()}",
        f"{_nouns(scene, rng)}{mood()}",
        f"a {_pick(rng, ('photo', 'picture'))} of {_nouns(scene, rng)} {where()}{mood()}",
        f"{_nouns(scene, rng)}, {bare}{mood()}" if bare else f"{_nouns(scene, rng)} {where()}",
        f"{_nouns(scene, rng, 0.4)}",
        f"{where()}{mood()}, {_nouns(scene, rng)}",
    ]


def _bare_makers(scene: Scene, place: Place, rng: np.random.Generator) -> list[str]:
    names = place.bare or (place.words[0],)
    return [
        f"{_pick(rng, names)}{mood_phrase(scene, place, rng)}",
        f"{_pick(rng, names)}{mood_phrase(scene, place, rng)}",
        f"a photo of {_pick(rng, names)}{mood_phrase(scene, place, rng)}",
        f"{_pick(rng, names)}, nobody there",
    ]
