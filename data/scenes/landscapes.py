"""Paint landscapes: hills, mountains, forests, deserts, snow, water, sky and space."""

import numpy as np
from PIL import ImageDraw

from .canvas import Canvas, Color
from .glyphs import light_glyph

PINE_CODE, TREE_CODE, PALM_CODE, CACTUS_CODE = "1f332", "1f333", "1f334", "1f335"
FAR_GRASS_COLOR, NEAR_GRASS_COLOR = (140, 178, 92), (74, 130, 48)
FAR_SNOW_COLOR, NEAR_SNOW_COLOR = (228, 234, 244), (246, 248, 252)


def choose_grass_colors(c: Canvas) -> tuple[Color, Color]:
    """Return the colors of a meadow, far and near: green, or white when it snows."""
    return (
        (FAR_SNOW_COLOR, NEAR_SNOW_COLOR)
        if c.mood.has_snow
        else (FAR_GRASS_COLOR, NEAR_GRASS_COLOR)
    )


def paint_plant(c: Canvas, code: str, x: float, foot: float, height: float) -> None:
    """Paint a background tree with its foot at a point."""
    piece = light_glyph(code, 0.0, (0.82, 0.08), "brown", c.mood_name, False)
    tall = max(3, int(height * c.height))
    piece = piece.resize((max(2, int(tall * piece.width / piece.height)), tall))
    if c.mood.is_night:
        piece = piece.copy()
        piece.paste((10, 16, 34), (0, 0), piece.getchannel("A").point(lambda a: a * 120 // 255))
    c.paste_piece(piece, int(x * c.width - piece.width / 2), int(foot * c.height - tall))


def paint_tree_row(c: Canvas, code: str, foot: float, height: float, count: int) -> None:
    """Paint an irregular row of trees across the picture."""
    count = max(2, int(count * c.aspect / 1.33))
    for i in range(count):
        x = (i + c.rng.uniform(0.1, 0.9)) / count
        paint_plant(
            c, code, x, foot + c.rng.uniform(-0.01, 0.015), height * c.rng.uniform(0.75, 1.2)
        )


def paint_mountain_range(
    c: Canvas, base: float, height: float, rock: Color, snowline: float
) -> None:
    """Paint a jagged mountain range with snow on its peaks."""
    edge = c.make_ridge(base, height, 0.9, 0.55)
    c.fill_below(edge, rock, tuple(v * 0.75 for v in rock), 0.2)
    jag = 0.05 * (c.make_noise(26 * c.aspect, 14) - 0.5)
    if c.mood.has_snow:
        snowline += 0.4
    line = edge.min() + snowline * height + jag
    inside = np.clip((c.rows - edge[None, :]) * c.height + 0.5, 0, 1)
    shade = 0.8 + 0.3 * c.make_noise(18 * c.aspect, 6)
    white = c.light_color((250, 252, 255)) * shade[..., None]
    c.blend_color(inside * np.clip((line - c.rows) * 90, 0, 1), white)


def paint_sea(c: Canvas, horizon: float) -> None:
    """Paint the open sea."""
    c.paint_sky(horizon)
    c.paint_water(horizon)


def paint_lake(c: Canvas, horizon: float) -> None:
    """Paint a lake under mountains, with a wooded shore."""
    c.paint_sky(horizon)
    paint_mountain_range(c, horizon, 0.32, (112, 124, 146), 0.35)
    shore = FAR_SNOW_COLOR if c.mood.has_snow else (70, 104, 62)
    c.fill_below(c.make_ridge(horizon, 0.035, 1.5), shore, shore, 0.2)
    paint_tree_row(c, PINE_CODE, horizon + 0.004, 0.07, 34)
    c.paint_water(horizon, (118, 168, 178), (30, 92, 116))


def paint_beach(c: Canvas, horizon: float) -> None:
    """Paint a sandy beach with the sea behind and a palm at one side."""
    c.paint_sky(horizon)
    c.paint_water(horizon, (110, 196, 208), (60, 170, 190))
    edge = c.make_ridge(horizon + 0.17, 0.03, 0.5, 0.3)
    white = np.clip(1 - np.abs(c.rows - edge[None, :]) / 0.014, 0, 1)
    c.fill_below(edge, (238, 214, 160), (222, 188, 126), 0.1)
    c.blend_color(white * 0.9, c.light_color((250, 252, 252)))
    side = 0.06 if c.rng.random() < 0.5 else 0.94
    if c.rng.random() < 0.75:
        paint_plant(c, PALM_CODE, side, horizon + 0.3, c.rng.uniform(0.5, 0.62))


def paint_hills(c: Canvas, horizon: float) -> None:
    """Paint rolling green hills."""
    c.paint_sky(horizon)
    far, near = choose_grass_colors(c)
    for step, tint in ((0.0, 0.86), (0.09, 0.95), (0.2, 1.05)):
        edge = c.make_ridge(horizon + step + 0.03, 0.1, 0.7, 0.3)
        c.fill_below(edge, tuple(v * tint for v in far), tuple(v * tint for v in near), 0.13)
        if step < 0.2:
            for _ in range(int(c.rng.integers(2, 6))):
                x = float(c.rng.random())
                paint_plant(
                    c, TREE_CODE, x, float(edge[int(x * c.width)]) + 0.015, 0.06 + step * 0.4
                )


def paint_mountains(c: Canvas, horizon: float) -> None:
    """Paint high snowy mountains behind a meadow."""
    c.paint_sky(horizon)
    paint_mountain_range(c, horizon + 0.02, 0.42, (128, 138, 160), 0.5)
    paint_mountain_range(c, horizon + 0.05, 0.2, (92, 104, 122), 0.1)
    far, near = choose_grass_colors(c)
    c.fill_below(c.make_ridge(horizon + 0.08, 0.03, 0.8), far, near, 0.13)
    paint_tree_row(c, PINE_CODE, horizon + 0.1, 0.11, 13)


def paint_forest(c: Canvas, horizon: float) -> None:
    """Paint the inside of a forest."""
    c.paint_gradient(
        tuple(tuple(c.light_color(v)) for v in ((58, 96, 52), (120, 158, 90), (60, 90, 44)))
    )
    c.add_glow(c.sun_x, 0.25, 0.4, tuple(c.light_color((110, 120, 60))), 0.8)
    c.fill_below(horizon, (86, 108, 54), (60, 74, 36), 0.25)
    code = PINE_CODE if c.mood.has_snow or c.rng.random() < 0.6 else TREE_CODE
    for foot, tall, count in ((0.0, 0.36, 18), (0.05, 0.5, 12), (0.1, 0.66, 8)):
        paint_tree_row(c, code, horizon + foot, tall, count)
        c.blend_color(
            0.22 * np.ones_like(c.pixels[..., 0]) * (tall < 0.6), c.light_color((150, 190, 130))
        )
    far, near = (
        (FAR_SNOW_COLOR, NEAR_SNOW_COLOR) if c.mood.has_snow else ((92, 112, 56), (70, 84, 42))
    )
    c.fill_below(c.make_ridge(horizon + 0.12, 0.03, 2), far, near, 0.25)


def paint_jungle(c: Canvas, horizon: float) -> None:
    """Paint a dense jungle of palms and big leaves."""
    c.paint_gradient(
        tuple(tuple(c.light_color(v)) for v in ((18, 74, 44), (60, 136, 74), (20, 70, 36)))
    )
    for foot, tall, count in ((0.0, 0.42, 14), (0.05, 0.58, 9)):
        paint_tree_row(c, PALM_CODE, horizon + foot, tall, count)
        c.blend_color(
            0.35 * np.ones_like(c.pixels[..., 0]) * (tall < 0.5), c.light_color((40, 120, 66))
        )
    c.fill_below(c.make_ridge(horizon + 0.06, 0.04, 3), (40, 100, 50), (24, 62, 30), 0.3)
    for _ in range(int(44 * c.aspect)):
        _paint_leaf(c, float(c.rng.random()), float(c.rng.choice([c.rng.uniform(-0.02, 0.1), 1.0])))


def _paint_leaf(c: Canvas, x: float, y: float) -> None:
    """Paint one big leaf at the top or the bottom of the picture."""
    size, lean = c.rng.uniform(0.1, 0.22), c.rng.uniform(-0.5, 0.5)
    down = 1 if y < 0.5 else -1
    tip = (x * c.width + lean * size * c.height, (y + down * size) * c.height)
    root = (x * c.width, y * c.height)
    wide = size * c.height * 0.22
    middle = ((tip[0] + root[0]) / 2, (tip[1] + root[1]) / 2)
    ink = c.drawing_color((float(c.rng.uniform(20, 60)), float(c.rng.uniform(110, 170)), 60))
    points = [root, (middle[0] - wide, middle[1]), tip, (middle[0] + wide, middle[1])]
    c.draw_with_pillow(lambda d: d.polygon(points, fill=ink))


def paint_desert(c: Canvas, horizon: float) -> None:
    """Paint sand dunes with a few cacti."""
    c.paint_sky(horizon)
    for step, tint in ((0.0, 0.9), (0.08, 1.0), (0.2, 1.08)):
        edge = c.make_ridge(horizon + step + 0.03, 0.12, 0.6, 0.25)
        c.fill_below(
            edge, (226 * tint, 168 * tint, 96 * tint), (206 * tint, 138 * tint, 70 * tint), 0.08
        )
    for _ in range(int(c.rng.integers(1, 4))):
        paint_plant(
            c, CACTUS_CODE, float(c.rng.random()), horizon + 0.2, float(c.rng.uniform(0.1, 0.17))
        )


def paint_savanna(c: Canvas, horizon: float) -> None:
    """Paint dry golden grassland with flat-topped acacias."""
    c.paint_sky(horizon)
    c.fill_below(c.make_ridge(horizon, 0.03, 0.8), (150, 140, 110), (150, 140, 110), 0.1)
    c.fill_below(horizon, (222, 186, 98), (178, 132, 52), 0.3)
    for _ in range(int(c.rng.integers(2, 5))):
        _paint_acacia(c, float(c.rng.random()), horizon + c.rng.uniform(0.01, 0.06))


def _paint_acacia(c: Canvas, x: float, foot: float) -> None:
    tall = float(c.rng.uniform(0.16, 0.28)) * c.height
    px, py = x * c.width, foot * c.height
    bark, leaf = c.drawing_color((86, 60, 36)), c.drawing_color((92, 116, 50))
    offsets = [float(c.rng.uniform(-0.3, 0.3)) for _ in range(3)]

    def brush(d: ImageDraw.ImageDraw) -> None:
        d.line([(px, py), (px, py - tall)], fill=bark, width=max(2, int(tall * 0.07)))
        for i, offset in enumerate(offsets):
            cx, cy = px + offset * tall, py - tall * (0.85 + 0.1 * i)
            d.ellipse([cx - tall * 0.6, cy - tall * 0.1, cx + tall * 0.6, cy + tall * 0.1], leaf)

    c.draw_with_pillow(brush)


def paint_snowfield(c: Canvas, horizon: float) -> None:
    """Paint a white snow field with pines."""
    c.paint_sky(horizon)
    c.fill_below(
        c.make_ridge(horizon + 0.02, 0.1, 0.7, 0.3), (214, 224, 238), NEAR_SNOW_COLOR, 0.03
    )
    paint_tree_row(c, PINE_CODE, horizon + 0.05, 0.16, 11)
    c.fill_below(
        c.make_ridge(horizon + 0.12, 0.06, 0.5, 0.3), (226, 234, 246), (250, 251, 255), 0.03
    )


def paint_ice(c: Canvas, horizon: float) -> None:
    """Paint polar ice: floes and icebergs in a cold sea."""
    c.paint_sky(horizon)
    c.fill_below(c.make_ridge(horizon, 0.14, 1.2, 0.6), (206, 226, 242), (170, 206, 232), 0.1)
    c.paint_water(horizon, (80, 140, 176), (36, 96, 140))
    edge = c.make_ridge(horizon + 0.17, 0.05, 1.3, 0.5)
    c.fill_below(edge + 0.02, (130, 190, 220), (130, 190, 220), 0.05)
    c.fill_below(edge, (226, 238, 248), (244, 249, 254), 0.04)


def paint_flowers(c: Canvas, horizon: float, petal: Color) -> None:
    """Paint a field of flowers running to low hills."""
    c.paint_sky(horizon)
    c.fill_below(c.make_ridge(horizon + 0.01, 0.07, 0.8), (120, 150, 100), FAR_GRASS_COLOR, 0.1)
    c.fill_below(horizon, (96, 150, 60), (52, 104, 36), 0.2)
    count = int(1500 * c.aspect)
    depth = np.sort(c.rng.random(count) ** 0.75)
    spots = []
    for d, x, shade in zip(
        depth, c.rng.random(count), c.rng.uniform(0.75, 1.15, count), strict=True
    ):
        y, size = horizon + 0.01 + d * (1 - horizon), (0.0035 + 0.02 * d) * c.height
        spots.append(
            (x * c.width, y * c.height, size, c.drawing_color(tuple(v * shade for v in petal)))
        )

    def brush(d: ImageDraw.ImageDraw) -> None:
        for x, y, size, ink in spots:
            d.ellipse([x - size, y - size * 0.75, x + size, y + size * 0.75], fill=ink)

    c.draw_with_pillow(brush)


def paint_sky_only(c: Canvas, horizon: float) -> None:
    """Paint the wide sky over a low strip of land."""
    c.paint_sky(horizon)
    far, near = choose_grass_colors(c)
    c.fill_below(c.make_ridge(horizon + 0.02, 0.03, 1), far, near, 0.1)


def paint_underwater(c: Canvas, horizon: float) -> None:
    """Paint a reef under the sea with rays of light."""
    c.paint_gradient(((70, 190, 222), (16, 120, 180), (6, 62, 118)))
    slant = c.columns * 9 * c.aspect + c.rows * 3 + c.rng.uniform(0, 6)
    rays = np.clip(np.sin(slant) * 0.5 + np.sin(slant * 2.3) * 0.4, 0, 1)
    c.pixels += (rays * np.clip(0.85 - c.rows, 0, 1) * 50)[..., None]
    c.fill_below(c.make_ridge(horizon, 0.05, 1, 0.4), (120, 160, 150), (170, 176, 140), 0.15)
    for _ in range(int(11 * c.aspect)):
        _paint_coral(c, float(c.rng.random()), horizon + c.rng.uniform(0, 0.14))


def _paint_coral(c: Canvas, x: float, foot: float) -> None:
    paints = ((226, 92, 110), (240, 150, 80), (70, 150, 80), (170, 90, 170), (50, 130, 70))
    ink = tuple(paints[int(c.rng.integers(len(paints)))])
    tall, sway = c.rng.uniform(0.06, 0.16) * c.height, c.rng.uniform(-0.3, 0.3, 5)

    def brush(d: ImageDraw.ImageDraw) -> None:
        for i in range(5):
            root = (x * c.width, foot * c.height)
            top = (
                x * c.width + (i - 2 + sway[i]) * tall * 0.3,
                foot * c.height - tall * (1 - abs(sway[i])),
            )
            d.line([root, top], fill=ink, width=max(2, int(tall * 0.12)))

    c.draw_with_pillow(brush)


def paint_space(c: Canvas, horizon: float) -> None:
    """Paint outer space: stars and a faint nebula."""
    c.paint_gradient(((4, 4, 14), (10, 8, 26), (4, 6, 18)))
    cloud = np.clip(c.make_noise(4 * c.aspect, 4) * c.make_noise(9 * c.aspect, 8) * 2.2 - 0.4, 0, 1)
    tint = (110, 50, 140) if c.rng.random() < 0.5 else (40, 80, 150)
    c.pixels += cloud[..., None] * np.array(tint, np.float32)
    for x, y, bright in c.rng.random((int(190 * c.aspect), 3)):
        size = max(1, round(c.height / 300 * (1 + bright)))
        row, col = int(y * c.height), int(x * c.width)
        c.pixels[row : row + size, col : col + size] = 90 + 160 * bright
