"""Paint the open country: hills, mountains, woods, deserts, snow and water."""

import numpy as np
from PIL import ImageDraw

from .canvas import Canvas, Colour
from .glyphs import lit

PINE, TREE, PALM, CACTUS = "1f332", "1f333", "1f334", "1f335"
GRASS_FAR, GRASS_NEAR = (140, 178, 92), (74, 130, 48)
SNOW_FAR, SNOW_NEAR = (228, 234, 244), (246, 248, 252)


def grass(c: Canvas) -> tuple[Colour, Colour]:
    """Return the meadow's colours: green, or white when it snows."""
    return (SNOW_FAR, SNOW_NEAR) if c.mood.snow else (GRASS_FAR, GRASS_NEAR)


def plant(c: Canvas, code: str, x: float, foot: float, height: float) -> None:
    """Stand a background tree with its foot at a point."""
    piece = lit(code, 0.0, (0.82, 0.08), "brown", c.mood_name, False)
    tall = max(3, int(height * c.h))
    piece = piece.resize((max(2, int(tall * piece.width / piece.height)), tall))
    if c.mood.night:
        piece = piece.copy()
        piece.paste((10, 16, 34), (0, 0), piece.getchannel("A").point(lambda a: a * 120 // 255))
    c.stamp(piece, int(x * c.w - piece.width / 2), int(foot * c.h - tall))


def row_of_trees(c: Canvas, code: str, foot: float, height: float, count: int) -> None:
    """Plant a ragged row of trees right across the picture."""
    count = max(2, int(count * c.aspect / 1.33))
    for i in range(count):
        x = (i + c.rng.uniform(0.1, 0.9)) / count
        plant(c, code, x, foot + c.rng.uniform(-0.01, 0.015), height * c.rng.uniform(0.75, 1.2))


def mountain_range(c: Canvas, base: float, height: float, rock: Colour, snowline: float) -> None:
    """Raise a jagged range with snow on its tops."""
    edge = c.ridge(base, height, 0.9, 0.55)
    c.fill(edge, rock, tuple(v * 0.75 for v in rock), 0.2)
    jag = 0.05 * (c.noise(26 * c.aspect, 14) - 0.5)
    if c.mood.snow:
        snowline += 0.4
    line = edge.min() + snowline * height + jag
    inside = np.clip((c.rows - edge[None, :]) * c.h + 0.5, 0, 1)
    shade = 0.8 + 0.3 * c.noise(18 * c.aspect, 6)
    white = c.lit((250, 252, 255)) * shade[..., None]
    c.blend(inside * np.clip((line - c.rows) * 90, 0, 1), white)


def sea(c: Canvas, horizon: float) -> None:
    """Paint the open sea."""
    c.sky(horizon)
    c.water(horizon)


def lake(c: Canvas, horizon: float) -> None:
    """Paint a lake under mountains, with a wooded shore."""
    c.sky(horizon)
    mountain_range(c, horizon, 0.32, (112, 124, 146), 0.35)
    shore = SNOW_FAR if c.mood.snow else (70, 104, 62)
    c.fill(c.ridge(horizon, 0.035, 1.5), shore, shore, 0.2)
    row_of_trees(c, PINE, horizon + 0.004, 0.07, 34)
    c.water(horizon, (118, 168, 178), (30, 92, 116))


def beach(c: Canvas, horizon: float) -> None:
    """Paint a sandy beach with the sea behind and a palm at one side."""
    c.sky(horizon)
    c.water(horizon, (110, 196, 208), (60, 170, 190))
    edge = c.ridge(horizon + 0.17, 0.03, 0.5, 0.3)
    white = np.clip(1 - np.abs(c.rows - edge[None, :]) / 0.014, 0, 1)
    c.fill(edge, (238, 214, 160), (222, 188, 126), 0.1)
    c.blend(white * 0.9, c.lit((250, 252, 252)))
    side = 0.06 if c.rng.random() < 0.5 else 0.94
    if c.rng.random() < 0.75:
        plant(c, PALM, side, horizon + 0.3, c.rng.uniform(0.5, 0.62))


def hills(c: Canvas, horizon: float) -> None:
    """Paint rolling green hills."""
    c.sky(horizon)
    far, near = grass(c)
    for step, tint in ((0.0, 0.86), (0.09, 0.95), (0.2, 1.05)):
        edge = c.ridge(horizon + step + 0.03, 0.1, 0.7, 0.3)
        c.fill(edge, tuple(v * tint for v in far), tuple(v * tint for v in near), 0.13)
        if step < 0.2:
            for _ in range(int(c.rng.integers(2, 6))):
                x = float(c.rng.random())
                plant(c, TREE, x, float(edge[int(x * c.w)]) + 0.015, 0.06 + step * 0.4)


def mountains(c: Canvas, horizon: float) -> None:
    """Paint high snowy mountains behind a meadow."""
    c.sky(horizon)
    mountain_range(c, horizon + 0.02, 0.42, (128, 138, 160), 0.5)
    mountain_range(c, horizon + 0.05, 0.2, (92, 104, 122), 0.1)
    far, near = grass(c)
    c.fill(c.ridge(horizon + 0.08, 0.03, 0.8), far, near, 0.13)
    row_of_trees(c, PINE, horizon + 0.1, 0.11, 13)


def forest(c: Canvas, horizon: float) -> None:
    """Paint the inside of a forest."""
    c.gradient(tuple(tuple(c.lit(v)) for v in ((58, 96, 52), (120, 158, 90), (60, 90, 44))))
    c.glow(c.sun_x, 0.25, 0.4, tuple(c.lit((110, 120, 60))), 0.8)
    c.fill(horizon, (86, 108, 54), (60, 74, 36), 0.25)
    code = PINE if c.mood.snow or c.rng.random() < 0.6 else TREE
    for foot, tall, count in ((0.0, 0.36, 18), (0.05, 0.5, 12), (0.1, 0.66, 8)):
        row_of_trees(c, code, horizon + foot, tall, count)
        c.blend(0.22 * np.ones_like(c.px[..., 0]) * (tall < 0.6), c.lit((150, 190, 130)))
    far, near = (SNOW_FAR, SNOW_NEAR) if c.mood.snow else ((92, 112, 56), (70, 84, 42))
    c.fill(c.ridge(horizon + 0.12, 0.03, 2), far, near, 0.25)


def jungle(c: Canvas, horizon: float) -> None:
    """Paint a dense jungle of palms and big leaves."""
    c.gradient(tuple(tuple(c.lit(v)) for v in ((18, 74, 44), (60, 136, 74), (20, 70, 36))))
    for foot, tall, count in ((0.0, 0.42, 14), (0.05, 0.58, 9)):
        row_of_trees(c, PALM, horizon + foot, tall, count)
        c.blend(0.35 * np.ones_like(c.px[..., 0]) * (tall < 0.5), c.lit((40, 120, 66)))
    c.fill(c.ridge(horizon + 0.06, 0.04, 3), (40, 100, 50), (24, 62, 30), 0.3)
    for _ in range(int(44 * c.aspect)):
        _leaf(c, float(c.rng.random()), float(c.rng.choice([c.rng.uniform(-0.02, 0.1), 1.0])))


def _leaf(c: Canvas, x: float, y: float) -> None:
    """Hang one big leaf at the top or the foot of the picture."""
    size, lean = c.rng.uniform(0.1, 0.22), c.rng.uniform(-0.5, 0.5)
    down = 1 if y < 0.5 else -1
    tip = (x * c.w + lean * size * c.h, (y + down * size) * c.h)
    root = (x * c.w, y * c.h)
    wide = size * c.h * 0.22
    middle = ((tip[0] + root[0]) / 2, (tip[1] + root[1]) / 2)
    ink = c.ink((float(c.rng.uniform(20, 60)), float(c.rng.uniform(110, 170)), 60))
    points = [root, (middle[0] - wide, middle[1]), tip, (middle[0] + wide, middle[1])]
    c.draw(lambda d: d.polygon(points, fill=ink))


def desert(c: Canvas, horizon: float) -> None:
    """Paint sand dunes with a few cacti."""
    c.sky(horizon)
    for step, tint in ((0.0, 0.9), (0.08, 1.0), (0.2, 1.08)):
        edge = c.ridge(horizon + step + 0.03, 0.12, 0.6, 0.25)
        c.fill(edge, (226 * tint, 168 * tint, 96 * tint), (206 * tint, 138 * tint, 70 * tint), 0.08)
    for _ in range(int(c.rng.integers(1, 4))):
        plant(c, CACTUS, float(c.rng.random()), horizon + 0.2, float(c.rng.uniform(0.1, 0.17)))


def savanna(c: Canvas, horizon: float) -> None:
    """Paint dry golden grassland with flat-topped acacias."""
    c.sky(horizon)
    c.fill(c.ridge(horizon, 0.03, 0.8), (150, 140, 110), (150, 140, 110), 0.1)
    c.fill(horizon, (222, 186, 98), (178, 132, 52), 0.3)
    for _ in range(int(c.rng.integers(2, 5))):
        _acacia(c, float(c.rng.random()), horizon + c.rng.uniform(0.01, 0.06))


def _acacia(c: Canvas, x: float, foot: float) -> None:
    tall = float(c.rng.uniform(0.16, 0.28)) * c.h
    px, py = x * c.w, foot * c.h
    bark, leaf = c.ink((86, 60, 36)), c.ink((92, 116, 50))
    offsets = [float(c.rng.uniform(-0.3, 0.3)) for _ in range(3)]

    def brush(d: ImageDraw.ImageDraw) -> None:
        d.line([(px, py), (px, py - tall)], fill=bark, width=max(2, int(tall * 0.07)))
        for i, offset in enumerate(offsets):
            cx, cy = px + offset * tall, py - tall * (0.85 + 0.1 * i)
            d.ellipse([cx - tall * 0.6, cy - tall * 0.1, cx + tall * 0.6, cy + tall * 0.1], leaf)

    c.draw(brush)


def snowfield(c: Canvas, horizon: float) -> None:
    """Paint a white snow field with pines."""
    c.sky(horizon)
    c.fill(c.ridge(horizon + 0.02, 0.1, 0.7, 0.3), (214, 224, 238), SNOW_NEAR, 0.03)
    row_of_trees(c, PINE, horizon + 0.05, 0.16, 11)
    c.fill(c.ridge(horizon + 0.12, 0.06, 0.5, 0.3), (226, 234, 246), (250, 251, 255), 0.03)


def ice(c: Canvas, horizon: float) -> None:
    """Paint polar ice: floes and icebergs in a cold sea."""
    c.sky(horizon)
    c.fill(c.ridge(horizon, 0.14, 1.2, 0.6), (206, 226, 242), (170, 206, 232), 0.1)
    c.water(horizon, (80, 140, 176), (36, 96, 140))
    edge = c.ridge(horizon + 0.17, 0.05, 1.3, 0.5)
    c.fill(edge + 0.02, (130, 190, 220), (130, 190, 220), 0.05)
    c.fill(edge, (226, 238, 248), (244, 249, 254), 0.04)


def flowers(c: Canvas, horizon: float, petal: Colour) -> None:
    """Paint a field of flowers running to low hills."""
    c.sky(horizon)
    c.fill(c.ridge(horizon + 0.01, 0.07, 0.8), (120, 150, 100), GRASS_FAR, 0.1)
    c.fill(horizon, (96, 150, 60), (52, 104, 36), 0.2)
    count = int(1500 * c.aspect)
    depth = np.sort(c.rng.random(count) ** 0.75)
    spots = []
    for d, x, shade in zip(
        depth, c.rng.random(count), c.rng.uniform(0.75, 1.15, count), strict=True
    ):
        y, size = horizon + 0.01 + d * (1 - horizon), (0.0035 + 0.02 * d) * c.h
        spots.append((x * c.w, y * c.h, size, c.ink(tuple(v * shade for v in petal))))

    def brush(d: ImageDraw.ImageDraw) -> None:
        for x, y, size, ink in spots:
            d.ellipse([x - size, y - size * 0.75, x + size, y + size * 0.75], fill=ink)

    c.draw(brush)


def sky_only(c: Canvas, horizon: float) -> None:
    """Paint the wide sky over a low strip of land."""
    c.sky(horizon)
    far, near = grass(c)
    c.fill(c.ridge(horizon + 0.02, 0.03, 1), far, near, 0.1)


def underwater(c: Canvas, horizon: float) -> None:
    """Paint a reef under the sea with rays of light."""
    c.gradient(((70, 190, 222), (16, 120, 180), (6, 62, 118)))
    slant = c.cols * 9 * c.aspect + c.rows * 3 + c.rng.uniform(0, 6)
    rays = np.clip(np.sin(slant) * 0.5 + np.sin(slant * 2.3) * 0.4, 0, 1)
    c.px += (rays * np.clip(0.85 - c.rows, 0, 1) * 50)[..., None]
    c.fill(c.ridge(horizon, 0.05, 1, 0.4), (120, 160, 150), (170, 176, 140), 0.15)
    for _ in range(int(11 * c.aspect)):
        _coral(c, float(c.rng.random()), horizon + c.rng.uniform(0, 0.14))


def _coral(c: Canvas, x: float, foot: float) -> None:
    paints = ((226, 92, 110), (240, 150, 80), (70, 150, 80), (170, 90, 170), (50, 130, 70))
    ink = tuple(paints[int(c.rng.integers(len(paints)))])
    tall, sway = c.rng.uniform(0.06, 0.16) * c.h, c.rng.uniform(-0.3, 0.3, 5)

    def brush(d: ImageDraw.ImageDraw) -> None:
        for i in range(5):
            root = (x * c.w, foot * c.h)
            top = (x * c.w + (i - 2 + sway[i]) * tall * 0.3, foot * c.h - tall * (1 - abs(sway[i])))
            d.line([root, top], fill=ink, width=max(2, int(tall * 0.12)))

    c.draw(brush)


def space(c: Canvas, horizon: float) -> None:
    """Paint outer space: stars and a faint nebula."""
    c.gradient(((4, 4, 14), (10, 8, 26), (4, 6, 18)))
    cloud = np.clip(c.noise(4 * c.aspect, 4) * c.noise(9 * c.aspect, 8) * 2.2 - 0.4, 0, 1)
    tint = (110, 50, 140) if c.rng.random() < 0.5 else (40, 80, 150)
    c.px += cloud[..., None] * np.array(tint, np.float32)
    for x, y, bright in c.rng.random((int(190 * c.aspect), 3)):
        size = max(1, round(c.h / 300 * (1 + bright)))
        row, col = int(y * c.h), int(x * c.w)
        c.px[row : row + size, col : col + size] = 90 + 160 * bright
