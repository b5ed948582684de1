"""Test that all frames, alpha, depth and color profiles of a picture are compared."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw
from PIL.Image import Image as Picture
from support.imagemagick import needs_imagemagick, run_imagemagick

from searchapp.errors import PictureError
from searchapp.pictures import decode, frames

MAX_MEGAPIXELS = 10.0


def encode(image: Picture, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def draw_pages(colors: tuple[str, ...]) -> list[Picture]:
    return [Image.new("RGB", (64, 48), color) for color in colors]


def encode_pages(kind: str, *colors: str) -> bytes:
    first, *rest = draw_pages(colors)
    options = {} if kind == "TIFF" else {"duration": 100, "lossless": True}
    return encode(first, kind, save_all=True, append_images=rest, **options)


def hash_of(data: bytes) -> str:
    return frames.hash_frames(data, MAX_MEGAPIXELS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_all_frames_are_hashed(kind: str) -> None:
    """Animations and scans that share their first page only have different hashes."""
    data, other = (encode_pages(kind, "red", "blue", color) for color in ("green", "white"))
    cover = encode_pages(kind, "red")
    assert frames.count_frames(data, MAX_MEGAPIXELS) == 3
    assert frames.count_frames(cover, MAX_MEGAPIXELS) == 1
    assert len({hash_of(data), hash_of(other), hash_of(cover)}) == 3
    shown = [frame.colors.getpixel((5, 5)) for frame in _decode(data)]
    assert np.allclose(shown, [(255, 0, 0), (0, 0, 255), (0, 128, 0)], atol=2)


def _decode(data: bytes) -> list[frames.Frame]:
    return list(frames.decode_frames(data, lambda *size: size, MAX_MEGAPIXELS))


def test_the_preview_of_an_mpo_does_not_count() -> None:
    """An MPO is a JPEG with further pictures, such as the second one of a stereo camera."""
    first, second = draw_pages(("red", "blue"))
    data = encode(first, "MPO", save_all=True, append_images=[second])
    assert frames.count_frames(data, MAX_MEGAPIXELS) == 1
    assert len(_decode(data)) == 1


def test_durations_are_hashed() -> None:
    """An animation at another speed is another one; formats round durations differently."""
    first, second = draw_pages(("red", "blue"))
    hashes = {
        hash_of(encode(first, "GIF", save_all=True, append_images=[second], duration=duration))
        for duration in (100, 500)
    }
    assert len(hashes) == 2


def draw_glyph(shape: str) -> Picture:
    glyph = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    draw = ImageDraw.Draw(glyph)
    getattr(draw, shape)((16, 16, 48, 48), fill=(255, 255, 255, 255))
    return glyph


def test_alpha_is_compared() -> None:
    """White glyphs on a transparent ground are different pictures."""
    ellipse, rectangle = (encode(draw_glyph(shape)) for shape in ("ellipse", "rectangle"))
    assert hash_of(ellipse) != hash_of(rectangle)
    (frame,) = _decode(ellipse)
    assert frame.alpha is not None
    assert frame.alpha.getextrema() == (0, 255)
    opaque = Image.new("RGBA", (8, 8), "red")
    assert hash_of(encode(opaque)) == hash_of(encode(opaque.convert("RGB")))
    assert _decode(encode(opaque))[0].alpha is None


def test_modes_with_the_same_pixels() -> None:
    """A palette and gray pixels give the same hash as RGB; 16 bits do not."""
    gray = Image.radial_gradient("L").resize((32, 32))
    hashes = {hash_of(encode(image)) for image in (gray, gray.convert("RGB"), gray.convert("P"))}
    assert len(hashes) == 1
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    assert hash_of(encode(deep)) not in hashes


@needs_imagemagick
@pytest.mark.parametrize(
    "layout",
    [
        ("a.png", "-depth", 16), ("a.png", "-alpha", "on", "-depth", 16), ("a.jp2", "-depth", 16),
        ("a.tif", "-depth", 16), ("a.tif", "-depth", 16, "-compress", "lzw"),
        ("a.tif", "-depth", 16, "-endian", "MSB"),
        ("a.tif", "-compress", "lzw", "-depth", 32, "-define", "quantum:format=floating-point"),
    ],
)  # fmt: skip
def test_low_bits_of_colors_are_compared(tmp_path: Path, layout: tuple[str, ...]) -> None:
    """Pillow decodes 16 bits per channel to 8, so a copy with 8 bits is not the same picture."""
    name, *options = layout
    values = np.random.default_rng(0).integers(0, 255, (24, 32, 3)) * 256
    changed = values.copy()
    changed[5:20, 5:20] += 50
    hashes = set()
    for each in (values, changed):
        source = tmp_path / "source.ppm"
        source.write_bytes(b"P6 32 24 65535\n" + each.astype(">u2").tobytes())
        run_imagemagick(source, *options, tmp_path / name)
        hashes.add(hash_of((tmp_path / name).read_bytes()))
    eight_bits = Image.fromarray((values >> 8).astype(np.uint8))
    assert len(hashes | {hash_of(encode(eight_bits))}) == 3


@needs_imagemagick
def test_gray_levels_are_compared_as_shown(tmp_path: Path) -> None:
    """The same numbers with white as 0 are the negative."""
    source, file = tmp_path / "source.png", tmp_path / "a.tif"
    Image.radial_gradient("L").resize((32, 32)).save(source)
    hashes = set()
    for polarity in ("min-is-black", "min-is-white"):
        inversion = ("-negate",) if polarity == "min-is-white" else ()
        options = ("-depth", 16, "-define", f"quantum:polarity={polarity}")
        run_imagemagick(source, *inversion, *options, file)
        hashes.add(hash_of(file.read_bytes()))
    assert len(hashes) == 2


def make_profile(gamma: float) -> bytes:
    """Return an RGB profile, made of a gray one's curve by the library that Pillow uses."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = bytearray(profile.tobytes())
    # Scale the red primary (tag rXYZ): the same numbers then mean another red.
    count = int.from_bytes(data[128:132], "big")
    for number in range(count):
        entry = 132 + 12 * number
        if data[entry : entry + 4] == b"rXYZ":
            place = int.from_bytes(data[entry + 4 : entry + 8], "big") + 8
            value = int.from_bytes(data[place : place + 4], "big", signed=True)
            data[place : place + 4] = round(value * gamma).to_bytes(4, "big", signed=True)
    return bytes(data)


def test_the_color_profile_is_compared() -> None:
    """The same numbers with another profile look different; an sRGB profile changes nothing."""
    image = Image.new("RGB", (16, 16), (200, 80, 40))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, with_srgb = encode(image), encode(image, icc_profile=srgb)
    other = encode(image, icc_profile=make_profile(0.7))
    assert hash_of(plain) == hash_of(with_srgb)
    assert hash_of(plain) != hash_of(other)
    (shown,) = _decode(other)
    assert shown.colors.getpixel((5, 5)) != (200, 80, 40)
    (unchanged,) = _decode(with_srgb)
    assert unchanged.colors.getpixel((5, 5)) == (200, 80, 40)
    broken = encode(image, icc_profile=b"no profile")
    assert hash_of(broken) == hash_of(plain)


def test_frames_have_the_colors_of_decoded_pictures() -> None:
    """The ground under transparent parts, the profile and the orientation are the same."""
    image, exif = draw_glyph("ellipse"), Image.Exif()
    exif[0x0112] = 6
    image.paste((200, 80, 40, 255), (0, 0, 32, 8))
    for options in ({}, {"icc_profile": make_profile(0.7)}, {"exif": exif}):
        data = encode(image, **options)
        (frame,) = _decode(data)
        decoded, _ = decode.decode_picture(data, lambda *size: size, MAX_MEGAPIXELS)
        assert frame.colors.tobytes() == decoded.tobytes()
        assert frame.alpha is not None
        assert frame.alpha.size == decoded.size


def test_a_complete_picture_with_a_damaged_end() -> None:
    """A JPEG without its end marker shows the same; a cut one is an error."""
    whole = encode(Image.effect_noise((96, 64), 60).convert("RGB"), "JPEG", quality=90)
    without_end = whole.removesuffix(b"\xff\xd9")
    assert hash_of(without_end) == hash_of(whole)
    assert frames.count_frames(without_end, MAX_MEGAPIXELS) == 1
    (frame,), (same,) = _decode(without_end), _decode(whole)
    assert frame.colors.tobytes() == same.colors.tobytes()
    for call in (hash_of, _decode):
        with pytest.raises(PictureError, match="truncated"):
            call(whole[: len(whole) // 2])


def test_broken_files_are_picture_errors() -> None:
    """Each function raises PictureError, as decode_picture does."""
    data = encode_pages("TIFF", "red", "blue")[:100]
    for call in (frames.count_frames, frames.hash_frames):
        with pytest.raises(PictureError):
            call(data, MAX_MEGAPIXELS)
    with pytest.raises(PictureError):
        _decode(b"not a picture")
