"""Test which changes are a caption: a new text, and no text that replaces another one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Image as Picture
from support import near_duplicates, picture_edits
from support.compare_files import compare_files
from support.look_alikes import Pen
from support.more_look_alikes import draw_captions

from searchapp.duplicates.inspect_pair import inspect_frames
from searchapp.pictures.frames import Frame

NO_SHIFT = np.eye(3)


def draw_scene() -> Picture:
    return near_duplicates.render_scene(near_duplicates.make_scene(0, 0.75))


def draw_band(picture: Picture, opacity: float, color: str = "black") -> Picture:
    """Cover the lower part of a picture by a band."""
    covered = picture.copy()
    box = (0, round(0.85 * picture.height), picture.width, picture.height)
    strip = picture.crop(box)
    covered.paste(Image.blend(strip, Image.new("RGB", strip.size, color), opacity), box)
    return covered


def write_plainly(picture: Picture, text: str, color: str) -> Picture:
    """Write a text without an outline into the lower part."""
    written = picture.copy()
    size = round(0.07 * picture.height)
    place = (0.1 * picture.width, picture.height - 1.7 * size)
    ImageDraw.Draw(written).text(place, text, color, ImageFont.load_default(size))
    return written


def compare(one: Picture, other: Picture) -> tuple[str, tuple[str, ...]]:
    """Return the result, and what was done to the second picture."""
    inspection = inspect_frames(Frame(one, None), Frame(other, None), NO_SHIFT)
    return inspection.result, inspection.second_edits


@pytest.mark.parametrize("opacity", [0.0, 0.55, 1.0])
def test_a_caption_on_a_band(opacity: float) -> None:
    """A band, translucent or opaque, belongs to the caption, in light and in small letters."""
    scene = draw_scene()
    captioned = write_plainly(draw_band(scene, opacity), "Greetings from Lisbon", "#ffe060")
    assert compare(scene, captioned) == ("same", ("caption",))


def test_a_translucent_band_over_dark_places() -> None:
    """A translucent band hardly changes what is dark: it is known by how it changes the rest."""
    scene = draw_scene()
    box = (0, 0, round(0.6 * scene.width), scene.height)
    scene.paste(scene.crop(box).point([level // 6 for level in range(256)] * 3), box)
    captioned = write_plainly(draw_band(scene, 0.55), "Greetings from Lisbon", "#ffe060")
    assert compare(scene, captioned) == ("same", ("caption",))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_translucent_band_over_a_dark_picture(seed: int) -> None:
    """A band over a dark picture is hidden in its full width, not only around the letters."""
    scene = near_duplicates.render_scene(near_duplicates.make_scene(seed, 1.6))
    scene = scene.point([level // 8 for level in range(256)] * 3)
    captioned = write_plainly(draw_band(scene, 0.55), "Lisbon 2018", "#ffe060")
    assert compare(scene, captioned) == ("same", ("caption",))


def test_an_opaque_band_over_dark_places() -> None:
    """An opaque band hardly changes what has its color."""
    scene = draw_scene()
    box = (0, 0, round(0.6 * scene.width), scene.height)
    scene.paste(scene.crop(box).point([level // 16 for level in range(256)] * 3), box)
    captioned = write_plainly(draw_band(scene, 1.0), "Lisbon 2018", "#ffe060")
    assert compare(scene, captioned) == ("same", ("caption",))


@pytest.mark.parametrize("opacity", [0.0, 0.55])
def test_a_translucent_band_over_another_caption(opacity: float) -> None:
    """What a translucent band does not explain is a letter of either picture."""
    scene = draw_scene()
    one = picture_edits.write_caption(scene, "Lake Bled, 14 August 2018")
    other = write_plainly(draw_band(scene, opacity), "Our first hike in the Alps", "#ffe060")
    assert compare(one, other) == ("different", ())
    assert compare(other, one) == ("different", ())


def test_letters_as_bright_as_the_photo() -> None:
    """Letters and a texture have the same brightness, but different colors."""
    scene = near_duplicates.render_scene(near_duplicates.make_scene(1, 0.75))
    captioned = scene.copy()
    size = round(0.07 * scene.height)
    ImageDraw.Draw(captioned).text(
        (0.1 * scene.width, scene.height - 1.7 * size),
        "Happy New Year 2020",
        "#ff4030",
        ImageFont.load_default(size),
        stroke_width=2,
        stroke_fill="black",
    )
    assert compare(scene, captioned) == ("same", ("caption",))


@pytest.mark.parametrize("color, outline", [("white", "black"), ("black", "white")])
def test_an_outline_in_almost_the_color_of_the_photo(color: str, outline: str) -> None:
    """Letters are known by their own edges if their outline is hardly visible on the photo."""
    lowest = (30, 40, 90) if outline == "black" else (120, 190, 225)
    sky = near_duplicates.render_scene(near_duplicates.make_scene(4, 1.6))
    calm = sky.point([low + level // 16 for low in lowest for level in range(256)])
    captioned, size = calm.copy(), round(0.05 * calm.height)
    ImageDraw.Draw(captioned).text(
        (0.1 * calm.width, calm.height - 1.7 * size),
        "Mittagspause am See",
        color,
        ImageFont.load_default(size),
        stroke_width=4,
        stroke_fill=outline,
    )
    assert compare(calm, captioned) == ("same", ("caption",))


@pytest.mark.parametrize("seed", range(4))
def test_another_caption_is_another_picture(seed: int) -> None:
    """Two texts in the same style differ, on a band as well as on the photo itself."""
    one, other = draw_captions(draw_scene(), Pen(seed))
    assert compare(one, other) == ("different", ())


def test_captions_in_two_styles_are_two_pictures() -> None:
    """A bold text does not hide that the other picture has a text, too."""
    scene = draw_scene()
    one = write_plainly(scene, "Lake Bled, 14 August 2018", "#d0d0d0")
    other = picture_edits.write_caption(scene)
    assert compare(one, other) == ("different", ())
    assert compare(other, one) == ("different", ())


def test_the_same_band_with_another_caption() -> None:
    """A band that both pictures have covers no letters of one of them."""
    banded = draw_band(draw_scene(), 1.0)
    one = write_plainly(banded, "Lake Bled, 14 August 2018", "white")
    other = write_plainly(banded, "Our first hike in the Alps", "white")
    assert compare(one, other) == ("different", ())


def test_a_band_may_cover_another_caption() -> None:
    """On an opaque band over a calm part of a photo, an earlier text would be noticed."""
    sky = near_duplicates.render_scene(near_duplicates.make_scene(4, 0.75))
    one = write_plainly(sky, "Lake Bled, 14 August 2018", "black")
    other = write_plainly(draw_band(sky, 1.0), "Our first hike in the Alps", "white")
    assert compare(one, other) == ("different", ())
    assert compare(sky, other) == ("same", ("caption",))


def test_a_dark_band_on_a_bright_picture() -> None:
    """The band makes the picture darker than its original: their small copies still match."""
    bright = draw_scene().point([160 + level // 3 for level in range(256)] * 3)
    original = near_duplicates.encode_original(bright)
    with Image.open(io.BytesIO(original)) as opened:
        decoded = opened.convert("RGB")
    captioned = write_plainly(draw_band(decoded, 1.0), "The last day of school", "white")
    comparison = compare_files(original, near_duplicates.encode_original(captioned))
    assert (comparison.result, comparison.edits) == ("same", ("caption",))


def test_what_is_beside_a_caption_is_compared() -> None:
    """A caption hides only its own box: another change beside it makes another picture."""
    scene = draw_scene()
    captioned = write_plainly(scene, "Lisbon 2018", "white")
    box = (round(0.8 * scene.width), round(0.9 * scene.height))
    ImageDraw.Draw(captioned).ellipse((*box, box[0] + 30, box[1] + 30), fill="#c03020")
    assert compare(scene, captioned) == ("different", ())
