"""Colors: ICC profiles, transparency, and their cost."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw
from support.icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PRO_PHOTO,
    SRGB,
    make_cmyk_profile,
    make_gray_profile,
    make_rgb_profile,
    make_rgb_table_profile,
)
from support.imagemagick import needs_imagemagick, render_srgb, run_imagemagick
from support.pixels import encode_picture

from searchapp.pictures import decode, icc, transparency

PROFILES = {
    "display-p3": make_rgb_profile(DISPLAY_P3, 2.2),
    "adobe-rgb": make_rgb_profile(ADOBE_RGB, 2.2),
    "pro-photo": make_rgb_profile(PRO_PHOTO, 1.8),
    "linear": make_rgb_profile(SRGB, 1.0),
    "table": make_rgb_table_profile(PRO_PHOTO, 1.8),
}


def draw_colors(mode: str = "RGB") -> Image.Image:
    """Return a picture of smooth random colors."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 80), Image.Resampling.BICUBIC)
    if mode != "CMYK":
        return image.convert(mode)
    black = image.convert("L").point(lambda value: value // 4)
    return Image.merge("CMYK", (*image.split(), black))


def decode_pixels(data: bytes) -> NDArray[np.int16]:
    image = decode.decode_picture(data, lambda width, height: (width, height))[0]
    assert image.mode == "RGB"
    return np.asarray(image, np.int16)


def measure_difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """Return the mean difference of two pictures, in levels."""
    return float(np.abs(one - other).mean())


@needs_imagemagick
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_profiles_are_applied_as_imagemagick_does(tmp_path: Path, format: str, name: str) -> None:
    """Every profile in every format; the reference is a PNG of the same pixels."""
    decode._load_pillow()
    options = {"lossless": True} if format == "WEBP" else {"quality": 100}
    data = encode_picture(draw_colors(), format, icc_profile=PROFILES[name], **options)
    with Image.open(io.BytesIO(data)) as stored:
        stored.convert("RGB").save(tmp_path / "stored.png", icc_profile=PROFILES[name])
    expected = render_srgb(tmp_path / "stored.png")
    assert measure_difference(decode_pixels(data), expected) < 1.5
    plain = decode_pixels(encode_picture(Image.open(tmp_path / "stored.png"), "BMP"))
    assert measure_difference(plain, expected) > 5, "the profile changes the colors"


@needs_imagemagick
@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("L", make_gray_profile(1.0)),
        ("L", PROFILES["linear"]),
        ("LA", make_gray_profile(1.0)),
        ("P", PROFILES["pro-photo"]),
        ("RGBA", PROFILES["pro-photo"]),
        ("CMYK", make_cmyk_profile()),
    ],
)
def test_profiles_apply_to_every_mode(tmp_path: Path, mode: str, profile: bytes) -> None:
    """Gray, palettes, alpha and CMYK; a gray picture can have a profile for RGB."""
    file = tmp_path / "stored.tif"
    draw_colors(mode).save(file, icc_profile=profile)
    shown = decode_pixels(file.read_bytes())
    assert measure_difference(shown, render_srgb(file)) < 1.5
    draw_colors(mode).save(file)
    assert measure_difference(shown, decode_pixels(file.read_bytes())) > 5


@needs_imagemagick
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("space", ["Gray", "sRGB"])
def test_profiles_apply_to_16_bits(tmp_path: Path, suffix: str, space: str) -> None:
    """Dark parts of a linear picture with 16 bits keep their steps if it is gray."""
    profile, file = tmp_path / "linear.icc", tmp_path / f"stored.{suffix}"
    is_gray = space == "Gray"
    profile.write_bytes(make_gray_profile(1.0) if is_gray else PROFILES["linear"])
    draw_colors().save(tmp_path / "8.png")
    run_imagemagick(
        tmp_path / "8.png", "-colorspace", space, "-evaluate", "multiply", 0.3, "-depth", 16,
        "-profile", profile, file,
    )  # fmt: skip
    shown = decode_pixels(file.read_bytes())
    assert measure_difference(shown, render_srgb(file)) < (1.0 if is_gray else 2.0)


def test_thumbnails_have_the_colors_of_the_profile() -> None:
    """Queries, thumbnails and embeddings decode a picture in the same way."""
    data = encode_picture(
        Image.new("RGB", (64, 64), (100, 150, 100)), "PNG", icc_profile=PROFILES["pro-photo"]
    )
    thumbnail = decode.decode_thumbnail(data, 32)
    assert thumbnail.getpixel((9, 9)) == tuple(decode_pixels(data)[9, 9])
    assert thumbnail.getpixel((9, 9)) != (100, 150, 100)
    assert "icc_profile" not in encode_picture(thumbnail, "PNG").decode("latin1")


def test_broken_profiles_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """Garbage, cut profiles, and profiles of another color space leave the colors unchanged."""
    caplog.set_level(logging.DEBUG, "searchapp")
    plain = decode_pixels(encode_picture(draw_colors(), "PNG"))
    good = PROFILES["pro-photo"]
    wrong = (b"garbage" * 99, good[:200], good[:16] + b"Luv " + good[20:], make_gray_profile(1.0),
             good[:12] + b"link" + good[16:], make_cmyk_profile(), bytes(9 << 20))  # fmt: skip
    for profile in wrong:
        caplog.clear()
        data = encode_picture(draw_colors(), "TIFF", icc_profile=profile)
        assert (decode_pixels(data) == plain).all()
        assert "Ignored a" in caplog.text


def test_a_large_profile_in_a_png_is_applied() -> None:
    """Pillow refuses a PNG with more than 1 MiB of compressed text or profile by default."""
    small = decode_pixels(encode_picture(draw_colors(), "PNG", icc_profile=PROFILES["table"]))
    profile = PROFILES["table"] + bytes(3 << 20)
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    large = decode_pixels(encode_picture(draw_colors(), "PNG", icc_profile=profile))
    assert (large == small).all()


def test_srgb_profiles_cost_no_conversion() -> None:
    """All variants of sRGB leave the pixels as they are. A transform is built once."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc._build_transform.cache_clear()
    for _ in range(3):
        with Image.open(
            io.BytesIO(encode_picture(draw_colors(), "PNG", icc_profile=srgb))
        ) as image:
            image.load()
            assert icc.convert_to_srgb(image) is None
    assert icc._build_transform.cache_info().misses == 1


def test_a_picture_without_a_profile_is_not_copied() -> None:
    """Its decoding takes the same path as before profiles were applied."""
    image = draw_colors()
    assert decode.color.convert_to_rgb(image) is image


def test_a_large_picture_is_reduced_before_its_profile_is_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transform sees at least twice the size that the caller needs."""
    sizes = []
    convert = icc.convert_to_srgb
    monkeypatch.setattr(icc, "convert_to_srgb", lambda i: sizes.append(i.size) or convert(i))
    large = draw_colors().resize((960, 800))
    for mode, profile in (("RGB", PROFILES["pro-photo"]), ("L", make_gray_profile(1.0))):
        data = encode_picture(large.convert(mode), "PNG", icc_profile=profile)
        full = decode.decode_picture(data, lambda width, height: (width, height))[0]
        shown = decode.decode_picture(data, lambda *_: (100, 100))[0]
        full.thumbnail((50, 50))
        shown.thumbnail((50, 50))
        assert measure_difference(np.int16(full), np.int16(shown)) < 1
    assert sizes == [(960, 800), (240, 200)] * 2


def draw_glyph(colors: tuple[str, ...], text: str = "E") -> Image.Image:
    """Return glyphs on a transparent ground, one below the other."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    for number, color in enumerate(colors):
        ImageDraw.Draw(image).text((8, 24 * number), text, color, font_size=24)
    return image


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("colors", "ground"),
    [
        (("white",), 0),
        (("#ffff66",), 0),
        (("#d0d0d0",), 0),
        (("black",), 255),
        (("#2040c0",), 255),
        (("white", "black"), 128),
        (("red",), 255),
    ],
)
def test_the_ground_contrasts_with_the_content(
    format: str, colors: tuple[str, ...], ground: int
) -> None:
    """White glyphs lie on black, black ones on white, and both together on gray."""
    shown = decode_pixels(encode_picture(draw_glyph(colors), format))
    assert np.abs(shown[1, 60] - ground).max() <= 3
    other = decode_pixels(encode_picture(draw_glyph(colors, "O"), format))
    assert measure_difference(shown, other) > 2, "other glyphs look different"


def test_the_ground_is_chosen_by_visible_content() -> None:
    """Colors under full transparency, and a few light parts, do not count."""
    white_below = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    white_below.paste((0, 0, 0, 255), (20, 20, 40, 40))
    assert decode_pixels(encode_picture(white_below, "PNG"))[0, 0].tolist() == [255] * 3
    colors, alpha = Image.new("RGB", (100, 100), (60, 90, 60)), Image.new("L", (100, 100), 255)
    colors.paste((255, 255, 255), (0, 0, 100, 4))
    assert transparency.choose_ground(colors, alpha) == 255
    assert transparency.choose_ground(colors, Image.new("L", (100, 100), 0)) == 255


def test_palette_and_gray_transparency_have_a_ground() -> None:
    """GIF, palettes, gray with alpha, and one transparent color."""
    gray = draw_glyph(("white",)).convert("LA")
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([10, 20, 30, 255, 255, 255])
    palette.paste(1, (20, 20, 40, 40))
    for data in (
        encode_picture(gray, "PNG"),
        encode_picture(palette, "PNG", transparency=0),
        encode_picture(palette, "GIF", transparency=0),
        encode_picture(palette.convert("RGB"), "PNG", transparency=(10, 20, 30)),
        encode_picture(palette.convert("L"), "PNG", transparency=18),
    ):
        assert decode_pixels(data)[0, 0].tolist() == [0, 0, 0]
