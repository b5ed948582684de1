"""Draw random scenes for training: every subject in each of its places, and mixtures."""

from collections.abc import Iterator, Sequence

import numpy as np

from .compose import Scene, SceneItem
from .places import PLACES
from .subjects import SUBJECTS

PICTURE_SHAPES = ((288, 216), (288, 216), (288, 216), (288, 192), (216, 288), (360, 144))


def list_scene_kinds() -> list[tuple[str, str]]:
    """Return all (subject, place) pairs that fit, and each place without subject as ("", place)."""
    pairs = [(key, place) for key, subject in SUBJECTS.items() for place in subject.places]
    return pairs + [("", name) for name, place in PLACES.items() if place.empty_phrases]


def draw_mood(place: str, rng: np.random.Generator) -> str:
    """Return a random mood that fits a place; clear weather is twice as probable."""
    moods = PLACES[place].moods
    weights = np.array([2.0 if mood in {"day", "sunset", "night"} else 1.0 for mood in moods])
    return str(rng.choice(moods, p=weights / weights.sum()))


def draw_item(key: str, rng: np.random.Generator, allows_many: bool = True) -> SceneItem:
    """Return a subject in a random number and color."""
    subject = SUBJECTS[key]
    color = str(rng.choice(subject.colors)) if subject.colors else ""
    count = 1
    if subject.can_be_many and allows_many:
        count = int(rng.choice([1, 2, 3, 4, 5, 6, 7], p=[0.56, 0.16, 0.12, 0.04, 0.04, 0.04, 0.04]))
    return SceneItem(key, count, color)


def draw_scene(key: str, place: str, rng: np.random.Generator) -> Scene:
    """Return a random scene with a subject at a place, sometimes with a second subject."""
    items: list[SceneItem] = []
    if key:
        items.append(draw_item(key, rng))
        if items[0].count == 1 and SUBJECTS[key].code and rng.random() < 0.16:
            others = [k for k, s in SUBJECTS.items() if place in s.places and k != key]
            if others:
                items.append(draw_item(str(rng.choice(others)), rng, allows_many=False))
    mood = draw_mood(place, rng)
    if key == "rainbow":
        mood = str(rng.choice(["day", "overcast", "sunset", "rain"]))
    return Scene(place, mood, tuple(items), float(rng.uniform(0.85, 1.25)))


def vary_scene(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return a variation of a scene, which may differ in mood, number and color."""
    mood = scene.mood if rng.random() < 0.5 else draw_mood(scene.place, rng)
    items = tuple(
        item if rng.random() < 0.5 else draw_item(item.subject, rng, len(scene.items) == 1)
        for item in scene.items
    )
    return Scene(scene.place, mood, items, float(rng.uniform(0.85, 1.2)))


def draw_training_scenes(
    shipped: Sequence[Scene], variations: int, rng: np.random.Generator
) -> Iterator[Scene]:
    """Yield training scenes: `variations` of each kind, and a third as many of each shipped one."""
    for _ in range(variations):
        for key, place in list_scene_kinds():
            yield draw_scene(key, place, rng)
    for _ in range(max(1, variations // 3)):
        for scene in shipped:
            yield vary_scene(scene, rng)
