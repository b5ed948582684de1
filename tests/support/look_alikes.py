"""Draw pairs of pictures that differ in a small thing: text, a digit, a sign, a face, an object."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.Image import Image as Picture

WORDS = (
    "garden",
    "due",
    "summer",
    "total",
    "amount",
    "doctor",
    "paid",
    "winter",
    "school",
    "order",
)
# A pair whose difference a person could not see is drawn again.
MIN_VISIBLE_PIXELS, MIN_VISIBLE_LEVELS = 30, 40
MAX_DRAWINGS = 100  # until a change is visible

Pair = tuple[Picture, Picture]


class Pen(random.Random):
    """Random choices for a pair, and the font of its texts."""

    def __init__(self, seed: str | float, font: str = "") -> None:
        """Choose by `seed`. font: a file; empty: the font that Pillow brings."""
        super().__init__(seed)
        self.font = font

    def load_font(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """Return the font in a size in pixels."""
        size = max(10, size)
        return ImageFont.truetype(self.font, size) if self.font else ImageFont.load_default(size)


Draw = Callable[[Picture, Pen], Pair]


class InvisibleChangeError(Exception):
    """A change that cannot be seen: a part of a uniform photo was moved, for example."""


@dataclass(frozen=True)
class LookAlike:
    """Two encoded pictures that are not the same."""

    first: bytes
    second: bytes


def _change_digit(number: str, pen: Pen) -> str:
    place = pen.randrange(len(number))
    digit = str((int(number[place]) + pen.randrange(1, 10)) % 10)
    return number[:place] + digit + number[place + 1 :]


def _write_signs(picture: Picture, texts: tuple[str, str], pen: Pen) -> Pair:
    """Write each text on a sign at one place of a photo."""
    size = round(picture.height * pen.uniform(0.04, 0.08))
    x = pen.randrange(max(1, picture.width - 6 * size))
    y = pen.randrange(size, picture.height - 2 * size)
    colors = pen.choice((("white", "black"), ("#1d4e9e", "white"), ("#ffd800", "black")))
    signs = (picture.copy(), picture.copy())
    for sign, text in zip(signs, texts, strict=True):
        draw = ImageDraw.Draw(sign)
        draw.rectangle((x, y, x + 5.5 * size, y + 1.5 * size), fill=colors[0])
        draw.text((x + size * 0.3, y + size * 0.1), text, fill=colors[1], font=pen.load_font(size))
    return signs


def draw_digits(picture: Picture, pen: Pen) -> Pair:
    """Draw a sign with a number, of which one digit differs."""
    number = str(pen.randrange(1000, 9999))
    return _write_signs(picture, (number, _change_digit(number, pen)), pen)


def draw_words(picture: Picture, pen: Pen) -> Pair:
    """Draw a sign with a word that differs."""
    one, other = pen.sample(WORDS, 2)
    return _write_signs(picture, (one, other), pen)


def draw_date_stamps(picture: Picture, pen: Pen) -> Pair:
    """Write the date into a corner, one day or year later in the second picture."""
    day, size = pen.randrange(1, 20), round(picture.height * pen.uniform(0.05, 0.07))
    texts = (f"{day:02} 07 2021", f"{day + pen.randrange(1, 9):02} 07 2021")
    stamps = (picture.copy(), picture.copy())
    for stamp, text in zip(stamps, texts, strict=True):
        place = (picture.width - 7 * size, picture.height - 1.6 * size)
        ImageDraw.Draw(stamp).text(place, text, fill="#ff8c20", font=pen.load_font(size))
    return stamps


def _choose_box(picture: Picture, pen: Pen, shares: tuple[float, float]) -> list[int]:
    side = round(min(picture.size) * pen.uniform(*shares))
    left, top = (pen.randrange(length - side) for length in picture.size)
    return [left, top, left + side, top + side]


def draw_patch(picture: Picture, pen: Pen) -> Pair:
    """Replace a rectangle by another part of the picture."""
    left, top, right, bottom = _choose_box(picture, pen, (0.08, 0.2))
    width, height = right - left, bottom - top
    x, y = pen.randrange(picture.width - width), pen.randrange(picture.height - height)
    patched = picture.copy()
    patched.paste(picture.crop((x, y, x + width, y + height)), (left, top))
    return picture, patched


def turn_part(picture: Picture, pen: Pen) -> Pair:
    """Mirror a part of the picture, as if a face looked the other way."""
    box = _choose_box(picture, pen, (0.1, 0.2))
    turned = picture.copy()
    turned.paste(ImageOps.mirror(picture.crop(tuple(box))), tuple(box[:2]))
    return picture, turned


def draw_faces(picture: Picture, pen: Pen) -> Pair:
    """Draw a face that looks to the left, and to the right."""
    left, top, right, bottom = _choose_box(picture, pen, (0.12, 0.22))
    side, faces = right - left, (picture.copy(), picture.copy())
    for face, direction in zip(faces, (-1, 1), strict=True):
        draw = ImageDraw.Draw(face)
        draw.ellipse((left, top, right, bottom), fill="#e0b090", outline="#704020", width=2)
        center = left + side / 2 + direction * side * 0.12
        for eye in (-0.16, 0.16):
            x, y, radius = center + eye * side, top + side * 0.4, side * 0.06
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#202020")
        x = center + direction * side * 0.1
        draw.line((x, top + side * 0.45, x, top + side * 0.6), fill="#704020", width=2)
        draw.arc(
            (x - side * 0.2, top + side * 0.5, x + side * 0.2, top + side * 0.8), 20, 160, "red"
        )
    return faces


def _draw_balls(picture: Picture, pen: Pen, moves: tuple[float, float], color: str) -> Pair:
    side = round(min(picture.size) * pen.uniform(0.06, 0.12))
    x = pen.randrange(round(1.5 * side), picture.width - 3 * side)
    y = pen.randrange(side, picture.height - 2 * side)
    base = pen.choice(("#c03020", "#2060c0", "#f0e020"))
    scenes = (picture.copy(), picture.copy())
    for scene, move, fill in zip(scenes, moves, (base, color or base), strict=True):
        left = x + move * side
        ImageDraw.Draw(scene).ellipse((left, y, left + side, y + side), fill=fill, outline="black")
    return scenes


def move_object(picture: Picture, pen: Pen) -> Pair:
    """Draw a ball, a bit to the side in the second picture."""
    return _draw_balls(picture, pen, (0, pen.choice((-1.2, -0.4, 0.4, 1.2))), "")


def recolor_object(picture: Picture, pen: Pen) -> Pair:
    """Draw a ball in another color in the second picture."""
    return _draw_balls(picture, pen, (0, 0), "#309040")


def add_object(picture: Picture, pen: Pen) -> Pair:
    """Draw a ball in the second picture only."""
    return picture, _draw_balls(picture, pen, (0, 0), "")[1]


PHOTO_KINDS: dict[str, Draw] = {
    "digits on a sign": draw_digits,
    "word on a sign": draw_words,
    "date stamp": draw_date_stamps,
    "changed patch": draw_patch,
    "part turned": turn_part,
    "face turned": draw_faces,
    "object moved": move_object,
    "object in another color": recolor_object,
    "object added": add_object,
}


def _draw_lines(pen: Pen, changed: dict[str, str], size: tuple[int, int]) -> Picture:
    page = Image.new("RGB", size, pen.choice(("white", "#fbfaf6", "#f4f4f4")))
    draw, unit = ImageDraw.Draw(page), size[0] // 40
    draw.text(
        (2 * unit, 2 * unit), "North Wind Power Company", fill="black", font=pen.load_font(2 * unit)
    )
    head = f"Invoice {changed['number']}   Amount due: {changed['amount']} EUR"
    draw.text((2 * unit, 6 * unit), head, fill="black", font=pen.load_font(unit))
    y = 9 * unit
    while y < size[1] - 8 * unit:
        line = " ".join(pen.choice(WORDS) for _ in range(6))
        draw.text((2 * unit, y), line, fill="#202020", font=pen.load_font(unit))
        y += round(1.7 * unit)
    foot = f"Name: {changed['name']}"
    draw.text((2 * unit, y + unit), foot, fill="#102060", font=pen.load_font(unit))
    box = (30 * unit, y + unit, 31.5 * unit, y + 2.5 * unit)
    draw.rectangle(box, outline="black", width=2)
    if changed["checked"]:
        draw.line(box, fill="black", width=2)
        draw.line((box[0], box[3], box[2], box[1]), fill="black", width=2)
    return page


def draw_documents(kind: str, pen: Pen, size: tuple[int, int] | None = None) -> Pair:
    """Draw an invoice or form twice; one field differs. size: in pixels; None: any."""
    fields = {
        "number": str(pen.randrange(10000, 99999)),
        "amount": f"{pen.randrange(100, 999)}.{pen.randrange(10, 99)}",
        "name": pen.choice(("Anna Berg", "Tom Li", "Eva Roth")),
        "checked": "",
    }
    other = dict(fields)
    if kind == "digit of a document":
        other["number"] = _change_digit(fields["number"], pen)
    elif kind == "amount of a document":
        other["amount"] = f"{pen.randrange(100, 999)}.{pen.randrange(10, 99)}"
    elif kind == "name in a form":
        other["name"] = pen.choice(("Jan Holm", "Ida Kern", ""))
    else:
        other["checked"] = "yes"
    any_size, seed = pen.choice(((827, 1169), (1000, 1414), (768, 1024))), pen.random()
    one, two = (
        _draw_lines(Pen(seed, pen.font), texts, size or any_size) for texts in (fields, other)
    )
    return one, two


def draw_chats(pen: Pen) -> Pair:
    """Draw a chat twice, with other messages in bubbles of the same size."""
    size = pen.choice(((540, 1170), (600, 1067)))
    chats = (Image.new("RGB", size, "#ece5dd"), Image.new("RGB", size, "#ece5dd"))
    unit, count = size[0] // 27, pen.choice((1, 3, 20))
    changed = set(pen.sample(range(7), min(7, count)))
    for number, chat in enumerate(chats):
        draw = ImageDraw.Draw(chat)
        draw.rectangle((0, 0, size[0], 4 * unit), fill="#075e54")
        draw.text((4 * unit, unit), "Family", fill="white", font=pen.load_font(2 * unit))
        for row in range(7):
            words = random.Random(row + 100 * number * (row in changed) + pen.randrange(1))
            left, top = (unit, 10 * unit)[row % 2], (6 + 5 * row) * unit
            fill = ("white", "#dcf8c6")[row % 2]
            draw.rounded_rectangle((left, top, left + 15 * unit, top + 4 * unit), 10, fill=fill)
            for line in range(2):
                text = " ".join(words.choice(WORDS) for _ in range(3))
                place = (left + unit // 2, top + (0.4 + 1.7 * line) * unit)
                draw.text(place, text, fill="black", font=pen.load_font(unit))
    return chats


DOCUMENT_KINDS: dict[str, Callable[[Pen], Pair]] = {
    kind: lambda pen, kind=kind: draw_documents(kind, pen)  # type: ignore[misc]
    for kind in (
        "digit of a document",
        "amount of a document",
        "name in a form",
        "box in a form",
    )
} | {"messages of a chat": draw_chats}


def _is_visible(pair: Pair) -> bool:
    one, other = (np.asarray(picture.convert("RGB"), np.int16) for picture in pair)
    is_changed = np.abs(one - other).max(axis=2) >= MIN_VISIBLE_LEVELS
    return int(is_changed.sum()) >= MIN_VISIBLE_PIXELS


def _encode(picture: Picture, pen: Pen) -> bytes:
    buffer = io.BytesIO()
    quality = pen.choice((0, 75, 85, 92, 95))
    if quality:
        picture.save(buffer, "JPEG", quality=quality)
    else:
        picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def make_look_alike(
    draw: Callable[..., Pair], photo: Picture | None, pen: Pen, scales: tuple[float, ...] = ()
) -> LookAlike:
    """Return a pair drawn by a function for photos, or by one for documents (photo: None).

    scales: the second picture has one of these, compared with the first; empty: the same size.
    Raises InvisibleChangeError if the photo has too few details.
    """
    for _ in range(MAX_DRAWINGS):
        one, other = draw(pen) if photo is None else draw(photo, pen)
        if _is_visible((one, other)):
            break
    else:
        raise InvisibleChangeError
    if scales:
        scale = pen.choice(scales)
        size = round(other.width * scale), round(other.height * scale)
        other = other.resize(size, Image.Resampling.LANCZOS)
    return LookAlike(_encode(one, pen), _encode(other, pen))
