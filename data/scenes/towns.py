"""Paint places in towns: cities, streets, harbors and football pitches."""

from typing import Any

import numpy as np

from .canvas import Canvas, Color
from .landscapes import (
    choose_grass_colors,
)

FACADE_COLORS: tuple[Color, ...] = (
    (206, 92, 72),
    (232, 196, 120),
    (120, 160, 190),
    (236, 226, 206),
    (150, 184, 140),
    (222, 150, 140),
)


def draw_windows(c: Canvas, d: Any, box: tuple[float, float, float, float], cell: float) -> None:
    """Draw a grid of windows on a wall; some are lit at night."""
    x0, y0, x1, y1 = box
    columns, rows = max(1, int((x1 - x0) / cell)), max(1, int((y1 - y0) / (cell * 1.25)))
    wide, tall = (x1 - x0) / columns, (y1 - y0) / rows
    for i in range(columns):
        for j in range(rows):
            lamp = c.mood.is_night and c.rng.random() < 0.6
            dusk = c.mood.has_sun and c.rng.random() < 0.3
            glass = (255, 214, 120) if lamp or dusk else c.drawing_color((88, 108, 130))
            left, top = x0 + wide * (i + 0.25), y0 + tall * (j + 0.25)
            d.rectangle([left, top, left + wide * 0.5, top + tall * 0.55], fill=glass)


def paint_skyline(c: Canvas, base: float, tallest: float, shade: Color, lamps: bool) -> None:
    """Paint a row of tower blocks on a base line."""
    x = -0.02
    blocks = []
    while x < 1.02:
        wide = c.rng.uniform(0.06, 0.12) / (c.aspect / 1.33)
        blocks.append((x, wide, tallest * c.rng.uniform(0.35, 1.0), c.rng.uniform(0.8, 1.15)))
        x += wide * c.rng.uniform(0.85, 1.1)

    def brush(d: Any) -> None:
        for left, wide, tall, tint in blocks:
            x0, x1 = left * c.width, (left + wide) * c.width
            y0, y1 = (base - tall) * c.height, base * c.height
            red, green, blue = (v * tint for v in shade)
            d.rectangle([x0, y0, x1, y1], fill=c.drawing_color((red, green, blue)))
            if lamps:
                draw_windows(c, d, (x0, y0 + 0.01 * c.height, x1, y1), 0.026 * c.height)

    c.draw_with_pillow(brush)


def paint_city(c: Canvas, horizon: float) -> None:
    """Paint a city of tower blocks behind a wide street."""
    c.paint_sky(horizon)
    paint_skyline(c, horizon, 0.34, (150, 160, 180), False)
    if c.mood.is_night:
        c.add_glow(0.5, horizon, 0.6, (70, 50, 20), 0.6)
    paint_skyline(c, horizon + 0.03, 0.5, (104, 112, 130), True)
    road = (222, 226, 234) if c.mood.has_snow else (112, 114, 120)
    c.fill_below(horizon + 0.03, road, tuple(v * 0.85 for v in road), 0.08)
    if c.mood.is_night or c.mood.has_rain:
        streaks = np.clip((c.make_noise(26 * c.aspect, 5) - 0.55) * 3, 0, 1)
        below = np.clip((c.rows - horizon - 0.03) * 8, 0, 1) * (1 - c.rows)
        c.pixels += (streaks * below)[..., None] * np.array((190, 130, 50), np.float32)


def paint_street(c: Canvas, horizon: float) -> None:
    """Paint a street of colorful town houses."""
    c.paint_sky(horizon)
    top, x, houses = horizon - 0.36, -0.03, []
    while x < 1.0:
        wide = c.rng.uniform(0.17, 0.25) / (c.aspect / 1.33)
        houses.append((x, wide, top + c.rng.uniform(-0.07, 0.07), int(c.rng.integers(6))))
        x += wide
    roof = (236, 240, 246) if c.mood.has_snow else (128, 74, 60)

    def brush(d: Any) -> None:
        for left, wide, eaves, paint in houses:
            x0, x1, y0, y1 = (
                left * c.width,
                (left + wide) * c.width,
                eaves * c.height,
                horizon * c.height,
            )
            gable = [(x0 - 2, y0), ((x0 + x1) / 2, y0 - 0.13 * c.height), (x1 + 2, y0)]
            d.polygon(gable, fill=c.drawing_color(roof))
            d.rectangle([x0, y0, x1, y1], fill=c.drawing_color(FACADE_COLORS[paint]))
            draw_windows(c, d, (x0, y0, x1, y1 - 0.1 * c.height), 0.085 * c.height)
            door = (x0 + x1) / 2
            size = 0.035 * c.height
            d.rectangle(
                [door - size, y1 - 0.11 * c.height, door + size, y1],
                fill=c.drawing_color((90, 56, 40)),
            )

    c.draw_with_pillow(brush)
    walk, tar = ((226, 230, 238),) * 2 if c.mood.has_snow else ((184, 180, 174), (92, 94, 100))
    c.fill_below(horizon, walk, walk, 0.06)
    c.fill_below(horizon + 0.07, tar, tuple(v * 0.9 for v in tar), 0.08)
    if not c.mood.has_snow:
        _paint_dashes(c, horizon + 0.24)


def _paint_dashes(c: Canvas, y: float) -> None:
    """Paint the dashed center line of a street."""

    def brush(d: Any) -> None:
        for i in range(int(6 * c.aspect)):
            x = i * 0.17 * c.height
            d.rectangle(
                [x, y * c.height, x + 0.09 * c.height, (y + 0.015) * c.height],
                fill=c.drawing_color((236,) * 3),
            )

    c.draw_with_pillow(brush)


def paint_pitch(c: Canvas, horizon: float) -> None:
    """Paint a football pitch with stands and a goal."""
    c.paint_sky(horizon)
    c.fill_below(horizon - 0.16, (120, 124, 140), (90, 92, 104), 0.05)
    crowd = (
        c.rng.integers(60, 240, (c.height // 6 + 1, c.width // 6 + 1, 3)).repeat(6, 0).repeat(6, 1)
    )
    stand = np.clip((c.rows - horizon + 0.14) * c.height, 0, 1) * (c.rows < horizon - 0.02)
    shown = crowd[: c.height, : c.width].astype(np.float32) * np.array(
        c.mood.light_color, np.float32
    )
    c.blend_color(stand * 0.55 * np.ones_like(c.columns), shown)
    far, near = choose_grass_colors(c)
    c.fill_below(horizon, far, near, 0.06)
    bands = np.sin(np.sqrt(np.clip((c.rows - horizon) / (1 - horizon), 0, 1)) * 26) > 0
    c.pixels *= 1 + (bands * 0.1 * (c.rows > horizon))[..., None]
    goal = float(c.rng.uniform(0.35, 0.65))

    def brush(d: Any) -> None:
        white, thick = c.drawing_color((250, 250, 250)), max(1, int(0.012 * c.height))
        x0, x1, y0, y1 = (
            goal * c.width - 0.22 * c.height,
            goal * c.width + 0.22 * c.height,
            -0.17,
            0.03,
        )
        posts = [(x0, y1), (x0, y0), (x1, y0), (x1, y1)]
        for i in range(1, 14):
            x = x0 + (x1 - x0) * i / 14
            net = [(x, (horizon + y0) * c.height), (x, (horizon + y1) * c.height)]
            d.line(net, fill=c.drawing_color((190, 194, 200)))
        d.line([(x, (horizon + y) * c.height) for x, y in posts], fill=white, width=thick)
        for y in (0.05, 0.2):
            d.line(
                [(0, (horizon + y) * c.height), (c.width, (horizon + y) * c.height)], white, thick
            )
        ring = [
            0.5 * c.width - 0.35 * c.height,
            (horizon + 0.28) * c.height,
            0.5 * c.width + 0.35 * c.height,
            1.1 * c.height,
        ]
        d.ellipse(ring, outline=white, width=thick)

    c.draw_with_pillow(brush)
    if c.mood.is_night:
        c.pixels *= 1.5
        for x in (0.08, 0.92):
            c.add_glow(x, 0.08, 0.12, (255, 255, 240), 1.0)
            c.add_glow(x, 0.3, 0.6, (60, 64, 60), 0.8)


def paint_harbor(c: Canvas, horizon: float) -> None:
    """Paint a harbor town: colorful houses on the quay behind the water."""
    c.paint_sky(horizon)
    far, near = choose_grass_colors(c)
    c.fill_below(c.make_ridge(horizon - 0.06, 0.14, 0.6, 0.35), far, near, 0.14)
    x, houses = -0.02, []
    while x < 1.0:
        wide = c.rng.uniform(0.06, 0.1) / (c.aspect / 1.33)
        houses.append((x, wide, c.rng.uniform(0.09, 0.17), int(c.rng.integers(6))))
        x += wide
    roof = (238, 242, 248) if c.mood.has_snow else (150, 78, 58)

    def brush(d: Any) -> None:
        for left, wide, tall, paint in houses:
            x0, x1, y1 = left * c.width, (left + wide) * c.width, (horizon - 0.01) * c.height
            y0 = y1 - tall * c.height
            peak = ((x0 + x1) / 2, y0 - 0.05 * c.height)
            d.polygon([(x0, y0), peak, (x1, y0)], fill=c.drawing_color(roof))
            d.rectangle([x0, y0, x1, y1], fill=c.drawing_color(FACADE_COLORS[paint]))
            draw_windows(c, d, (x0, y0, x1, y1), 0.045 * c.height)
        quay = [0, (horizon - 0.015) * c.height, c.width, (horizon + 0.02) * c.height]
        d.rectangle(quay, fill=c.drawing_color((128, 122, 114)))

    c.draw_with_pillow(brush)
    c.paint_water(horizon + 0.02, (80, 140, 164), (26, 84, 116))
