"""Paint places in the country: roads, farms, gardens and railway lines."""

from typing import Any

from .canvas import Canvas, Color
from .landscapes import (
    TREE_CODE,
    choose_grass_colors,
    paint_mountain_range,
    paint_plant,
    paint_tree_row,
)


def paint_road(c: Canvas, horizon: float) -> None:
    """Paint a country road running to the horizon between fields."""
    c.paint_sky(horizon)
    paint_mountain_range(c, horizon + 0.02, 0.14, (120, 136, 150), -1)
    far, near = choose_grass_colors(c)
    c.fill_below(horizon, far, near, 0.14)
    paint_tree_row(c, TREE_CODE, horizon + 0.02, 0.08, 9)
    end = 0.5 + c.rng.uniform(-0.08, 0.08)

    def brush(d: Any) -> None:
        tar = (150, 154, 164) if c.mood.has_snow else (96, 98, 104)
        y = horizon + 0.005
        edge = [(end - 0.012, y), (end + 0.012, y), (0.98, 1.0), (0.02, 1.0)]
        d.polygon([(px * c.width, py * c.height) for px, py in edge], fill=c.drawing_color(tar))
        for near_t in (0.08, 0.18, 0.34, 0.6, 0.9):
            far_t = near_t * 0.8
            ys = [y + t * (1 - y) for t in (far_t, far_t, near_t, near_t)]
            xs = [end + (0.5 - end) * t for t in (far_t, far_t, near_t, near_t)]
            half = [-0.01 * far_t, 0.01 * far_t, 0.012 * near_t, -0.012 * near_t]
            shape = [
                ((x + h) * c.width, v * c.height) for x, h, v in zip(xs, half, ys, strict=True)
            ]
            d.polygon(shape, fill=c.drawing_color((240, 236, 220)))

    c.draw_with_pillow(brush)


def paint_farm(c: Canvas, horizon: float) -> None:
    """Paint a farm: a red barn, a fence and a meadow."""
    c.paint_sky(horizon)
    far, near = choose_grass_colors(c)
    c.fill_below(c.make_ridge(horizon + 0.02, 0.08, 0.7, 0.3), far, near, 0.13)
    left = float(c.rng.choice([0.06, 0.62]))
    roof = (238, 242, 248) if c.mood.has_snow else (98, 88, 90)

    def barn(d: Any) -> None:
        def to_pixels(x: float, y: float) -> tuple[float, float]:
            return (left * c.width + x * c.height, (horizon + 0.06 + y) * c.height)

        d.polygon(
            [
                to_pixels(0, 0),
                to_pixels(0, -0.2),
                to_pixels(0.2, -0.34),
                to_pixels(0.4, -0.2),
                to_pixels(0.4, 0),
            ],
            c.drawing_color(BARN_COLOR),
        )
        for piece in ((-0.03, -0.18, 0.2, -0.34), (0.43, -0.18, 0.2, -0.34)):
            d.line(
                [to_pixels(*piece[:2]), to_pixels(*piece[2:])],
                fill=c.drawing_color(roof),
                width=int(0.03 * c.height),
            )
        d.rectangle(
            [*to_pixels(0.13, -0.16), *to_pixels(0.27, 0)], fill=c.drawing_color((240, 236, 226))
        )
        d.rectangle(
            [*to_pixels(0.145, -0.145), *to_pixels(0.255, 0)], fill=c.drawing_color((120, 30, 26))
        )

    c.draw_with_pillow(barn)
    _paint_fence(c, horizon + 0.12, (150, 116, 80))
    c.fill_below(c.make_ridge(horizon + 0.13, 0.01, 1), far, near, 0.15)


BARN_COLOR = (176, 44, 36)


def _paint_fence(
    c: Canvas, foot: float, wood: Color, tall: float = 0.09, gap: float = 0.09
) -> None:
    def brush(d: Any) -> None:
        for rail in (0.3, 0.75):
            y = (foot - tall * rail) * c.height
            d.rectangle([0, y, c.width, y + 0.012 * c.height], fill=c.drawing_color(wood))
        for i in range(int(c.aspect / gap) + 1):
            x = i * gap * c.height
            d.rectangle(
                [x, (foot - tall) * c.height, x + 0.022 * c.height, foot * c.height],
                fill=c.drawing_color(wood),
            )

    c.draw_with_pillow(brush)


def paint_garden(c: Canvas, horizon: float) -> None:
    """Paint a garden: a hedge, a white picket fence, flowers and a lawn."""
    c.paint_sky(horizon)
    hedge = (232, 238, 244) if c.mood.has_snow else (58, 112, 52)
    for x in c.rng.random(3):
        paint_plant(c, TREE_CODE, float(x), horizon + 0.05, float(c.rng.uniform(0.3, 0.42)))
    c.fill_below(c.make_ridge(horizon - 0.02, 0.03, 4), hedge, hedge, 0.35)
    _paint_fence(c, horizon + 0.1, (240, 240, 236), 0.15, 0.055)
    far, near = choose_grass_colors(c)
    c.fill_below(horizon + 0.09, far, near, 0.16)
    if c.mood.has_snow:
        return
    for x, y, kind in c.rng.random((int(70 * c.aspect), 3)):
        paints = ((230, 60, 80), (250, 210, 70), (240, 240, 240), (170, 90, 200))
        ink, size = c.drawing_color(paints[int(kind * 4)]), 0.011 * c.height
        px, py = x * c.width, (horizon + 0.095 + 0.035 * y) * c.height

        def brush(d: Any, px: float = px, py: float = py, ink: Any = ink, r: float = size) -> None:
            d.ellipse([px - r, py - r, px + r, py + r], fill=ink)

        c.draw_with_pillow(brush)


def paint_railway(c: Canvas, horizon: float) -> None:
    """Paint a railway line through green country."""
    c.paint_sky(horizon)
    far, near = choose_grass_colors(c)
    c.fill_below(c.make_ridge(horizon + 0.02, 0.1, 0.7, 0.3), far, near, 0.13)
    paint_tree_row(c, TREE_CODE, horizon + 0.06, 0.12, 9)
    c.fill_below(horizon + 0.1, far, near, 0.15)

    def brush(d: Any) -> None:
        y = horizon + 0.26
        d.rectangle(
            [0, y * c.height, c.width, (y + 0.12) * c.height], fill=c.drawing_color((150, 142, 134))
        )
        for i in range(int(17 * c.aspect)):
            x = i * 0.065 * c.height
            d.rectangle(
                [x, (y + 0.015) * c.height, x + 0.032 * c.height, (y + 0.1) * c.height],
                c.drawing_color(SLEEPER_COLOR),
            )
        for rail in (0.03, 0.075):
            d.rectangle(
                [0, (y + rail) * c.height, c.width, (y + rail + 0.011) * c.height],
                c.drawing_color((196, 200, 206)),
            )

    c.draw_with_pillow(brush)


SLEEPER_COLOR = (92, 68, 52)
