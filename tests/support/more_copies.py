"""Make changed copies of pictures with other texts, borders and amounts than near_duplicates.py."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from PIL.Image import Image as Picture

from support.look_alikes import Pen
from support.picture_edits import warp_corners

CAPTIONS = (
    "Lake Bled, 14 August 2018",
    "Greetings from Lisbon",
    "Grandma's 80th birthday",
    "The last day of school",
    "Happy New Year 2020",
    "Our first hike in the Alps",
    "Mittagspause am See",
    "(c) J. Okafor Photography",
)


def _encode(picture: Picture, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _scale(picture: Picture, share: float) -> Picture:
    return picture.resize((round(picture.width * share), round(picture.height * share)))


def _crop(picture: Picture, pen: Pen, share: float) -> Picture:
    """Cut a share off width and height, more at one side than at the other."""
    left, top = (round(pen.random() * share * length) for length in picture.size)
    width, height = (round((1 - share) * length) for length in picture.size)
    return picture.crop((left, top, left + width, top + height))


def _change_light(picture: Picture, pen: Pen) -> Picture:
    kind = pen.choice(("brightness", "gamma", "contrast"))
    if kind == "gamma":
        power = pen.uniform(0.75, 0.9)
        return picture.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)
    enhance = ImageEnhance.Brightness if kind == "brightness" else ImageEnhance.Contrast
    return enhance(picture).enhance(pen.uniform(1.08, 1.2))


def _turn(picture: Picture, pen: Pen) -> Picture:
    return picture.rotate(pen.choice((90, 180, 270)), expand=True)


def _tilt(picture: Picture, pen: Pen) -> Picture:
    corners = [
        (x + sign_x * pen.uniform(0, 0.025), y + sign_y * pen.uniform(0, 0.025))
        for x, y, sign_x, sign_y in ((0, 0, 1, 1), (1, 0, -1, 1), (1, 1, -1, -1), (0, 1, 1, -1))
    ]
    return warp_corners(picture, corners)


def write_any_caption(picture: Picture, pen: Pen, text: str) -> Picture:
    """Write a text with an outline, a shadow, or on a band; above or below, at any side."""
    captioned = picture.convert("RGB")
    size = max(14, round(picture.height * pen.uniform(0.045, 0.09)))
    size = min(size, int(size * 0.9 * picture.width / pen.load_font(size).getlength(text)))
    font = pen.load_font(size)
    width = font.getlength(text)
    margin = 0.5 * size
    x = pen.choice((margin, (picture.width - width) / 2, picture.width - width - margin))
    y = pen.choice((margin, picture.height - 1.7 * size, picture.height - 1.7 * size))
    color = pen.choice(("white", "#ffe060", "black", "#ff4030"))
    ground = "black" if color != "black" else "white"
    style = pen.choice(("outline", "shadow", "band", "translucent band"))
    band = (0, round(y - 0.3 * size), picture.width, round(y + 1.5 * size))
    if style == "band":
        ImageDraw.Draw(captioned).rectangle(band, fill=ground)
    elif style == "translucent band":
        strip = captioned.crop(band)
        captioned.paste(Image.blend(strip, Image.new("RGB", strip.size, ground), 0.55), band[:2])
    draw = ImageDraw.Draw(captioned)
    if style == "shadow":
        draw.text((x + size / 14, y + size / 14), text, ground, font)
    outline = {"stroke_width": max(1, size // 14), "stroke_fill": ground}
    draw.text((x, y), text, color, font, **(outline if style == "outline" else {}))
    return captioned


def _add_border(picture: Picture, pen: Pen) -> Picture:
    """Add a frame, a frame in a frame, the paper of an instant photo, or bars at two sides."""
    width = round(pen.uniform(0.03, 0.1) * min(picture.size))
    color = pen.choice(("white", "black", "#e8e0d0", "#404048", "#7a1c1c"))
    kind = pen.choice(("frame", "two frames", "instant photo", "bars"))
    if kind == "two frames":
        return ImageOps.expand(ImageOps.expand(picture, max(2, width // 4), "black"), width, color)
    if kind == "instant photo":
        return ImageOps.expand(picture, (width, width, width, 3 * width), "#f6f4ee")
    if kind == "bars":
        bars = (width, 0) if pen.random() < 0.5 else (0, width)
        return ImageOps.expand(picture, bars, color)
    return ImageOps.expand(picture, width, color)


# By name: a function from a picture to the bytes of a changed copy.
MORE_CHANGES: dict[str, Callable[[Picture, Pen], bytes]] = {
    "JPEG q30": lambda picture, _: _encode(picture, 30),
    "half": lambda picture, _: _encode(_scale(picture, 0.5), 85),
    "256 px": lambda picture, _: _encode(_scale(picture, 256 / max(picture.size)), 80),
    "brighter": lambda picture, pen: _encode(_change_light(picture, pen)),
    "5 % crop": lambda picture, pen: _encode(_crop(picture, pen, 0.05)),
    "10 % crop": lambda picture, pen: _encode(_crop(picture, pen, 0.1)),
    "mirror": lambda picture, _: _encode(ImageOps.mirror(picture)),
    "rotated": lambda picture, pen: _encode(
        picture.rotate(pen.choice((90, 180, 270)), expand=True)
    ),
    "perspective": lambda picture, pen: _encode(_tilt(picture, pen)),
    "grayscale": lambda picture, _: _encode(picture.convert("L")),
    "caption": lambda picture, pen: _encode(write_any_caption(picture, pen, pen.choice(CAPTIONS))),
    "border": lambda picture, pen: _encode(_add_border(picture, pen)),
}


def make_changed_copy(picture: Picture, change: str, seed: int, font: str = "") -> bytes:
    """Return a changed copy of a picture, encoded; the same for the same seed."""
    return MORE_CHANGES[change](picture, Pen(f"{change} {seed}", font))
