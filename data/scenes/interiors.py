"""Paint rooms and table tops."""

from typing import Any

import numpy as np

from .canvas import Canvas, Color

WALL_COLORS: tuple[Color, ...] = (
    (226, 214, 196),
    (190, 208, 206),
    (214, 196, 200),
    (204, 212, 184),
)


def _draw_window(c: Canvas, d: Any, box: tuple[float, float, float, float]) -> None:
    """Draw a window with the sky of the mood."""
    x0, y0, x1, y1 = box
    d.rectangle(box, fill=(240, 238, 232))
    rim = 0.012 * c.height
    sky = c.mood.sky_colors
    for i in range(24):
        t = i / 24 * (len(sky) - 1)
        low, part = int(t), t - int(t)
        ink = tuple(int(a + part * (b - a)) for a, b in zip(sky[low], sky[low + 1], strict=True))
        top = y0 + rim + (y1 - y0 - 2 * rim) * i / 24
        d.rectangle([x0 + rim, top, x1 - rim, y1 - rim], fill=ink)
    d.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], fill=(240, 238, 232), width=int(rim) + 1)


def _apply_lamplight(c: Canvas) -> None:
    """Darken a room at night, and give it a warm light."""
    if c.mood.is_night:
        c.pixels *= np.array((0.56, 0.46, 0.38), np.float32)
        c.add_glow(c.sun_x, 0.3, 0.5, (110, 80, 36), 0.8)


def _paint_planks(c: Canvas, top: float, wood: Color, count: int) -> None:
    """Paint a wooden surface below an edge."""
    c.draw_with_pillow(
        lambda d: d.rectangle(
            [0, top * c.height, c.width, c.height], fill=tuple(int(v) for v in wood)
        )
    )
    below = np.clip((c.rows - top) * c.height, 0, 1)
    grain = c.make_noise(5 * c.aspect, 130) - 0.5
    c.pixels *= (1 + below * grain * 0.22)[..., None]
    depth = np.clip((c.rows - top) / (1 - top), 0, 1)
    lines = np.abs(((c.columns - 0.5) / (0.5 + 0.6 * depth) * count) % 1 - 0.5) > 0.485
    c.pixels *= (1 - 0.3 * below * lines)[..., None]


def paint_living_room(c: Canvas, horizon: float) -> None:
    """Paint a living room with a sofa, a window and a lamp."""
    wall = WALL_COLORS[int(c.rng.integers(len(WALL_COLORS)))]
    c.paint_gradient((wall, tuple(v * 0.9 for v in wall)))
    side = bool(c.rng.random() < 0.5)
    sofa = ((92, 120, 140), (150, 92, 80), (110, 128, 96), (150, 140, 126))[int(c.rng.integers(4))]

    def brush(d: Any) -> None:
        x = (0.1 if side else 0.62) * c.width
        _draw_window(c, d, (x, 0.1 * c.height, x + 0.36 * c.height, 0.42 * c.height))
        frame = (0.72 if side else 0.14) * c.width
        d.rectangle(
            [frame, 0.14 * c.height, frame + 0.2 * c.height, 0.3 * c.height], fill=(110, 80, 54)
        )
        inner = [
            frame + 0.015 * c.height,
            0.155 * c.height,
            frame + 0.185 * c.height,
            0.285 * c.height,
        ]
        d.rectangle(inner, fill=(206, 200, 176))
        d.ellipse(
            [frame + 0.07 * c.height, 0.19 * c.height, frame + 0.13 * c.height, 0.25 * c.height],
            (190, 110, 80),
        )

    c.draw_with_pillow(brush)
    _paint_planks(c, horizon, (176, 128, 84), 10)

    def furniture(d: Any) -> None:
        x0, x1, dark = 0.14 * c.width, 0.86 * c.width, tuple(int(v * 0.85) for v in sofa)
        radius = 0.05 * c.height
        d.rounded_rectangle([x0, 0.36 * c.height, x1, 0.7 * c.height], radius, fill=dark)
        d.rounded_rectangle([x0, 0.54 * c.height, x1, 0.72 * c.height], radius, fill=sofa)
        for left in (x0 - 0.06 * c.height, x1 - 0.06 * c.height):
            arm = [left, 0.46 * c.height, left + 0.12 * c.height, 0.74 * c.height]
            d.rounded_rectangle(arm, radius, fill=tuple(int(v * 0.93) for v in sofa))
        d.ellipse(
            [0.2 * c.width, 0.84 * c.height, 0.8 * c.width, 1.02 * c.height], fill=(196, 172, 150)
        )

    c.draw_with_pillow(furniture)
    _apply_lamplight(c)


def paint_kitchen(c: Canvas, horizon: float) -> None:
    """Paint a kitchen: tiles, a shelf, a window and a wooden worktop."""
    tile = ((236, 238, 236), (196, 218, 216), (240, 226, 196))[int(c.rng.integers(3))]
    c.paint_gradient((tile, tuple(v * 0.94 for v in tile)))

    def brush(d: Any) -> None:
        line, step = tuple(int(v * 0.88) for v in tile), 0.1 * c.height
        for i in range(int(c.width / step) + 1):
            d.line([(i * step, 0), (i * step, c.height)], fill=line)
        for j in range(11):
            d.line([(0, j * step), (c.width, j * step)], fill=line)
        _draw_window(
            c, d, (0.1 * c.width, 0.06 * c.height, 0.1 * c.width + 0.4 * c.height, 0.36 * c.height)
        )
        d.rectangle(
            [0.62 * c.width, 0.24 * c.height, 0.95 * c.width, 0.265 * c.height], fill=(150, 104, 66)
        )
        for i, ink in enumerate(((200, 80, 70), (90, 130, 160), (230, 190, 90), (110, 150, 100))):
            x = 0.64 * c.width + i * 0.1 * c.height
            d.rounded_rectangle(
                [x, 0.15 * c.height, x + 0.07 * c.height, 0.24 * c.height], 0.015 * c.height, ink
            )

    c.draw_with_pillow(brush)
    c.blur_picture(0.006)
    _paint_planks(c, horizon, (190, 142, 94), 8)
    _apply_lamplight(c)


def paint_table(c: Canvas, horizon: float) -> None:
    """Paint a dark wooden table before a blurred room."""
    wall = ((96, 84, 76), (70, 84, 88), (120, 96, 70))[int(c.rng.integers(3))]
    c.paint_gradient((tuple(v * 0.7 for v in wall), wall))
    for x, y, size in c.rng.random((9, 3)):
        c.add_glow(float(x), float(y) * horizon, 0.05 + 0.08 * float(size), (90, 70, 40), 0.7)
    _paint_planks(c, horizon, (128, 84, 52), 7)
    _apply_lamplight(c)


def paint_picnic(c: Canvas, horizon: float) -> None:
    """Paint a red and white checked cloth on grass."""
    c.paint_gradient(((150, 190, 110), (84, 140, 60)))
    c.pixels *= (0.8 + 0.4 * c.make_noise(50, 50))[..., None]
    depth = np.clip((c.rows - horizon) / (1 - horizon), 0, 1)
    down = (np.sqrt(depth + 0.02) * 13) % 2 < 1
    across = ((c.columns - 0.5) * c.aspect / (0.45 + 0.75 * depth) * 11) % 2 < 1
    pick = (down.astype(np.float32) + across)[..., None] / 2
    cloth = np.array((250, 246, 240)) * (1 - pick) + np.array((206, 40, 44)) * pick
    c.blend_color(np.clip((c.rows - horizon) * c.height, 0, 1) * np.ones_like(c.columns), cloth)
    c.pixels = c.pixels * np.array(c.mood.subject_light, np.float32)


def paint_stage(c: Canvas, horizon: float) -> None:
    """Paint a theater stage with red curtains and a spotlight."""
    c.pixels[:] = np.array((150, 18, 28), np.float32)
    folds = np.sin(c.columns * 60 * c.aspect / 1.33 + np.sin(c.columns * 17) * 2)
    c.pixels *= (0.62 + 0.38 * folds * np.ones_like(c.rows))[..., None]
    _paint_planks(c, horizon, (150, 104, 66), 14)
    c.pixels *= 0.66
    c.add_glow(0.5, 0.55, 0.5, (120, 96, 66), 0.9)


def paint_library(c: Canvas, horizon: float) -> None:
    """Paint a wall of bookshelves over a wooden desk."""
    c.pixels[:] = np.array((74, 50, 34), np.float32)

    def brush(d: Any) -> None:
        for shelf in range(5):
            x, foot = 0.0, (shelf + 1) * 0.16 * c.height
            while x < c.width:
                wide, tall = (
                    c.rng.uniform(0.018, 0.04) * c.height,
                    c.rng.uniform(0.1, 0.138) * c.height,
                )
                red, green, blue = c.rng.integers(50, 200, 3)
                ink = (int(red), int(green * 0.75), int(blue * 0.7))
                d.rectangle([x, foot - tall, x + wide - 1, foot], fill=ink)
                x += wide
            d.rectangle([0, foot, c.width, foot + 0.02 * c.height], fill=(112, 76, 48))

    c.draw_with_pillow(brush)
    c.blur_picture(0.005)
    _paint_planks(c, horizon, (140, 92, 56), 6)
    _apply_lamplight(c)
