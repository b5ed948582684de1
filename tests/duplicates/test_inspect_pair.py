"""Test that a detailed comparison tells look-alikes apart, and names what was done to a copy."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Image as Picture
from support import look_alikes, near_duplicates, picture_edits
from support.compare_files import compare_files

from searchapp.duplicates.borders import find_content
from searchapp.duplicates.inspect_pair import inspect_frames
from searchapp.duplicates.text_pages import is_text_page
from searchapp.pictures.frames import Frame

NO_SHIFT = np.eye(3)


def draw_scene(number: int) -> Picture:
    return near_duplicates.render_scene(near_duplicates.make_scene(number, 0.75))


@pytest.mark.parametrize("kind", look_alikes.PHOTO_KINDS)
def test_look_alikes_of_photos_differ(kind: str) -> None:
    """A changed digit, word, patch, face or object makes another picture."""
    pair = look_alikes.make_look_alike(kind, draw_scene(1), 1)
    assert compare_files(pair.first, pair.second).result == "different"


@pytest.mark.parametrize("kind", look_alikes.DOCUMENT_KINDS)
def test_look_alikes_of_pages_differ(kind: str) -> None:
    """A form, an invoice or a chat with another text is another picture, also when it is small."""
    pair = look_alikes.make_look_alike(kind, None, 1)
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


def test_small_pages_of_text_are_left_out() -> None:
    """The text of a thumbnail cannot be compared with that of the page."""
    page, _ = look_alikes.draw_documents("digit of a document", random.Random(1))
    assert is_text_page(page)
    thumbnail = page.resize((page.width // 4, page.height // 4))
    inspection = inspect_frames(Frame(page, None), Frame(thumbnail, None), NO_SHIFT)
    assert inspection.result == "unreadable"
    half = page.resize((page.width * 4 // 5, page.height * 4 // 5))
    assert inspect_frames(Frame(page, None), Frame(half, None), NO_SHIFT).result == "same"


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
