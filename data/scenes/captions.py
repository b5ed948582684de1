"""Write captions of a scene: sentences, and words as typed into a search box."""

import numpy as np

from .compose import Scene, SceneItem
from .place import Place
from .places import PLACES
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
UNCHANGED_PLURALS = {
    "sheep",
    "fish",
    "deer",
    "tropical fish",
    "puffer fish",
    "French fries",
    "fries",
    "books",
}
IRREGULAR_PLURALS = {
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
NUMBER_WORDS = {2: ("two", "a pair of"), 3: ("three",), 4: ("four", "several")}
MANY_WORDS = ("many", "a lot of", "several", "a group of", "lots of")
UNCOUNTABLE_NAMES = {
    "french fries",
    "fries",
    "chips",
    "cheese",
    "pizza",
    "bread",
    "beer",
    "watermelon",
}


def pluralize(name: str) -> str:
    """Return the plural of a subject's name."""
    if name in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[name]
    head, separator, rest = name.partition(" of ")
    if name in UNCHANGED_PLURALS:
        return name
    ending = "es" if head.endswith(("s", "x", "ch", "sh")) else "s"
    if head.endswith("y") and head[-2] not in "aeiou":
        head, ending = head[:-1], "ies"
    return head + ending + separator + rest


def add_article(words: str) -> str:
    """Return the words with "a", "an" or "the" before them."""
    if words.startswith("Statue of"):
        return f"the {words}"
    vowel = words[0].lower() in "aeiou" and not words.lower().startswith(("u", "eu"))
    return f"{'an' if vowel or words.startswith('um') else 'a'} {words}"


def _pick_word(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _pick_name(item: SceneItem, rng: np.random.Generator) -> str:
    """Return a random name of the subject; the first name is the most probable."""
    names = SUBJECTS[item.subject].names
    return names[0] if rng.random() < 0.5 else _pick_word(rng, names)


def _pick_color_word(item: SceneItem, name: str, rng: np.random.Generator, chance: float) -> str:
    """Return a color word and a space, or an empty string."""
    plain = SUBJECTS[item.subject].natural_color
    color = item.color or (plain if rng.random() < 0.6 else "")
    return f"{color} " if color and color not in name and rng.random() < chance else ""


def describe_item(item: SceneItem, rng: np.random.Generator, color_chance: float = 0.85) -> str:
    """Return a subject with its number and color, such as "two white sheep"."""
    name = _pick_name(item, rng)
    words = _pick_color_word(item, name, rng, color_chance) + name
    if item.count == 1:
        bare = name in UNCOUNTABLE_NAMES or name.startswith(("Earth", "Saturn"))
        return words if bare else add_article(words)
    many = pluralize(name)
    words = words[: len(words) - len(name)] + many
    return f"{_pick_word(rng, NUMBER_WORDS.get(item.count, MANY_WORDS))} {words}"


def _describe_items(scene: Scene, rng: np.random.Generator, chance: float = 0.85) -> str:
    items = list(scene.items)
    if rng.random() < 0.5:
        items.reverse()
    return " and ".join(describe_item(item, rng, chance) for item in items)


def pick_mood_phrase(scene: Scene, place: Place, rng: np.random.Generator) -> str:
    """Return a space and a phrase for light and weather, or an empty string."""
    if place.kind in {"under", "space"} or len(place.moods) == 1:
        return ""
    table = INDOOR_PHRASES if place.kind in {"room", "table"} else MOOD_PHRASES
    words = _pick_word(rng, table.get(scene.mood, ("",)))
    return f" {words}" if words else ""


def _make_search_words(scene: Scene, place: Place, rng: np.random.Generator) -> str:
    """Return a few words as typed into a search box, such as "white sheep hills sunny"."""
    words = []
    for item in scene.items:
        name = _pick_name(item, rng)
        color = _pick_color_word(item, name, rng, 0.8)
        words.append(color + (name if item.count == 1 else pluralize(name)))
    if not scene.items or rng.random() < 0.65:
        words.append(_pick_word(rng, place.words))
    indoor = place.kind in {"room", "table", "under", "space"}
    mood = "" if indoor else _pick_word(rng, MOOD_WORDS[scene.mood])
    if mood and rng.random() < 0.8:
        words.append(mood)
    return " ".join(words)


def write_scene_captions(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Return three to five different captions for a scene."""
    place = PLACES[scene.place]
    candidates = (
        _make_empty_place_captions(scene, place, rng)
        if not scene.items
        else _make_captions(scene, place, rng)
    )
    captions = [candidates[0], _make_search_words(scene, place, rng)]
    order = rng.permutation(len(candidates) - 1) + 1
    captions += [candidates[int(i)] for i in order[: int(rng.integers(2, 4))]]
    return list(dict.fromkeys(" ".join(caption.split()) for caption in captions))


def _make_captions(scene: Scene, place: Place, rng: np.random.Generator) -> list[str]:
    def pick_place_phrase() -> str:
        return _pick_word(rng, place.phrases)

    def pick_mood() -> str:
        return pick_mood_phrase(scene, place, rng)

    bare = (
        _pick_word(rng, place.empty_phrases).replace("an empty", "a") if place.empty_phrases else ""
    )
    return [
        f"{_describe_items(scene, rng, 1.0)} {pick_place_phrase()}{pick_mood()}",
        f"{_describe_items(scene, rng)} {pick_place_phrase()}",
        f"{_describe_items(scene, rng)}{pick_mood()}",
        f"a {_pick_word(rng, ('photo', 'picture'))} of "
        f"{_describe_items(scene, rng)} {pick_place_phrase()}{pick_mood()}",
        f"{_describe_items(scene, rng)}, {bare}{pick_mood()}"
        if bare
        else f"{_describe_items(scene, rng)} {pick_place_phrase()}",
        f"{_describe_items(scene, rng, 0.4)}",
        f"{pick_place_phrase()}{pick_mood()}, {_describe_items(scene, rng)}",
    ]


def _make_empty_place_captions(scene: Scene, place: Place, rng: np.random.Generator) -> list[str]:
    names = place.empty_phrases or (place.words[0],)
    return [
        f"{_pick_word(rng, names)}{pick_mood_phrase(scene, place, rng)}",
        f"{_pick_word(rng, names)}{pick_mood_phrase(scene, place, rng)}",
        f"a photo of {_pick_word(rng, names)}{pick_mood_phrase(scene, place, rng)}",
        f"{_pick_word(rng, names)}, nobody there",
    ]
