"""Paint skies, land, water and light onto a canvas, by the light and weather of a mood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.floating[Any]]
Color = tuple[float, ...]


@dataclass(frozen=True)
class Mood:
    """Light and weather; colors are RGB from 0 to 255, lights are factors, shares are 0 to 1."""

    sky_colors: tuple[Color, ...]  # from the top to the horizon
    light_color: Color  # factors for the colors of the background
    subject_light: Color  # factors for the colors of subjects
    gray: float = 0.0  # share of saturation that is lost
    is_night: bool = False
    has_snow: bool = False
    has_rain: bool = False
    fog: float = 0.0  # density
    has_sun: bool = False  # a low sun is visible
    clouds: float = 0.0  # cover


MOODS: dict[str, Mood] = {
    "day": Mood(
        ((38, 110, 205), (110, 175, 232), (200, 226, 245)), (1, 1, 1), (1, 1, 1), clouds=0.55
    ),
    "sunset": Mood(
        ((52, 44, 112), (176, 74, 112), (250, 128, 66), (255, 202, 110)),
        (0.95, 0.76, 0.7),
        (1.0, 0.8, 0.66),
        has_sun=True,
        clouds=0.35,
    ),
    "night": Mood(
        ((4, 7, 26), (12, 20, 58), (34, 48, 104)),
        (0.27, 0.33, 0.53),
        (0.66, 0.7, 0.88),
        is_night=True,
    ),
    "overcast": Mood(
        ((128, 138, 150), (172, 179, 187), (206, 210, 214)),
        (0.78, 0.8, 0.82),
        (0.88,) * 3,
        gray=0.3,
    ),
    "rain": Mood(
        ((70, 80, 94), (108, 118, 130), (146, 154, 162)),
        (0.56, 0.6, 0.66),
        (0.78, 0.81, 0.86),
        gray=0.4,
        has_rain=True,
        fog=0.15,
    ),
    "snow": Mood(
        ((150, 162, 180), (190, 199, 212), (222, 228, 235)),
        (0.88, 0.91, 0.97),
        (0.95, 0.96, 1.0),
        gray=0.25,
        has_snow=True,
        fog=0.1,
    ),
    "fog": Mood(
        ((190, 195, 199), (206, 210, 212), (216, 219, 220)),
        (0.86, 0.87, 0.88),
        (0.9, 0.91, 0.92),
        gray=0.5,
        fog=0.62,
    ),
    "night snow": Mood(
        ((12, 18, 44), (30, 40, 78), (66, 78, 118)),
        (0.36, 0.42, 0.62),
        (0.66, 0.7, 0.88),
        is_night=True,
        has_snow=True,
    ),
    "night rain": Mood(
        ((8, 11, 22), (20, 26, 44), (44, 52, 72)),
        (0.28, 0.31, 0.42),
        (0.6, 0.64, 0.76),
        is_night=True,
        has_rain=True,
    ),
}


class Canvas:
    """A float RGB picture and methods that paint on it; coordinates are fractions of its size."""

    def __init__(self, width: int, height: int, rng: np.random.Generator, mood: str) -> None:
        self.width, self.height, self.rng = width, height, rng
        self.mood_name, self.mood = mood, MOODS[mood]
        self.pixels: Pixels = np.zeros((height, width, 3), np.float32)
        self.sun_x = float(rng.uniform(0.2, 0.8))
        self.rows = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
        self.columns = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :]

    @property
    def aspect(self) -> float:
        """Return width divided by height."""
        return self.width / self.height

    def light_color(self, rgb: Color) -> Pixels:
        """Return a daylight color in the light of the mood."""
        return relight(np.array(rgb, np.float32), self.mood.light_color, self.mood.gray)

    def drawing_color(self, rgb: Color) -> tuple[int, int, int]:
        """Return a daylight color in the light of the mood, as integers for Pillow."""
        red, green, blue = (int(value) for value in np.clip(self.light_color(rgb), 0, 255))
        return red, green, blue

    def make_noise(self, across: float, down: float) -> Pixels:
        """Return smooth noise from 0 to 1 with this approximate number of cells across and down."""
        cells = self.rng.random((max(2, round(down)), max(2, round(across)))).astype(np.float32)
        image = Image.fromarray(cells, "F").resize(
            (self.width, self.height), Image.Resampling.BICUBIC
        )
        smooth: Pixels = np.clip(np.asarray(image), 0, 1)
        return smooth

    def make_ridge(self, base: float, height: float, waves: float, rough: float = 0.5) -> Pixels:
        """Return the top edge of a ridge of land: the y of each column."""
        edge = np.zeros(self.width, np.float32)
        size, freq = 1.0, waves * self.aspect / 1.33
        for _ in range(6):
            phase = self.rng.uniform(0, 2 * np.pi)
            edge += size * np.sin(self.columns[0] * freq * 2 * np.pi + phase).astype(np.float32)
            size, freq = size * rough, freq * self.rng.uniform(1.8, 2.3)
        return base - height * (edge / 2 + 0.5)

    def blend_color(self, mask: Pixels, rgb: Pixels) -> None:
        """Blend a color or a picture into the canvas; the mask is the opacity, 0 to 1."""
        self.pixels += mask[..., None] * (rgb - self.pixels)

    def fill_below(self, top: Pixels | float, far: Color, near: Color, grain: float = 0.1) -> None:
        """Fill the area below an edge with a gradient in the mood's light, and a grain texture."""
        edge = np.broadcast_to(np.asarray(top, np.float32), (self.width,))[None, :]
        depth = np.clip((self.rows - edge) / max(1e-3, 1 - float(edge.min())), 0, 1)[..., None]
        color = self.light_color(far) + depth * (self.light_color(near) - self.light_color(far))
        texture = 0.6 * self.make_noise(60, 60) + 0.4 * self.make_noise(14, 30)
        color = color * (1 + grain * (texture - 0.5) * 2)[..., None]
        self.blend_color(np.clip((self.rows - edge) * self.height + 0.5, 0, 1), color)

    def paint_gradient(self, stops: tuple[Color, ...], bottom: float = 1.0) -> None:
        """Fill the canvas with a vertical gradient that ends at bottom."""
        positions = np.linspace(0, bottom, len(stops))
        bands = [np.interp(self.rows[:, 0], positions, [s[i] for s in stops]) for i in range(3)]
        self.pixels[:] = np.stack(bands, -1)[:, None, :]

    def add_glow(self, x: float, y: float, radius: float, rgb: Color, strength: float) -> None:
        """Add a soft light around a point; radius is a fraction of the height."""
        away = ((self.columns - x) * self.aspect) ** 2 + (self.rows - y) ** 2
        self.pixels += (strength * np.exp(-away / radius**2))[..., None] * np.array(rgb, np.float32)

    def paint_disc(self, x: float, y: float, radius: float, rgb: Color) -> None:
        """Paint a disc such as the sun or the moon."""
        away = np.sqrt(((self.columns - x) * self.aspect) ** 2 + (self.rows - y) ** 2)
        self.blend_color(
            np.clip((radius - away) * self.height + 0.5, 0, 1), np.array(rgb, np.float32)
        )

    def paint_sky(self, horizon: float) -> None:
        """Paint the mood's sky down to the horizon."""
        self.paint_gradient(self.mood.sky_colors, horizon)
        if self.mood.is_night and not (self.mood.has_snow or self.mood.has_rain):
            self._paint_stars(horizon)
        if self.mood.has_sun:
            y = horizon - self.rng.uniform(0.03, 0.12)
            self.add_glow(self.sun_x, y, 0.42, (120, 60, 10), 0.8)
            self.paint_disc(self.sun_x, y, 0.06, (255, 238, 170))
            self.add_glow(self.sun_x, y, 0.1, (120, 90, 40), 0.7)
        elif not self.mood.is_night:
            self._paint_clouds(horizon)
        if self.mood.has_sun:
            self._paint_clouds(horizon)

    def _paint_stars(self, horizon: float) -> None:
        count = int(70 * self.aspect)
        for x, y in zip(self.rng.random(count), self.rng.random(count) * horizon, strict=True):
            bright = self.rng.uniform(60, 230)
            size = max(1, round(self.height / 300))
            row, col = int(y * self.height), int(x * self.width)
            self.pixels[row : row + size, col : col + size] += bright
        y = self.rng.uniform(0.1, max(0.12, horizon * 0.4))
        self.add_glow(self.sun_x, y, 0.2, (70, 80, 110), 0.7)
        self.paint_disc(self.sun_x, y, 0.05, (240, 240, 222))

    def _paint_clouds(self, horizon: float) -> None:
        cover = 0.5 * self.make_noise(4 * self.aspect, 5) + 0.3 * self.make_noise(
            9 * self.aspect, 12
        )
        cover += 0.2 * self.make_noise(24 * self.aspect, 26)
        amount = self.mood.clouds * self.rng.uniform(0.6, 1.1)
        mask = np.clip((cover - (0.68 - amount * 0.3)) * 5, 0, 1) * np.clip(
            (horizon - self.rows) / 0.2, 0, 1
        )
        white = np.array((255, 150, 110) if self.mood.has_sun else (255, 255, 255), np.float32)
        if self.mood.clouds:
            self.blend_color(mask * (0.55 if self.mood.has_sun else 0.85), white)
        else:
            self.pixels *= (0.94 + 0.12 * cover)[..., None]

    def paint_water(
        self, top: float, far: Color = (92, 160, 196), near: Color = (22, 84, 138)
    ) -> None:
        """Paint water below an edge, with waves and the reflected light of the sun or the moon."""
        sky_pixels = self.pixels.copy()
        self.fill_below(top, far, near, 0.05)
        below = np.clip((self.rows - top) * self.height + 0.5, 0, 1)
        depth = np.clip((self.rows - top) / (1 - top + 1e-6), 0, 1)
        row = max(0, int(top * self.height) - 2)
        tint = sky_pixels[row].mean(0)
        self.blend_color(below * (0.5 - 0.35 * depth), tint * 0.85)
        waves = self.make_noise(10 * self.aspect, 90) * (1 - depth) + self.make_noise(7, 36) * depth
        self.pixels *= (1 + below * (waves - 0.5) * (0.22 + 0.3 * depth))[..., None]
        if self.mood.has_sun or (
            self.mood.is_night and not (self.mood.has_snow or self.mood.has_rain)
        ):
            self._paint_light_path(below, depth)

    def _paint_light_path(self, below: Pixels, depth: Pixels) -> None:
        width = 0.05 + 0.08 * depth
        near = np.exp(-(((self.columns - self.sun_x) * self.aspect / width) ** 2) / 2)
        sparkle = np.clip((self.make_noise(30 * self.aspect, 110) - 0.42) * 4, 0, 1)
        rgb = (255, 206, 120) if self.mood.has_sun else (190, 200, 225)
        self.blend_color(below * near * sparkle * 0.85, np.array(rgb, np.float32))

    def draw_with_pillow(self, brush: Callable[[ImageDraw.ImageDraw], None]) -> None:
        """Call a function that draws on the canvas with Pillow, in pixels."""
        image = self.to_image()
        brush(ImageDraw.Draw(image))
        self.pixels = np.asarray(image).astype(np.float32)

    def paste_piece(self, piece: Image.Image, left: int, top: int) -> None:
        """Paste an RGBA picture; left and top are in pixels, and may lie outside."""
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, left + piece.width), min(self.height, top + piece.height)
        if x0 >= x1 or y0 >= y1:
            return
        part = np.asarray(piece.crop((x0 - left, y0 - top, x1 - left, y1 - top)), np.float32)
        alpha = part[..., 3:] / 255
        view = self.pixels[y0:y1, x0:x1]
        view += alpha * (part[..., :3] - view)

    def blur_picture(self, radius: float) -> None:
        """Blur the canvas; radius is a fraction of the height."""
        blurred = self.to_image().filter(ImageFilter.GaussianBlur(radius * self.height))
        self.pixels = np.asarray(blurred).astype(np.float32)

    def to_image(self) -> Image.Image:
        """Return the canvas as a Pillow picture."""
        return Image.fromarray(np.clip(self.pixels, 0, 255).astype(np.uint8), "RGB")


def relight(rgb: Pixels, light: Color, gray: float) -> Pixels:
    """Return colors, desaturated by gray (0 to 1) and multiplied by the light."""
    dull = rgb + gray * (rgb.mean(-1, keepdims=True) - rgb)
    relit: Pixels = dull * np.array(light, np.float32)
    return relit
