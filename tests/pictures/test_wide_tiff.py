"""TIFFs with wide samples, such as 32-bit floating point, are read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support.icc_profiles import SRGB, make_rgb_profile
from support.imagemagick import needs_imagemagick, render_srgb, run_imagemagick
from support.pixels import encode_picture

from searchapp.errors import PictureError
from searchapp.pictures import decode, wide_tiff

INVERTED = ("-define", "quantum:polarity=min-is-white")
FLOAT = ("-define", "quantum:format=floating-point")
KINDS = {
    "float": ("-depth", 32, *FLOAT),
    "double": ("-depth", 64, *FLOAT),
    "half": ("-depth", 16, *FLOAT),
    "gray double": ("-colorspace", "Gray", "-depth", 64, *FLOAT),
    "lzw": ("-compress", "lzw", "-depth", 32, *FLOAT),
    "tiles": ("-define", "tiff:tile-geometry=32x16", "-depth", 32, *FLOAT),
    "big-endian": ("-endian", "MSB", "-depth", 32, *FLOAT),
    "alpha": ("-alpha", "on", "-depth", 32, *FLOAT),
    "integers": ("-depth", 32),
}


def decode_pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode.decode_picture(data, lambda *size: size)[0], np.int16)


def make_tiff(values: np.ndarray, order: str = "<", predictor: int = 1) -> bytes:
    """Return an uncompressed TIFF of floats, [height, width, 3], with metadata."""
    height, width, samples = values.shape
    numbers = values.view("u4")
    if predictor == 2:
        numbers = np.diff(numbers, axis=1, prepend=np.zeros((height, 1, samples), "u4"))
    pixels = numbers.astype(f"{order}u4").tobytes()
    head = b"II*\0" if order == "<" else b"MM\0*"
    tags = TiffImagePlugin.ImageFileDirectory_v2(head + bytes(4))
    layout = {256: width, 257: height, 258: (32,) * 3, 259: 1, 262: 2, 273: 0,  # behind the tags
              277: 3,
              278: height, 279: len(pixels), 317: predictor, 339: (3,) * 3,
              272: "X100", 306: "2023:06:17 21:05:00", 274: 6}  # fmt: skip
    for tag, value in layout.items():
        tags[tag] = value
        tags.tagtype[tag] = 2 if isinstance(value, str) else 4 if tag in (273, 279) else 3
    start = (8).to_bytes(4, "little" if order == "<" else "big")
    return head + start + tags.tobytes(8) + pixels


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((75, 50), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@needs_imagemagick
@pytest.mark.parametrize("kind", KINDS)
def test_wide_samples_are_scaled(picture: Path, kind: str) -> None:
    """In every layout that ImageMagick writes."""
    file = picture.with_suffix(".tif")
    run_imagemagick(picture, *KINDS[kind], file)
    expected = np.asarray(Image.open(picture), np.int16)
    if "Gray" in KINDS[kind]:
        expected = render_srgb(file)
    assert np.abs(decode_pixels(file.read_bytes()) - expected).max() <= 1


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_metadata_is_kept(tmp_path: Path, order: str, predictor: int) -> None:
    """Orientation, date and camera, also where only headers are read."""
    values = np.random.default_rng(0).random((20, 30, 3), np.float32)
    file = tmp_path / "a.tif"
    file.write_bytes(make_tiff(values, order, predictor))
    image, info = decode.decode_picture(file.read_bytes(), lambda *size: size)
    assert (info.format, info.width, info.height) == ("TIFF", 20, 30)
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00", "X100")
    upright = np.rot90(values, -1)
    assert np.abs(np.asarray(image, np.float32) - 255 * upright).max() <= 0.51
    state = file.stat()
    assert decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns) == info


@needs_imagemagick
def test_a_profile_applies_to_wide_samples(picture: Path) -> None:
    """Floats in linear light look as ImageMagick shows them."""
    file, profile = picture.with_suffix(".tif"), picture.with_suffix(".icc")
    profile.write_bytes(make_rgb_profile(SRGB, 1.0))
    run_imagemagick(picture, "-profile", profile, *KINDS["float"], file)
    assert np.abs(decode_pixels(file.read_bytes()) - render_srgb(file)).mean() < 2


@needs_imagemagick
@pytest.mark.parametrize(
    ("depth", "polarity"), [(12, "min-is-black"), (16, "min-is-black"), (16, "min-is-white")]
)
@pytest.mark.parametrize("endian", ["LSB", "MSB"])
def test_gray_with_12_and_16_bits_is_scaled(
    picture: Path, depth: int, polarity: str, endian: str
) -> None:
    """4095 is white with 12 bits; 0 is white if the file says so."""
    file = picture.with_suffix(".tif")
    options = ("-define", f"quantum:polarity={polarity}", "-endian", endian, "-depth", depth)
    run_imagemagick(picture, "-colorspace", "Gray", *options, file)
    assert np.abs(decode_pixels(file.read_bytes()) - render_srgb(file)).max() <= 1


@needs_imagemagick
@pytest.mark.parametrize(
    ("options", "samples"),
    [
        (("-depth", 12), "12-bit integer"), (("-depth", 14), "14-bit integer"),
        (("-colorspace", "Lab", "-depth", 16), "16-bit integer"),
        (("-colorspace", "Gray", "-depth", 12, *INVERTED), "12-bit integer"),
    ],
)  # fmt: skip
def test_other_samples_are_named(picture: Path, options: tuple[object, ...], samples: str) -> None:
    """Such a file is not broken."""
    file = picture.with_suffix(".tif")
    run_imagemagick(picture, *options, file)
    with pytest.raises(PictureError, match=rf"a TIFF of \d x {samples} samples.*save it as RGB"):
        decode_pixels(file.read_bytes())


@needs_imagemagick
@pytest.mark.parametrize("layout", [("-interlace", "plane"), ("-colorspace", "CMYK")])
def test_other_layouts_are_named(picture: Path, layout: tuple[str, str]) -> None:
    """The failure says what the file is, and what to do."""
    file = picture.with_suffix(".tif")
    run_imagemagick(picture, *layout, *KINDS["float"], file)
    with pytest.raises(
        PictureError, match=r"a TIFF of \d x 32-bit floating-point samples.*save it"
    ):
        decode_pixels(file.read_bytes())


def test_the_scale_of_floats_is_chosen_by_their_values() -> None:
    """Up to 1, up to 255, or up to the maximum; infinite values and NaN are black."""
    values = np.array([[[0.0, 0.5, 1.0], [np.nan, np.inf, -1.0]]])
    assert wide_tiff._scale_to_8_bits(values, 3).tolist() == [[[0, 128, 255], [0, 0, 0]]]
    assert wide_tiff._scale_to_8_bits(np.array([[[0, 100, 250.0]]]), 3).tolist() == [
        [[0, 100, 250]]
    ]
    assert wide_tiff._scale_to_8_bits(np.array([[[0, 500, 1000.0]]]), 3).tolist() == [
        [[0, 128, 255]]
    ]


def test_limits_and_truncation_apply() -> None:
    """A large picture is refused before it is read; a cut one is an error."""
    data = make_tiff(np.zeros((50, 70, 3), np.float32))
    with pytest.raises(PictureError, match="the limit is 0"):
        wide_tiff.convert_to_8_bits(data, 0.001)
    for size in range(300, len(data), 2999):
        with pytest.raises(PictureError, match="truncated"):
            decode_pixels(data[:size])
    ordinary = encode_picture(Image.new("RGB", (9, 9)), "TIFF")
    assert wide_tiff.convert_to_8_bits(ordinary, 100) is None
