"""Pictures that are nearly the same: made scenes, known changes of a file, and other moments."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from PIL.Image import Image as Picture

from searchapp.bench.synthetic_photos import draw as texture

SIZES = ((640, 480), (480, 640), (720, 480), (600, 600), (800, 450))
WORDS = (
    "boat",
    "sheep",
    "a",
    "the",
    "of",
    "hill",
    "and",
    "green",
    "snow",
    "early",
    "light",
    "near",
)


@dataclass(frozen=True)
class Thing:
    """Something in a scene: where its middle is and how large, as shares of the frame."""

    seed: int
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Scene:
    """What a made picture shows; the same scene gives the same picture."""

    seed: int
    kind: str
    size: tuple[int, int]
    things: tuple[Thing, ...] = ()
    text: int = 0  # which words
    pan: tuple[float, float] = (0.0, 0.0)  # where the camera points, as shares of the frame


KINDS = ("photo", "photo", "photo", "night", "sky", "bricks", "page", "screen")


def scene(number: int, scale: float = 1.0) -> Scene:
    """Make up a scene; scale: how large its picture is."""
    rng = np.random.default_rng([number, 1])
    things = tuple(
        Thing(int(rng.integers(1 << 30)), *rng.uniform(0.2, 0.8, 2), float(rng.uniform(0.1, 0.3)))
        for _ in range(int(rng.integers(1, 5)))
    )
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    size = (round(scale * width), round(scale * height))
    return Scene(number, KINDS[number % len(KINDS)], size, things, text=number)


def other_moment(of: Scene, how: int) -> Scene:
    """Return the same scene at another moment: something moved, came, or the camera turned."""
    rng = np.random.default_rng([of.seed, 2, how])
    if of.kind in ("page", "screen"):
        return replace(of, text=of.text + 1000 + how)
    first, *rest = of.things
    match how % 3:
        case 0:
            step = rng.choice([-1, 1], 2) * rng.uniform(0.06, 0.2, 2)
            moved = replace(first, x=first.x + step[0], y=first.y + step[1])
            return replace(of, things=(moved, *rest))
        case 1:
            places = rng.uniform(0.15, 0.85, (200, 2))
            taken = np.array([(thing.x, thing.y) for thing in of.things])
            free = np.abs(places[:, None] - taken).max(axis=2).min(axis=1)
            come = Thing(int(rng.integers(1 << 30)), *places[free.argmax()].tolist(), 0.16)
            return replace(of, things=(*of.things, come))
        case _:
            step = rng.choice([-1, 1], 2) * rng.uniform(0.04, 0.1, 2)
            return replace(of, pan=(float(step[0]), float(step[1])))


def render(it: Scene) -> Picture:
    """Draw a scene."""
    width, height = it.size
    if it.kind == "page":
        return _page(it)
    if it.kind == "screen":
        return _screen(it)
    wide, high = int(width * 1.25), int(height * 1.25)  # more than the camera sees
    whole = _ground(it, wide, high)
    for thing in it.things:
        _stand(whole, thing, it)
    left = round(width * (0.125 + it.pan[0]))
    top = round(height * (0.125 + it.pan[1]))
    seen = whole.crop((left, top, left + width, top + height))
    if it.kind == "night":
        seen = ImageEnhance.Brightness(seen).enhance(0.25)
    noise = np.random.default_rng([it.seed, 3]).normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(seen) + noise, 0, 255).astype(np.uint8))


def _ground(it: Scene, width: int, height: int) -> Picture:
    if it.kind == "sky":
        rng = np.random.default_rng([it.seed, 4])
        top, bottom = rng.integers(90, 220, 3), rng.integers(120, 255, 3)
        share = np.linspace(0, 1, height)[:, None, None]
        column = (1 - share) * top + share * bottom
        sky = np.broadcast_to(column, (height, width, 3)).astype(np.uint8)
        return Image.blend(Image.fromarray(sky), texture(it.seed, width, height), 0.12)
    if it.kind == "bricks":
        wall = texture(it.seed, width, height)
        draw, side = ImageDraw.Draw(wall), 20 + it.seed % 30
        for y in range(0, height, side):
            draw.line((0, y, width, y), fill="#ccc", width=3)
            for x in range(y // side % 2 * side, width, 2 * side):
                draw.line((x, y, x, y + side), fill="#ccc", width=3)
        return wall
    return texture(it.seed, width, height)


def _stand(whole: Picture, thing: Thing, it: Scene) -> None:
    """Put a thing with a skin of its own into a scene, dark or light."""
    side = int(thing.size * min(it.size))
    shade = "#181420" if thing.seed % 3 else "#f4f0e8"
    skin = Image.blend(texture(thing.seed, side, side), Image.new("RGB", (side, side), shade), 0.6)
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    if thing.seed % 2:
        draw.ellipse((0, 0, side - 1, side - 1), fill=255)
    else:
        draw.polygon(((side // 2, 0), (side - 1, side - 1), (0, side * 2 // 3)), fill=255)
    left = int(it.size[0] * (0.125 + thing.x) - side / 2)
    top = int(it.size[1] * (0.125 + thing.y) - side / 2)
    whole.paste(skin, (left, top), mask.filter(ImageFilter.GaussianBlur(1)))


def _words(it: Scene, count: int) -> str:
    rng = np.random.default_rng([it.text, 5])
    return " ".join(rng.choice(WORDS) for _ in range(count))


def _page(it: Scene) -> Picture:
    """A printed page, as a scanner sees it."""
    page = Image.new("RGB", it.size, "#fbfaf6")
    draw, line = ImageDraw.Draw(page), 18
    words = _words(it, 1500)
    across = it.size[0] // 7
    for number in range(it.size[1] // line - 4):
        draw.text((30, 30 + line * number), words[number * across :][: across - 8], fill="#222")
    return page


def _screen(it: Scene) -> Picture:
    """A chat on a screen: the same frame, other messages."""
    screen = Image.new("RGB", it.size, "#cfdbe8")
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, it.size[0], 40), fill="#2a5db0")
    rng = np.random.default_rng([it.text, 6])
    y = 55
    while y < it.size[1] - 60:
        wide, high = int(rng.uniform(0.25, 0.65) * it.size[0]), int(rng.integers(28, 80))
        left = 12 if rng.random() < 0.5 else it.size[0] - wide - 12
        draw.rounded_rectangle((left, y, left + wide, y + high), 10, fill="white")
        draw.text((left + 10, y + 8), _words(replace(it, text=it.text + y), 4), fill="#222")
        y += high + 12
    return screen


# What is done to a file


def _saved(image: Picture, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _crop(image: Picture, share: float) -> Picture:
    """Cut a share of width and height off, half of it at each side."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def _brighter(image: Picture) -> Picture:
    return ImageEnhance.Brightness(image).enhance(1.1)


def _thumbnail(image: Picture) -> Picture:
    small = image.copy()
    small.thumbnail((256, 256), Image.Resampling.LANCZOS)
    return small


def _dated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "a title that a program has written"
    exif[0x0112] = 1
    return exif


def _with_exif(data: bytes) -> bytes:
    """Put EXIF into a JPEG without touching its picture."""
    exif = _dated().tobytes()
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


def _turned(turn: Image.Transpose) -> Callable[[bytes, Picture], tuple[str, bytes]]:
    return lambda _, image: ("jpg", _saved(image.transpose(turn), quality=90))


# Name -> of a JPEG file and its picture, the changed file: (suffix, bytes).
CHANGES: dict[str, Callable[[bytes, Picture], tuple[str, bytes]]] = {
    "same bytes": lambda data, _: ("jpg", data),
    "PNG copy": lambda _, image: ("png", _saved(image, "PNG", compress_level=1)),
    "other EXIF": lambda data, _: ("jpg", _with_exif(data)),
    "JPEG q30": lambda _, image: ("jpg", _saved(image, quality=30)),
    "WebP q60": lambda _, image: ("webp", _saved(image, "WEBP", quality=60, method=0)),
    "50 % resize": lambda _, image: (
        "jpg",
        _saved(image.resize((image.width // 2, image.height // 2)), quality=85),
    ),
    "thumbnail 256": lambda _, image: ("jpg", _saved(_thumbnail(image), quality=80)),
    "5 % crop": lambda _, image: ("jpg", _saved(_crop(image, 0.05), quality=90)),
    "10 % crop": lambda _, image: ("jpg", _saved(_crop(image, 0.10), quality=90)),
    "5 % off a corner": lambda _, image: (
        "jpg",
        _saved(image.crop((0, 0, image.width * 19 // 20, image.height * 19 // 20)), quality=90),
    ),
    "rotate 90": _turned(Image.Transpose.ROTATE_90),
    "rotate 180": _turned(Image.Transpose.ROTATE_180),
    "rotate 270": _turned(Image.Transpose.ROTATE_270),
    "mirror": _turned(Image.Transpose.FLIP_LEFT_RIGHT),
    "+10 % brightness": lambda _, image: ("jpg", _saved(_brighter(image), quality=90)),
}


HARD = ("10 % crop",)  # more than is promised


def folder_of(change: str, folder: Path) -> Path:
    """Return where the copies that were changed so are."""
    return folder / change.replace("%", "percent")


def write_original(image: Picture, file: Path) -> Path:
    """Write a picture as a camera would."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_saved(image, quality=92))
    return file


def write_changed(original: Path, change: str, folder: Path) -> Path:
    """Write a changed copy of a JPEG file into a folder of the change's name."""
    data = original.read_bytes()
    with Image.open(io.BytesIO(data)) as opened:
        suffix, changed = CHANGES[change](data, opened.convert("RGB"))
    file = folder_of(change, folder) / f"{original.stem}.{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(changed)
    return file
