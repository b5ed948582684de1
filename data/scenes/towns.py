"""Paint what people built outdoors: cities, streets, roads, farms, pitches."""

from typing import Any

import numpy as np

from .canvas import Canvas, Colour
from .landscapes import TREE, grass, mountain_range, plant, row_of_trees

FACADES: tuple[Colour, ...] = (
    (206, 92, 72),
    (232, 196, 120),
    (120, 160, 190),
    (236, 226, 206),
    (150, 184, 140),
    (222, 150, 140),
)


def windows(c: Canvas, d: Any, box: tuple[float, float, float, float], cell: float) -> None:
    """Draw a grid of windows on a wall, some of them lit at night."""
    x0, y0, x1, y1 = box
    columns, rows = max(1, int((x1 - x0) / cell)), max(1, int((y1 - y0) / (cell * 1.25)))
    wide, tall = (x1 - x0) / columns, (y1 - y0) / rows
    for i in range(columns):
        for j in range(rows):
            lamp = c.mood.night and c.rng.random() < 0.6
            dusk = c.mood.sun and c.rng.random() < 0.3
            glass = (255, 214, 120) if lamp or dusk else c.ink((88, 108, 130))
            left, top = x0 + wide * (i + 0.25), y0 + tall * (j + 0.25)
            d.rectangle([left, top, left + wide * 0.5, top + tall * 0.55], fill=glass)


def skyline(c: Canvas, base: float, tallest: float, shade: Colour, lamps: bool) -> None:
    """Raise a row of tower blocks on a base line."""
    x = -0.02
    blocks = []
    while x < 1.02:
        wide = c.rng.uniform(0.06, 0.12) / (c.aspect / 1.33)
        blocks.append((x, wide, tallest * c.rng.uniform(0.35, 1.0), c.rng.uniform(0.8, 1.15)))
        x += wide * c.rng.uniform(0.85, 1.1)

    def brush(d: Any) -> None:
        for left, wide, tall, tint in blocks:
            x0, x1 = left * c.w, (left + wide) * c.w
            y0, y1 = (base - tall) * c.h, base * c.h
            red, green, blue = (v * tint for v in shade)
            d.rectangle([x0, y0, x1, y1], fill=c.ink((red, green, blue)))
            if lamps:
                windows(c, d, (x0, y0 + 0.01 * c.h, x1, y1), 0.026 * c.h)

    c.draw(brush)


def city(c: Canvas, horizon: float) -> None:
    """Paint a city of tower blocks behind a wide street."""
    c.sky(horizon)
    skyline(c, horizon, 0.34, (150, 160, 180), False)
    if c.mood.night:
        c.glow(0.5, horizon, 0.6, (70, 50, 20), 0.6)
    skyline(c, horizon + 0.03, 0.5, (104, 112, 130), True)
    road = (222, 226, 234) if c.mood.snow else (112, 114, 120)
    c.fill(horizon + 0.03, road, tuple(v * 0.85 for v in road), 0.08)
    if c.mood.night or c.mood.rain:
        streaks = np.clip((c.noise(26 * c.aspect, 5) - 0.55) * 3, 0, 1)
        below = np.clip((c.rows - horizon - 0.03) * 8, 0, 1) * (1 - c.rows)
        c.px += (streaks * below)[..., None] * np.array((190, 130, 50), np.float32)


def street(c: Canvas, horizon: float) -> None:
    """Paint a street of coloured town houses."""
    c.sky(horizon)
    top, x, houses = horizon - 0.36, -0.03, []
    while x < 1.0:
        wide = c.rng.uniform(0.17, 0.25) / (c.aspect / 1.33)
        houses.append((x, wide, top + c.rng.uniform(-0.07, 0.07), int(c.rng.integers(6))))
        x += wide
    roof = (236, 240, 246) if c.mood.snow else (128, 74, 60)

    def brush(d: Any) -> None:
        for left, wide, eaves, paint in houses:
            x0, x1, y0, y1 = left * c.w, (left + wide) * c.w, eaves * c.h, horizon * c.h
            gable = [(x0 - 2, y0), ((x0 + x1) / 2, y0 - 0.13 * c.h), (x1 + 2, y0)]
            d.polygon(gable, fill=c.ink(roof))
            d.rectangle([x0, y0, x1, y1], fill=c.ink(FACADES[paint]))
            windows(c, d, (x0, y0, x1, y1 - 0.1 * c.h), 0.085 * c.h)
            door = (x0 + x1) / 2
            size = 0.035 * c.h
            d.rectangle([door - size, y1 - 0.11 * c.h, door + size, y1], fill=c.ink((90, 56, 40)))

    c.draw(brush)
    walk, tar = ((226, 230, 238),) * 2 if c.mood.snow else ((184, 180, 174), (92, 94, 100))
    c.fill(horizon, walk, walk, 0.06)
    c.fill(horizon + 0.07, tar, tuple(v * 0.9 for v in tar), 0.08)
    if not c.mood.snow:
        _dashes(c, horizon + 0.24)


def _dashes(c: Canvas, y: float) -> None:
    def brush(d: Any) -> None:
        for i in range(int(6 * c.aspect)):
            x = i * 0.17 * c.h
            d.rectangle([x, y * c.h, x + 0.09 * c.h, (y + 0.015) * c.h], fill=c.ink((236,) * 3))

    c.draw(brush)


def road(c: Canvas, horizon: float) -> None:
    """Paint a country road running to the horizon between fields."""
    c.sky(horizon)
    mountain_range(c, horizon + 0.02, 0.14, (120, 136, 150), -1)
    far, near = grass(c)
    c.fill(horizon, far, near, 0.14)
    row_of_trees(c, TREE, horizon + 0.02, 0.08, 9)
    end = 0.5 + c.rng.uniform(-0.08, 0.08)

    def brush(d: Any) -> None:
        tar = (150, 154, 164) if c.mood.snow else (96, 98, 104)
        y = horizon + 0.005
        edge = [(end - 0.012, y), (end + 0.012, y), (0.98, 1.0), (0.02, 1.0)]
        d.polygon([(px * c.w, py * c.h) for px, py in edge], fill=c.ink(tar))
        for near_t in (0.08, 0.18, 0.34, 0.6, 0.9):
            far_t = near_t * 0.8
            ys = [y + t * (1 - y) for t in (far_t, far_t, near_t, near_t)]
            xs = [end + (0.5 - end) * t for t in (far_t, far_t, near_t, near_t)]
            half = [-0.01 * far_t, 0.01 * far_t, 0.012 * near_t, -0.012 * near_t]
            shape = [((x + h) * c.w, v * c.h) for x, h, v in zip(xs, half, ys, strict=True)]
            d.polygon(shape, fill=c.ink((240, 236, 220)))

    c.draw(brush)


def farm(c: Canvas, horizon: float) -> None:
    """Paint a farm: a red barn, a fence and a meadow."""
    c.sky(horizon)
    far, near = grass(c)
    c.fill(c.ridge(horizon + 0.02, 0.08, 0.7, 0.3), far, near, 0.13)
    left = float(c.rng.choice([0.06, 0.62]))
    roof = (238, 242, 248) if c.mood.snow else (98, 88, 90)

    def barn(d: Any) -> None:
        def at(x: float, y: float) -> tuple[float, float]:
            return (left * c.w + x * c.h, (horizon + 0.06 + y) * c.h)

        d.polygon([at(0, 0), at(0, -0.2), at(0.2, -0.34), at(0.4, -0.2), at(0.4, 0)], c.ink(RED))
        for piece in ((-0.03, -0.18, 0.2, -0.34), (0.43, -0.18, 0.2, -0.34)):
            d.line([at(*piece[:2]), at(*piece[2:])], fill=c.ink(roof), width=int(0.03 * c.h))
        d.rectangle([*at(0.13, -0.16), *at(0.27, 0)], fill=c.ink((240, 236, 226)))
        d.rectangle([*at(0.145, -0.145), *at(0.255, 0)], fill=c.ink((120, 30, 26)))

    c.draw(barn)
    _fence(c, horizon + 0.12, (150, 116, 80))
    c.fill(c.ridge(horizon + 0.13, 0.01, 1), far, near, 0.15)


RED = (176, 44, 36)


def _fence(c: Canvas, foot: float, wood: Colour, tall: float = 0.09, gap: float = 0.09) -> None:
    def brush(d: Any) -> None:
        for rail in (0.3, 0.75):
            y = (foot - tall * rail) * c.h
            d.rectangle([0, y, c.w, y + 0.012 * c.h], fill=c.ink(wood))
        for i in range(int(c.aspect / gap) + 1):
            x = i * gap * c.h
            d.rectangle([x, (foot - tall) * c.h, x + 0.022 * c.h, foot * c.h], fill=c.ink(wood))

    c.draw(brush)


def garden(c: Canvas, horizon: float) -> None:
    """Paint a garden: a hedge, a white picket fence, flowers and a lawn."""
    c.sky(horizon)
    hedge = (232, 238, 244) if c.mood.snow else (58, 112, 52)
    for x in c.rng.random(3):
        plant(c, TREE, float(x), horizon + 0.05, float(c.rng.uniform(0.3, 0.42)))
    c.fill(c.ridge(horizon - 0.02, 0.03, 4), hedge, hedge, 0.35)
    _fence(c, horizon + 0.1, (240, 240, 236), 0.15, 0.055)
    far, near = grass(c)
    c.fill(horizon + 0.09, far, near, 0.16)
    if c.mood.snow:
        return
    for x, y, kind in c.rng.random((int(70 * c.aspect), 3)):
        paints = ((230, 60, 80), (250, 210, 70), (240, 240, 240), (170, 90, 200))
        ink, size = c.ink(paints[int(kind * 4)]), 0.011 * c.h
        px, py = x * c.w, (horizon + 0.095 + 0.035 * y) * c.h

        def brush(d: Any, px: float = px, py: float = py, ink: Any = ink, r: float = size) -> None:
            d.ellipse([px - r, py - r, px + r, py + r], fill=ink)

        c.draw(brush)


def pitch(c: Canvas, horizon: float) -> None:
    """Paint a football pitch with stands and a goal."""
    c.sky(horizon)
    c.fill(horizon - 0.16, (120, 124, 140), (90, 92, 104), 0.05)
    crowd = c.rng.integers(60, 240, (c.h // 6 + 1, c.w // 6 + 1, 3)).repeat(6, 0).repeat(6, 1)
    stand = np.clip((c.rows - horizon + 0.14) * c.h, 0, 1) * (c.rows < horizon - 0.02)
    shown = crowd[: c.h, : c.w].astype(np.float32) * np.array(c.mood.light, np.float32)
    c.blend(stand * 0.55 * np.ones_like(c.cols), shown)
    far, near = grass(c)
    c.fill(horizon, far, near, 0.06)
    bands = np.sin(np.sqrt(np.clip((c.rows - horizon) / (1 - horizon), 0, 1)) * 26) > 0
    c.px *= 1 + (bands * 0.1 * (c.rows > horizon))[..., None]
    goal = float(c.rng.uniform(0.35, 0.65))

    def brush(d: Any) -> None:
        white, thick = c.ink((250, 250, 250)), max(1, int(0.012 * c.h))
        x0, x1, y0, y1 = goal * c.w - 0.22 * c.h, goal * c.w + 0.22 * c.h, -0.17, 0.03
        posts = [(x0, y1), (x0, y0), (x1, y0), (x1, y1)]
        for i in range(1, 14):
            x = x0 + (x1 - x0) * i / 14
            net = [(x, (horizon + y0) * c.h), (x, (horizon + y1) * c.h)]
            d.line(net, fill=c.ink((190, 194, 200)))
        d.line([(x, (horizon + y) * c.h) for x, y in posts], fill=white, width=thick)
        for y in (0.05, 0.2):
            d.line([(0, (horizon + y) * c.h), (c.w, (horizon + y) * c.h)], white, thick)
        ring = [0.5 * c.w - 0.35 * c.h, (horizon + 0.28) * c.h, 0.5 * c.w + 0.35 * c.h, 1.1 * c.h]
        d.ellipse(ring, outline=white, width=thick)

    c.draw(brush)
    if c.mood.night:
        c.px *= 1.5
        for x in (0.08, 0.92):
            c.glow(x, 0.08, 0.12, (255, 255, 240), 1.0)
            c.glow(x, 0.3, 0.6, (60, 64, 60), 0.8)


def harbour(c: Canvas, horizon: float) -> None:
    """Paint a harbour town: coloured houses on the quay behind the water."""
    c.sky(horizon)
    far, near = grass(c)
    c.fill(c.ridge(horizon - 0.06, 0.14, 0.6, 0.35), far, near, 0.14)
    x, houses = -0.02, []
    while x < 1.0:
        wide = c.rng.uniform(0.06, 0.1) / (c.aspect / 1.33)
        houses.append((x, wide, c.rng.uniform(0.09, 0.17), int(c.rng.integers(6))))
        x += wide
    roof = (238, 242, 248) if c.mood.snow else (150, 78, 58)

    def brush(d: Any) -> None:
        for left, wide, tall, paint in houses:
            x0, x1, y1 = left * c.w, (left + wide) * c.w, (horizon - 0.01) * c.h
            y0 = y1 - tall * c.h
            peak = ((x0 + x1) / 2, y0 - 0.05 * c.h)
            d.polygon([(x0, y0), peak, (x1, y0)], fill=c.ink(roof))
            d.rectangle([x0, y0, x1, y1], fill=c.ink(FACADES[paint]))
            windows(c, d, (x0, y0, x1, y1), 0.045 * c.h)
        quay = [0, (horizon - 0.015) * c.h, c.w, (horizon + 0.02) * c.h]
        d.rectangle(quay, fill=c.ink((128, 122, 114)))

    c.draw(brush)
    c.water(horizon + 0.02, (80, 140, 164), (26, 84, 116))


def railway(c: Canvas, horizon: float) -> None:
    """Paint a railway line crossing green country."""
    c.sky(horizon)
    far, near = grass(c)
    c.fill(c.ridge(horizon + 0.02, 0.1, 0.7, 0.3), far, near, 0.13)
    row_of_trees(c, TREE, horizon + 0.06, 0.12, 9)
    c.fill(horizon + 0.1, far, near, 0.15)

    def brush(d: Any) -> None:
        y = horizon + 0.26
        d.rectangle([0, y * c.h, c.w, (y + 0.12) * c.h], fill=c.ink((150, 142, 134)))
        for i in range(int(17 * c.aspect)):
            x = i * 0.065 * c.h
            d.rectangle([x, (y + 0.015) * c.h, x + 0.032 * c.h, (y + 0.1) * c.h], c.ink(SLEEPER))
        for rail in (0.03, 0.075):
            d.rectangle(
                [0, (y + rail) * c.h, c.w, (y + rail + 0.011) * c.h], c.ink((196, 200, 206))
            )

    c.draw(brush)


SLEEPER = (92, 68, 52)
