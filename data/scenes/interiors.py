"""Paint rooms and table tops."""

from typing import Any

import numpy as np

from .canvas import Canvas, Colour

WALLS: tuple[Colour, ...] = ((226, 214, 196), (190, 208, 206), (214, 196, 200), (204, 212, 184))


def _outside(c: Canvas, d: Any, box: tuple[float, float, float, float]) -> None:
    """Draw a window that shows the mood's sky."""
    x0, y0, x1, y1 = box
    d.rectangle(box, fill=(240, 238, 232))
    rim = 0.012 * c.h
    sky = c.mood.sky
    for i in range(24):
        t = i / 24 * (len(sky) - 1)
        low, part = int(t), t - int(t)
        ink = tuple(int(a + part * (b - a)) for a, b in zip(sky[low], sky[low + 1], strict=True))
        top = y0 + rim + (y1 - y0 - 2 * rim) * i / 24
        d.rectangle([x0 + rim, top, x1 - rim, y1 - rim], fill=ink)
    d.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], fill=(240, 238, 232), width=int(rim) + 1)


def _lamplight(c: Canvas) -> None:
    """Dim a room at night and warm it."""
    if c.mood.night:
        c.px *= np.array((0.56, 0.46, 0.38), np.float32)
        c.glow(c.sun_x, 0.3, 0.5, (110, 80, 36), 0.8)


def _planks(c: Canvas, top: float, wood: Colour, count: int) -> None:
    """Lay a wooden surface below an edge."""
    c.draw(lambda d: d.rectangle([0, top * c.h, c.w, c.h], fill=tuple(int(v) for v in wood)))
    below = np.clip((c.rows - top) * c.h, 0, 1)
    grain = c.noise(5 * c.aspect, 130) - 0.5
    c.px *= (1 + below * grain * 0.22)[..., None]
    depth = np.clip((c.rows - top) / (1 - top), 0, 1)
    lines = np.abs(((c.cols - 0.5) / (0.5 + 0.6 * depth) * count) % 1 - 0.5) > 0.485
    c.px *= (1 - 0.3 * below * lines)[..., None]


def living_room(c: Canvas, horizon: float) -> None:
    """Paint a living room with a sofa, a window and a lamp."""
    wall = WALLS[int(c.rng.integers(len(WALLS)))]
    c.gradient((wall, tuple(v * 0.9 for v in wall)))
    side = bool(c.rng.random() < 0.5)
    sofa = ((92, 120, 140), (150, 92, 80), (110, 128, 96), (150, 140, 126))[int(c.rng.integers(4))]

    def brush(d: Any) -> None:
        x = (0.1 if side else 0.62) * c.w
        _outside(c, d, (x, 0.1 * c.h, x + 0.36 * c.h, 0.42 * c.h))
        frame = (0.72 if side else 0.14) * c.w
        d.rectangle([frame, 0.14 * c.h, frame + 0.2 * c.h, 0.3 * c.h], fill=(110, 80, 54))
        inner = [frame + 0.015 * c.h, 0.155 * c.h, frame + 0.185 * c.h, 0.285 * c.h]
        d.rectangle(inner, fill=(206, 200, 176))
        d.ellipse([frame + 0.07 * c.h, 0.19 * c.h, frame + 0.13 * c.h, 0.25 * c.h], (190, 110, 80))

    c.draw(brush)
    _planks(c, horizon, (176, 128, 84), 10)

    def furniture(d: Any) -> None:
        x0, x1, dark = 0.14 * c.w, 0.86 * c.w, tuple(int(v * 0.85) for v in sofa)
        radius = 0.05 * c.h
        d.rounded_rectangle([x0, 0.36 * c.h, x1, 0.7 * c.h], radius, fill=dark)
        d.rounded_rectangle([x0, 0.54 * c.h, x1, 0.72 * c.h], radius, fill=sofa)
        for left in (x0 - 0.06 * c.h, x1 - 0.06 * c.h):
            arm = [left, 0.46 * c.h, left + 0.12 * c.h, 0.74 * c.h]
            d.rounded_rectangle(arm, radius, fill=tuple(int(v * 0.93) for v in sofa))
        d.ellipse([0.2 * c.w, 0.84 * c.h, 0.8 * c.w, 1.02 * c.h], fill=(196, 172, 150))

    c.draw(furniture)
    _lamplight(c)


def kitchen(c: Canvas, horizon: float) -> None:
    """Paint a kitchen: tiles, a shelf, a window and a wooden worktop."""
    tile = ((236, 238, 236), (196, 218, 216), (240, 226, 196))[int(c.rng.integers(3))]
    c.gradient((tile, tuple(v * 0.94 for v in tile)))

    def brush(d: Any) -> None:
        line, step = tuple(int(v * 0.88) for v in tile), 0.1 * c.h
        for i in range(int(c.w / step) + 1):
            d.line([(i * step, 0), (i * step, c.h)], fill=line)
        for j in range(11):
            d.line([(0, j * step), (c.w, j * step)], fill=line)
        _outside(c, d, (0.1 * c.w, 0.06 * c.h, 0.1 * c.w + 0.4 * c.h, 0.36 * c.h))
        d.rectangle([0.62 * c.w, 0.24 * c.h, 0.95 * c.w, 0.265 * c.h], fill=(150, 104, 66))
        for i, ink in enumerate(((200, 80, 70), (90, 130, 160), (230, 190, 90), (110, 150, 100))):
            x = 0.64 * c.w + i * 0.1 * c.h
            d.rounded_rectangle([x, 0.15 * c.h, x + 0.07 * c.h, 0.24 * c.h], 0.015 * c.h, ink)

    c.draw(brush)
    c.blur(0.006)
    _planks(c, horizon, (190, 142, 94), 8)
    _lamplight(c)


def table(c: Canvas, horizon: float) -> None:
    """Paint a dark wooden table before a blurred room."""
    wall = ((96, 84, 76), (70, 84, 88), (120, 96, 70))[int(c.rng.integers(3))]
    c.gradient((tuple(v * 0.7 for v in wall), wall))
    for x, y, size in c.rng.random((9, 3)):
        c.glow(float(x), float(y) * horizon, 0.05 + 0.08 * float(size), (90, 70, 40), 0.7)
    _planks(c, horizon, (128, 84, 52), 7)
    _lamplight(c)


def picnic(c: Canvas, horizon: float) -> None:
    """Paint a red and white checked cloth laid on grass."""
    c.gradient(((150, 190, 110), (84, 140, 60)))
    c.px *= (0.8 + 0.4 * c.noise(50, 50))[..., None]
    depth = np.clip((c.rows - horizon) / (1 - horizon), 0, 1)
    down = (np.sqrt(depth + 0.02) * 13) % 2 < 1
    across = ((c.cols - 0.5) * c.aspect / (0.45 + 0.75 * depth) * 11) % 2 < 1
    pick = (down.astype(np.float32) + across)[..., None] / 2
    cloth = np.array((250, 246, 240)) * (1 - pick) + np.array((206, 40, 44)) * pick
    c.blend(np.clip((c.rows - horizon) * c.h, 0, 1) * np.ones_like(c.cols), cloth)
    c.px = c.px * np.array(c.mood.subject, np.float32)


def stage(c: Canvas, horizon: float) -> None:
    """Paint a theatre stage with red curtains and a spotlight."""
    c.px[:] = np.array((150, 18, 28), np.float32)
    folds = np.sin(c.cols * 60 * c.aspect / 1.33 + np.sin(c.cols * 17) * 2)
    c.px *= (0.62 + 0.38 * folds * np.ones_like(c.rows))[..., None]
    _planks(c, horizon, (150, 104, 66), 14)
    c.px *= 0.66
    c.glow(0.5, 0.55, 0.5, (120, 96, 66), 0.9)


def library(c: Canvas, horizon: float) -> None:
    """Paint a wall of bookshelves over a wooden desk."""
    c.px[:] = np.array((74, 50, 34), np.float32)

    def brush(d: Any) -> None:
        for shelf in range(5):
            x, foot = 0.0, (shelf + 1) * 0.16 * c.h
            while x < c.w:
                wide, tall = c.rng.uniform(0.018, 0.04) * c.h, c.rng.uniform(0.1, 0.138) * c.h
                red, green, blue = c.rng.integers(50, 200, 3)
                ink = (int(red), int(green * 0.75), int(blue * 0.7))
                d.rectangle([x, foot - tall, x + wide - 1, foot], fill=ink)
                x += wide
            d.rectangle([0, foot, c.w, foot + 0.02 * c.h], fill=(112, 76, 48))

    c.draw(brush)
    c.blur(0.005)
    _planks(c, horizon, (140, 92, 56), 6)
    _lamplight(c)
