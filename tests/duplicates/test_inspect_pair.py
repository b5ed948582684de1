"""Test that a detailed comparison tells look-alikes apart, and names what was done to a copy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from PIL.Image import Image as Picture
from support import look_alikes, more_look_alikes, near_duplicates, picture_edits
from support.compare_files import compare_files

from searchapp.duplicates import registration
from searchapp.duplicates.borders import find_content
from searchapp.duplicates.compare_scales import MAX_SIDE_PX
from searchapp.duplicates.inspect_pair import inspect_frames
from searchapp.duplicates.residuals import NOISE_LEVELS, match_tones, measure_noise
from searchapp.duplicates.text_pages import is_text_page
from searchapp.pictures.frames import Frame

NO_SHIFT = np.eye(3)


def draw_scene(number: int) -> Picture:
    return near_duplicates.render_scene(near_duplicates.make_scene(number, 0.75))


@pytest.mark.parametrize("kind", look_alikes.PHOTO_KINDS)
def test_look_alikes_of_photos_differ(kind: str) -> None:
    """A changed digit, word, patch, face or object makes another picture."""
    pen = look_alikes.Pen(f"{kind} 1")
    pair = look_alikes.make_look_alike(look_alikes.PHOTO_KINDS[kind], draw_scene(1), pen)
    assert compare_files(pair.first, pair.second).result == "different"


@pytest.mark.parametrize("kind", look_alikes.DOCUMENT_KINDS)
def test_look_alikes_of_pages_differ(kind: str) -> None:
    """A form, an invoice or a chat with another text is another picture, also when it is small."""
    pen = look_alikes.Pen(f"{kind} 1")
    pair = look_alikes.make_look_alike(look_alikes.DOCUMENT_KINDS[kind], None, pen)
    assert compare_files(pair.first, pair.second).result != "same"


@pytest.mark.parametrize("change", ["grayscale", "caption", "border"])
def test_edits_are_named(change: str) -> None:
    """The copy is found, and the edit belongs to the copy, whichever comes first."""
    original = near_duplicates.encode_original(draw_scene(0))
    with Image.open(io.BytesIO(original)) as opened:
        _, copy = near_duplicates.CHANGES[change](original, opened.convert("RGB"))
    for one, other in ((original, copy), (copy, original)):
        comparison = compare_files(one, other)
        assert (comparison.result, comparison.edits) == ("same", (change,))


def test_a_border_makes_a_picture_larger_than_compared() -> None:
    """A copy that is shrunk by little keeps its thin lines as the original shows them."""
    scene = near_duplicates.render_scene(near_duplicates.make_scene(0, 2.0))
    scene.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    draw, places = ImageDraw.Draw(scene), np.random.default_rng(0).uniform(0, 1, (150, 4))
    for x, y, width, height in (places * (*scene.size, 80, 80)).tolist():
        draw.line((x, y, x + width, y + height), fill="black")
    original = near_duplicates.encode_original(scene)
    with Image.open(io.BytesIO(original)) as opened:
        bordered = picture_edits.add_border(opened.convert("RGB"))
    comparison = compare_files(original, near_duplicates.encode_original(bordered))
    assert (comparison.result, comparison.edits) == ("same", ("border",))


def test_the_edited_picture_is_known() -> None:
    """An edit is listed for the first or for the second picture."""
    scene = draw_scene(0)
    gray = Frame(scene.convert("L").convert("RGB"), None)
    inspection = inspect_frames(gray, Frame(scene, None), NO_SHIFT)
    assert (inspection.first_edits, inspection.second_edits) == (("grayscale",), ())
    captioned = Frame(picture_edits.write_caption(scene), None)
    inspection = inspect_frames(Frame(scene, None), captioned, NO_SHIFT)
    assert (inspection.first_edits, inspection.second_edits) == ((), ("caption",))


def test_two_captions_are_two_pictures() -> None:
    """Another text at the same place is no added caption."""
    scene = draw_scene(0)
    one, other = (
        Frame(picture_edits.write_caption(scene, text), None)
        for text in ("Summer holiday 2019", "Summer holiday 2018")
    )
    assert inspect_frames(one, other, NO_SHIFT).result == "different"
    assert inspect_frames(one, one, NO_SHIFT).result == "same"


def test_two_subtitles_on_a_smooth_ground_are_two_pictures() -> None:
    """The other picture must have no text where one has a caption, also if both texts are long."""
    sky = Image.linear_gradient("L").resize((640, 400)).convert("RGB")
    frames = [
        Frame(picture_edits.write_caption(sky, text), None)
        for text in ("She said the train was late.", "We should leave tomorrow.")
    ]
    assert inspect_frames(frames[0], frames[1], NO_SHIFT).result == "different"
    inspection = inspect_frames(Frame(sky, None), frames[0], NO_SHIFT)
    assert (inspection.result, inspection.second_edits) == ("same", ("caption",))


def test_a_caption_on_a_dark_photo() -> None:
    """One line of text on a flat ground makes no page of text."""
    night = near_duplicates.render_scene(near_duplicates.make_scene(3, 0.5))
    captioned = picture_edits.write_caption(night)
    assert not is_text_page(captioned)
    inspection = inspect_frames(Frame(night, None), Frame(captioned, None), NO_SHIFT)
    assert (inspection.result, inspection.second_edits) == ("same", ("caption",))


def test_clipped_colors_are_the_same_picture() -> None:
    """A brighter copy has lost the tones of its bright parts, which no change gives back."""
    scene = ImageEnhance.Brightness(draw_scene(0)).enhance(1.5)
    brighter = ImageEnhance.Brightness(scene).enhance(1.2)
    for one, other in ((scene, brighter), (brighter, scene)):
        assert inspect_frames(Frame(one, None), Frame(other, None), NO_SHIFT).result == "same"


def draw_sky() -> Picture:
    """Draw a smooth picture with a few bright lights: it hides no wrong tone."""
    rows, columns = np.mgrid[:400, :600] / 400.0
    lights = sum(
        np.exp(-((columns - 0.3 * n) ** 2 + (rows - 0.2 * n % 0.9) ** 2) / 0.01)
        for n in range(1, 5)
    )
    luma = np.clip(60 * rows + 12 * np.sin(9 * columns) * np.cos(7 * rows) + 190 * lights, 0, 255)
    return Image.fromarray((luma[..., None] * (0.9, 1.0, 0.95)).astype(np.uint8))


def test_a_few_clipped_lights_are_the_same_picture() -> None:
    """Clipping cannot be undone, so the darker picture gets the tones of the brighter one."""
    sky = draw_sky()
    brighter = ImageEnhance.Brightness(sky).enhance(1.2)
    for one, other in ((sky, brighter), (brighter, sky)):
        assert inspect_frames(Frame(one, None), Frame(other, None), NO_SHIFT).result == "same"


@pytest.mark.parametrize("power", [0.75, 0.85])
def test_a_gamma_is_removed_from_all_tones(power: float) -> None:
    """A slight gamma is no straight line, and dark tones change the most."""
    ramp = Image.linear_gradient("L").convert("RGB")
    brighter = ramp.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)
    for pictures in ((ramp, brighter), (brighter, ramp)):
        one, other = match_tones(*pictures, NO_SHIFT, 256)
        levels = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
        assert levels.max() <= 2


def test_a_fine_registration_that_moves_nothing() -> None:
    """Resampling adds noise, which hides another digit in a smooth picture."""
    scene = draw_scene(0).convert("L")
    assert registration.register_finely(scene, scene, NO_SHIFT, 512) is None
    moved = np.array([[1, 0, 0.002], [0, 1, 0], [0, 0, 1.0]])
    finer = registration.register_finely(scene, scene, moved, 512)
    assert finer is not None
    assert np.abs(finer - NO_SHIFT).max() < 0.0005


def test_pages_that_compression_has_changed_are_left_out() -> None:
    """Noise of the compression may hide another letter."""
    page = near_duplicates.render_scene(near_duplicates.make_scene(6, 0.5))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=3)
    with Image.open(buffer) as opened:
        poor = opened.convert("RGB")
    assert inspect_frames(Frame(page, None), Frame(page, None), NO_SHIFT).result == "same"
    assert inspect_frames(Frame(page, None), Frame(poor, None), NO_SHIFT).result == "unreadable"


def test_small_pages_of_text_are_left_out() -> None:
    """The text of a thumbnail cannot be compared with that of the page."""
    page, _ = look_alikes.draw_documents("digit of a document", look_alikes.Pen(1))
    assert is_text_page(page)
    thumbnail = page.resize((page.width // 4, page.height // 4))
    inspection = inspect_frames(Frame(page, None), Frame(thumbnail, None), NO_SHIFT)
    assert inspection.result == "unreadable"
    half = page.resize((page.width * 4 // 5, page.height * 4 // 5))
    assert inspect_frames(Frame(page, None), Frame(half, None), NO_SHIFT).result == "same"


@pytest.mark.parametrize("number", [3, 4, 5])
def test_one_digit_in_a_table(number: int) -> None:
    """In a smaller copy, two thin digits differ little more than the edges of equal ones."""
    draw = more_look_alikes.MORE_DOCUMENT_KINDS["digit in a table"]
    pair = look_alikes.make_look_alike(draw, None, look_alikes.Pen(number), (0.8, 0.6))
    assert compare_files(pair.first, pair.second).result != "same"


def test_steep_edges_decide_what_gradients_add_to_the_noise() -> None:
    """Rounding in smooth parts of a photo must not hide another digit on a sign."""
    gradients = np.repeat([0.2, 1.0, 2.0, 12.0], 300).astype(np.float32)
    levels = np.repeat([0.2, 0.9, 1.1, 0.8], 300).astype(np.float32)
    noise, share = measure_noise(levels, gradients, NOISE_LEVELS)
    assert noise < 1 and share < 0.05


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_a_scan_of_a_page_and_its_copies(scale: float) -> None:
    """A scan at a readable size is compared with a smaller copy, and told from another page."""
    pages = look_alikes.draw_documents("amount of a document", look_alikes.Pen(1), (1414, 2000))
    one, same, other = (
        Frame(page.resize((round(1414 * size), round(2000 * size))), None)
        for page, size in ((pages[0], 1.0), (pages[0], scale), (pages[1], scale))
    )
    assert is_text_page(same.colors)
    assert inspect_frames(one, same, NO_SHIFT).result == "same"
    assert inspect_frames(one, other, NO_SHIFT).result == "different"


def test_alpha_is_compared() -> None:
    """The same colors behind another mask are another picture."""
    scene = draw_scene(0)
    mask, other_mask = (Image.new("L", scene.size, 255) for _ in range(2))
    mask.paste(0, (20, 20, 120, 120))
    other_mask.paste(0, (200, 100, 300, 200))
    one, other = Frame(scene, mask), Frame(scene, other_mask)
    assert inspect_frames(one, one, NO_SHIFT).result == "same"
    assert inspect_frames(one, other, NO_SHIFT).result == "different"
    assert inspect_frames(one, Frame(scene, None), NO_SHIFT).result == "different"


def test_borders_are_found() -> None:
    """A border may have two colors; the edge of a photo is none."""
    scene = draw_scene(0)
    assert find_content(scene) is None
    framed = Image.new("RGB", (scene.width + 60, scene.height + 80), "white")
    framed.paste("black", (26, 26, scene.width + 34, scene.height + 34))
    framed.paste(scene, (30, 30))
    content = find_content(framed)
    assert content is not None
    assert content.scale(*framed.size) == scene.size
