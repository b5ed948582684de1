"""Draw scenes, change copies of their files, and draw other moments of the same scenes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from PIL.Image import Image as Picture

from searchapp.bench.synthetic_photos import draw_photo as texture
from support.picture_edits import add_border, tilt_picture, write_caption

PICTURE_SIZES = ((640, 480), (480, 640), (720, 480), (600, 600), (800, 450))
PAGE_WORDS = (
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
class SceneObject:
    """Object in a scene; its center and size are shares of the frame."""

    seed: int
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class MadeScene:
    """Content of a picture; the same scene always gives the same picture."""

    seed: int
    kind: str
    size: tuple[int, int]
    things: tuple[SceneObject, ...] = ()
    text_seed: int = 0  # Chooses the words.
    pan: tuple[float, float] = (0.0, 0.0)  # Direction of the camera, as shares of the frame.


SCENE_KINDS = ("photo", "photo", "photo", "night", "sky", "bricks", "page", "screen")


def make_scene(number: int, scale: float = 1.0) -> MadeScene:
    """Return a random scene; scale: size of its picture."""
    rng = np.random.default_rng([number, 1])
    things = tuple(
        SceneObject(
            int(rng.integers(1 << 30)), *rng.uniform(0.2, 0.8, 2), float(rng.uniform(0.1, 0.3))
        )
        for _ in range(int(rng.integers(1, 5)))
    )
    width, height = PICTURE_SIZES[int(rng.integers(len(PICTURE_SIZES)))]
    size = (round(scale * width), round(scale * height))
    return MadeScene(number, SCENE_KINDS[number % len(SCENE_KINDS)], size, things, text_seed=number)


def make_other_moment(scene: MadeScene, change_number: int) -> MadeScene:
    """Return a scene at another moment: an object moved or appeared, or the camera turned."""
    rng = np.random.default_rng([scene.seed, 2, change_number])
    if scene.kind in ("page", "screen"):
        return replace(scene, text_seed=scene.text_seed + 1000 + change_number)
    first, *rest = scene.things
    match change_number % 3:
        case 0:
            step = rng.choice([-1, 1], 2) * rng.uniform(0.06, 0.2, 2)
            moved = replace(first, x=first.x + step[0], y=first.y + step[1])
            return replace(scene, things=(moved, *rest))
        case 1:
            places = rng.uniform(0.15, 0.85, (200, 2))
            taken = np.array([(thing.x, thing.y) for thing in scene.things])
            free = np.abs(places[:, None] - taken).max(axis=2).min(axis=1)
            come = SceneObject(int(rng.integers(1 << 30)), *places[free.argmax()].tolist(), 0.16)
            return replace(scene, things=(*scene.things, come))
        case _:
            step = rng.choice([-1, 1], 2) * rng.uniform(0.04, 0.1, 2)
            return replace(scene, pan=(float(step[0]), float(step[1])))


def render_scene(scene: MadeScene) -> Picture:
    """Return the picture of a scene."""
    width, height = scene.size
    if scene.kind == "page":
        return _draw_page(scene)
    if scene.kind == "screen":
        return _draw_screen(scene)
    wide, high = (
        int(width * 1.25),
        int(height * 1.25),
    )  # Larger than the frame, so that the camera can turn.
    wide_view = _draw_background(scene, wide, high)
    for thing in scene.things:
        _draw_object(wide_view, thing, scene)
    left = round(width * (0.125 + scene.pan[0]))
    top = round(height * (0.125 + scene.pan[1]))
    view = wide_view.crop((left, top, left + width, top + height))
    if scene.kind == "night":
        view = ImageEnhance.Brightness(view).enhance(0.25)
    noise = np.random.default_rng([scene.seed, 3]).normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(view) + noise, 0, 255).astype(np.uint8))


def _draw_background(scene: MadeScene, width: int, height: int) -> Picture:
    if scene.kind == "sky":
        rng = np.random.default_rng([scene.seed, 4])
        top, bottom = rng.integers(90, 220, 3), rng.integers(120, 255, 3)
        share = np.linspace(0, 1, height)[:, None, None]
        column = (1 - share) * top + share * bottom
        sky = np.broadcast_to(column, (height, width, 3)).astype(np.uint8)
        return Image.blend(Image.fromarray(sky), texture(scene.seed, width, height), 0.12)
    if scene.kind == "bricks":
        wall = texture(scene.seed, width, height)
        draw, side = ImageDraw.Draw(wall), 20 + scene.seed % 30
        for y in range(0, height, side):
            draw.line((0, y, width, y), fill="#ccc", width=3)
            for x in range(y // side % 2 * side, width, 2 * side):
                draw.line((x, y, x, y + side), fill="#ccc", width=3)
        return wall
    return texture(scene.seed, width, height)


def _draw_object(picture: Picture, scene_object: SceneObject, scene: MadeScene) -> None:
    """Draw an object with its own texture into a scene, dark or light."""
    side = int(scene_object.size * min(scene.size))
    shade = "#181420" if scene_object.seed % 3 else "#f4f0e8"
    skin = Image.blend(
        texture(scene_object.seed, side, side), Image.new("RGB", (side, side), shade), 0.6
    )
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    if scene_object.seed % 2:
        draw.ellipse((0, 0, side - 1, side - 1), fill=255)
    else:
        draw.polygon(((side // 2, 0), (side - 1, side - 1), (0, side * 2 // 3)), fill=255)
    left = int(scene.size[0] * (0.125 + scene_object.x) - side / 2)
    top = int(scene.size[1] * (0.125 + scene_object.y) - side / 2)
    picture.paste(skin, (left, top), mask.filter(ImageFilter.GaussianBlur(1)))


def _make_text(scene: MadeScene, count: int) -> str:
    rng = np.random.default_rng([scene.text_seed, 5])
    return " ".join(rng.choice(PAGE_WORDS) for _ in range(count))


def _draw_page(scene: MadeScene) -> Picture:
    """Return a scan of a printed page."""
    page = Image.new("RGB", scene.size, "#fbfaf6")
    draw, line = ImageDraw.Draw(page), 18
    words = _make_text(scene, 1500)
    across = scene.size[0] // 7
    for number in range(scene.size[1] // line - 4):
        draw.text((30, 30 + line * number), words[number * across :][: across - 8], fill="#222")
    return page


def _draw_screen(scene: MadeScene) -> Picture:
    """Return a screenshot of a chat: the frame is the same, the messages differ."""
    screen = Image.new("RGB", scene.size, "#cfdbe8")
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, scene.size[0], 40), fill="#2a5db0")
    rng = np.random.default_rng([scene.text_seed, 6])
    y = 55
    while y < scene.size[1] - 60:
        wide, high = int(rng.uniform(0.25, 0.65) * scene.size[0]), int(rng.integers(28, 80))
        left = 12 if rng.random() < 0.5 else scene.size[0] - wide - 12
        draw.rounded_rectangle((left, y, left + wide, y + high), 10, fill="white")
        draw.text(
            (left + 10, y + 8),
            _make_text(replace(scene, text_seed=scene.text_seed + y), 4),
            fill="#222",
        )
        y += high + 12
    return screen


# Changes of a file.


def _encode_picture(image: Picture, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _crop_picture(image: Picture, share: float) -> Picture:
    """Crop a share of width and height, half of it at each side."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def _brighten(image: Picture) -> Picture:
    return ImageEnhance.Brightness(image).enhance(1.1)


def _make_thumbnail(image: Picture) -> Picture:
    small = image.copy()
    small.thumbnail((256, 256), Image.Resampling.LANCZOS)
    return small


def _make_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "a title that a program has written"
    exif[0x0112] = 1
    return exif


def _insert_exif(data: bytes) -> bytes:
    """Insert EXIF into a JPEG without changing its pixels."""
    exif = _make_exif().tobytes()
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


def _make_rotation(turn: Image.Transpose) -> Callable[[bytes, Picture], tuple[str, bytes]]:
    return lambda _, image: ("jpg", _encode_picture(image.transpose(turn), quality=90))


# By name: a function from the bytes and the picture of a JPEG to (suffix, bytes) of a copy.
CHANGES: dict[str, Callable[[bytes, Picture], tuple[str, bytes]]] = {
    "same bytes": lambda data, _: ("jpg", data),
    "PNG copy": lambda _, image: ("png", _encode_picture(image, "PNG", compress_level=1)),
    "other EXIF": lambda data, _: ("jpg", _insert_exif(data)),
    "JPEG q30": lambda _, image: ("jpg", _encode_picture(image, quality=30)),
    "WebP q60": lambda _, image: ("webp", _encode_picture(image, "WEBP", quality=60, method=0)),
    "50 % resize": lambda _, image: (
        "jpg",
        _encode_picture(image.resize((image.width // 2, image.height // 2)), quality=85),
    ),
    "thumbnail 256": lambda _, image: ("jpg", _encode_picture(_make_thumbnail(image), quality=80)),
    "5 % crop": lambda _, image: ("jpg", _encode_picture(_crop_picture(image, 0.05), quality=90)),
    "10 % crop": lambda _, image: ("jpg", _encode_picture(_crop_picture(image, 0.10), quality=90)),
    "5 % off a corner": lambda _, image: (
        "jpg",
        _encode_picture(
            image.crop((0, 0, image.width * 19 // 20, image.height * 19 // 20)), quality=90
        ),
    ),
    "perspective": lambda _, image: ("jpg", _encode_picture(tilt_picture(image), quality=90)),
    "grayscale": lambda _, image: ("jpg", _encode_picture(image.convert("L"), quality=90)),
    "caption": lambda _, image: ("jpg", _encode_picture(write_caption(image), quality=90)),
    "border": lambda _, image: ("jpg", _encode_picture(add_border(image), quality=90)),
    "rotate 90": _make_rotation(Image.Transpose.ROTATE_90),
    "rotate 180": _make_rotation(Image.Transpose.ROTATE_180),
    "rotate 270": _make_rotation(Image.Transpose.ROTATE_270),
    "mirror": _make_rotation(Image.Transpose.FLIP_LEFT_RIGHT),
    "+10 % brightness": lambda _, image: ("jpg", _encode_picture(_brighten(image), quality=90)),
}


# The share of the copies that must be found, if all are not promised.
HARD_CHANGES = {"10 % crop": 0.8, "caption": 0.5}


def change_folder(change: str, folder: Path) -> Path:
    """Return the folder of copies with a change."""
    return folder / change.replace("%", "percent")


def encode_original(image: Picture) -> bytes:
    """Return a picture as a JPEG of camera quality."""
    return _encode_picture(image, quality=92)


def write_original(image: Picture, file: Path) -> Path:
    """Write a picture as a JPEG of camera quality; return its file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode_original(image))
    return file


def write_changed_copy(original: Path, change: str, folder: Path) -> Path:
    """Write a changed copy of a JPEG into the folder of the change; return its file."""
    data = original.read_bytes()
    with Image.open(io.BytesIO(data)) as opened:
        suffix, changed = CHANGES[change](data, opened.convert("RGB"))
    file = change_folder(change, folder) / f"{original.stem}.{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(changed)
    return file
