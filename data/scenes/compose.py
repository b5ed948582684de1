"""Render a scene: paint the place, add the subjects, weather and camera effects."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .canvas import Canvas, Pixels
from .glyphs import light_glyph
from .place import Place
from .places import PLACES
from .subjects import SUBJECTS

SIZE_BY_COUNT = {1: 1.0, 2: 0.82, 3: 0.7, 4: 0.62}
SIZE_OF_MANY = 0.46
INDOOR_KINDS = {"room", "table"}
WEATHERLESS_KINDS = {"under", "space"}
SIZE_BY_PLACE_KIND = {"air": 1.12, "under": 1.12, "table": 1.3, "room": 1.08}


@dataclass(frozen=True)
class SceneItem:
    """A subject in a scene."""

    subject: str  # key of SUBJECTS
    count: int = 1
    color: str = ""  # empty: the natural color


@dataclass(frozen=True)
class Scene:
    """Description of a picture."""

    place: str  # key of PLACES
    mood: str = "day"  # key of MOODS
    items: tuple[SceneItem, ...] = field(default_factory=tuple)
    zoom: float = 1.0  # factor for the size of subjects


@dataclass
class _PlacedItem:
    item: SceneItem
    x: float
    depth: float


def render_scene(
    scene: Scene, width: int, height: int, seed: int, oversample: float = 1.0
) -> Image.Image:
    """Return the picture of a scene; the same seed gives the same picture.

    oversample: factor for the resolution at which the scene is painted.
    """
    rng = np.random.default_rng(seed)
    big = (round(width * oversample), round(height * oversample))
    canvas = Canvas(*big, rng, scene.mood)
    place = PLACES[scene.place]
    horizon = place.horizon + float(rng.uniform(-0.03, 0.03))
    place.paint(canvas, horizon)
    if any(item.subject == "rainbow" for item in scene.items):
        _paint_rainbow(canvas, horizon)
    if canvas.mood.fog and place.kind not in INDOOR_KINDS:
        _paint_fog(canvas, horizon)
    canvas.blur_picture(0.0022)
    for placed in _place_items(canvas, scene):
        _paint_subject(canvas, place, scene, placed)
    if place.kind not in INDOOR_KINDS | WEATHERLESS_KINDS:
        _paint_weather(canvas)
    _add_camera_effects(canvas)
    image = canvas.to_image()
    if oversample != 1:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return image


def _place_items(c: Canvas, scene: Scene) -> list[_PlacedItem]:
    """Distribute the subjects over the width, and return them sorted, the far ones first."""
    items = [item for item in scene.items if SUBJECTS[item.subject].code]
    slots = [item for item in items for _ in range(item.count)]
    if not slots:
        return []
    if len(slots) == 1:
        return [
            _PlacedItem(slots[0], float(c.rng.uniform(0.34, 0.66)), float(c.rng.uniform(0.35, 0.9)))
        ]
    step = 0.84 / len(slots)
    xs = [0.08 + step * (i + 0.5) + c.rng.uniform(-0.16, 0.16) * step for i in range(len(slots))]
    if c.rng.random() < 0.5:
        xs = [1 - x for x in xs]
    spread = 0.35 if len(slots) < 4 else 1.0
    depths = [float(np.clip(0.6 + spread * c.rng.uniform(-0.6, 0.4), 0, 1)) for _ in slots]
    placed = [_PlacedItem(*parts) for parts in zip(slots, xs, depths, strict=True)]
    return sorted(placed, key=lambda item: item.depth)


def _paint_subject(c: Canvas, place: Place, scene: Scene, placed: _PlacedItem) -> None:
    """Paint one subject, with its shadow or its reflection."""
    subject = SUBJECTS[placed.item.subject]
    indoor = place.kind in INDOOR_KINDS
    trim = subject.foot_trim if place.kind == "water" else 0.0
    piece = light_glyph(subject.code, trim, subject.hue, placed.item.color, scene.mood, indoor)
    total = sum(item.count for item in scene.items)
    size = (
        subject.size
        * SIZE_BY_COUNT.get(total, SIZE_OF_MANY)
        * (0.8 + 0.25 * placed.depth)
        * scene.zoom
    )
    size *= float(c.rng.uniform(0.93, 1.1)) * SIZE_BY_PLACE_KIND.get(place.kind, 1.0)
    tall = size * c.height
    tall = min(tall, 0.86 * c.width / max(1, min(total, 3)) * piece.height / piece.width)
    shape = (max(4, int(tall * piece.width / piece.height)), max(4, int(tall)))
    piece = piece.resize(shape, Image.Resampling.LANCZOS)
    if c.rng.random() < 0.5 and placed.item.subject not in {"television", "liberty", "laptop"}:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    far, near = place.foot_band
    foot = far + (near - far) * placed.depth
    if place.kind in {"air", "under", "space"}:
        lean = float(c.rng.uniform(-12, 12))
        piece = piece.rotate(lean, Image.Resampling.BICUBIC, expand=True)
        foot = float(c.rng.uniform(far, near)) if total > 1 else foot
        foot = min(0.95, foot + tall / c.height * 0.35)
    left, top = int(placed.x * c.width - piece.width / 2), int(foot * c.height - piece.height)
    top = max(top, int(0.03 * c.height))
    if place.kind == "water":
        _paint_reflection(c, piece, left, top + piece.height)
    elif place.kind in {"land", "room", "table"}:
        _paint_shadow(c, piece, left, top + piece.height)
    if c.mood.is_night and place.kind in {"land", "water"}:
        c.add_glow(placed.x, foot - size / 2, size * 0.75, (34, 36, 48), 0.8)
    if place.kind == "under":
        piece = _tint_piece(piece, (20, 90, 150), 0.16)
    if c.mood.fog > 0.3 and not indoor:
        piece = _tint_piece(piece, (205, 209, 212), 0.42 * (1 - 0.6 * placed.depth))
    c.paste_piece(piece, left, top)
    if place.kind == "water":
        _paint_foam(c, piece, left, top + piece.height)


def _tint_piece(piece: Image.Image, rgb: tuple[int, int, int], amount: float) -> Image.Image:
    """Return a subject blended with a haze color; its transparency stays."""
    haze = Image.new("RGB", piece.size, rgb)
    result = Image.blend(piece.convert("RGB"), haze, amount)
    result.putalpha(piece.getchannel("A"))
    return result


def _paint_shadow(c: Canvas, piece: Image.Image, left: int, foot: int) -> None:
    """Darken the ground under a subject."""
    wide, tall = int(piece.width * 1.3), max(6, int(piece.width * 0.26))
    mask = Image.new("L", (wide, tall), 0)
    box = [wide * 0.1, tall * 0.25, wide * 0.9, tall * 0.75]
    ImageDraw.Draw(mask).ellipse(box, fill=150)
    mask = mask.filter(ImageFilter.GaussianBlur(tall * 0.12))
    dark = Image.new("RGBA", mask.size, (10, 14, 22, 0))
    dark.putalpha(mask)
    c.paste_piece(dark, left + (piece.width - wide) // 2, foot - int(tall * 0.56))


def _paint_reflection(c: Canvas, piece: Image.Image, left: int, foot: int) -> None:
    """Paint a faded mirror image on the water."""
    low = piece.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    low = low.resize((piece.width, max(2, int(piece.height * 0.5))))
    alpha = np.asarray(low.getchannel("A"), np.float32)
    fade = np.linspace(0.5, 0.05, low.height, dtype=np.float32)[:, None]
    ripple = 0.75 + 0.25 * np.sin(np.arange(low.height) * 55 / c.height * 6)[:, None]
    low.putalpha(Image.fromarray((alpha * fade * ripple).astype(np.uint8), "L"))
    c.paste_piece(low.filter(ImageFilter.GaussianBlur(0.004 * c.height)), left, foot)


def _paint_foam(c: Canvas, piece: Image.Image, left: int, foot: int) -> None:
    """Paint a light water line where a subject touches the water."""
    wide, tall = int(piece.width * 1.1), max(4, int(0.02 * c.height))
    mask = Image.new("L", (wide, tall), 0)
    ImageDraw.Draw(mask).ellipse([wide * 0.04, tall * 0.3, wide * 0.96, tall * 0.8], fill=150)
    mask = mask.filter(ImageFilter.GaussianBlur(tall * 0.14))
    red, green, blue = c.drawing_color((226, 238, 244))
    foam = Image.new("RGBA", mask.size, (red, green, blue, 0))
    foam.putalpha(mask)
    c.paste_piece(foam, left + (piece.width - wide) // 2, foot - tall // 2)


def _paint_rainbow(c: Canvas, horizon: float) -> None:
    """Paint a rainbow over the horizon."""
    x, radius = float(c.rng.uniform(0.35, 0.65)), 0.42 * min(1.0, c.aspect)
    away = np.sqrt(((c.columns - x) * c.aspect) ** 2 + (c.rows - horizon - 0.06) ** 2)
    bands = ((150, 70, 220), (60, 90, 240), (50, 200, 90), (250, 230, 60), (250, 140, 40))
    for i, rgb in enumerate((*bands, (236, 50, 50))):
        near = np.exp(-(((away - radius - i * 0.014) / 0.009) ** 2))
        fade = np.clip((horizon + 0.04 - c.rows) * 12, 0, 1)
        c.blend_color(near * fade * 0.75, np.array(rgb, np.float32))


def _paint_fog(c: Canvas, horizon: float) -> None:
    """Paint fog, densest at the horizon."""
    near = np.exp(-(((c.rows - horizon) / 0.26) ** 2))
    thick = c.mood.fog * (0.55 + 0.6 * near) * (0.8 + 0.4 * c.make_noise(4, 6))
    thick = thick * np.where(c.rows > horizon, np.clip(1.3 - (c.rows - horizon) * 2, 0.2, 1), 1)
    c.blend_color(np.clip(thick, 0, 0.96), np.array(c.mood.sky_colors[-1], np.float32))


def _paint_weather(c: Canvas) -> None:
    if c.mood.has_snow:
        for size, count in ((0.0035, 260), (0.006, 110), (0.011, 26)):
            c.blend_color(
                _make_flake_mask(c, size, int(count * c.aspect)),
                np.array((250, 252, 255), np.float32),
            )
    if c.mood.has_rain:
        c.blend_color(_make_rain_mask(c) * 0.5, np.array((200, 212, 226), np.float32))


def _make_flake_mask(c: Canvas, size: float, count: int) -> Pixels:
    mask = Image.new("L", (c.width, c.height), 0)
    draw, radius = ImageDraw.Draw(mask), max(0.6, size * c.height)
    for x, y in c.rng.random((count, 2)):
        px, py = x * c.width, y * c.height
        draw.ellipse([px - radius, py - radius, px + radius, py + radius], fill=225)
    soft = mask.filter(ImageFilter.GaussianBlur(radius * 0.4))
    return np.asarray(soft, np.float32) / 255


def _make_rain_mask(c: Canvas) -> Pixels:
    mask = Image.new("L", (c.width, c.height), 0)
    draw, lean = ImageDraw.Draw(mask), float(c.rng.uniform(-0.02, 0.02))
    for x, y, long in c.rng.random((int(240 * c.aspect), 3)):
        size = (0.04 + 0.06 * long) * c.height
        line = [x * c.width, y * c.height, x * c.width + lean * c.height, y * c.height + size]
        draw.line(line, fill=int(120 + 120 * long), width=max(1, round(c.height / 420)))
    return np.asarray(mask, np.float32) / 255


def _add_camera_effects(c: Canvas) -> None:
    """Add the vignette of a lens, a slight color cast and sensor noise."""
    away = (c.columns - 0.5) ** 2 + (c.rows - 0.5) ** 2
    c.pixels *= (1.03 - 0.34 * away * c.rng.uniform(0.6, 1.3))[..., None]
    c.pixels *= c.rng.uniform(0.97, 1.03, 3).astype(np.float32) * np.float32(
        c.rng.uniform(0.95, 1.06)
    )
    c.pixels += c.rng.normal(0, 2.0, (c.height, c.width, 1)).astype(np.float32)
