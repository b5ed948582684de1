"""Decoding pictures: formats, orientation, color modes, limits, and errors."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin
from support.hostile_files import make_exif as exif_block
from support.pixels import CROPPED_INPUT, SQUASHED_INPUT, encode_picture, is_close_color
from support.sample_pictures import make_picture

from searchapp.errors import PictureError
from searchapp.files import local, storage
from searchapp.pictures import decode, model_size
from searchapp.pictures.limits import check_pixel_count
from searchapp.pictures.model_size import ImageInput


def get_center_color(data: bytes, target: ImageInput = SQUASHED_INPUT) -> tuple[int, ...]:
    """Return the center color of a prepared picture."""
    image = decode.prepare_picture(data, target).image
    assert image.mode == "RGB"
    value = image.getpixel((16, 16))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_every_format_is_detected_and_decoded(format: str) -> None:
    """A picture is detected by its first bytes, and its color is decoded."""
    decode._load_pillow()
    data = encode_picture(make_picture("red"), format)
    assert decode.looks_like_picture(data[: decode.SIGNATURE_BYTES])
    prepared = decode.prepare_picture(data, SQUASHED_INPUT)
    assert (prepared.info.format, prepared.info.width, prepared.info.height) == (format, 80, 60)
    assert is_close_color(get_center_color(data), (255, 0, 0), tolerance=6)


@pytest.mark.parametrize(
    "data",
    [b"hello, world", b"%PDF-1.7", b"<svg/>", b"PK\3\4", b"", b"BM", b"BMW makes cars, and so"],
)
def test_other_files_are_not_pictures(data: bytes) -> None:
    """Text, PDF, SVG and archives are not detected as pictures."""
    assert not decode.looks_like_picture(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """The top left corner of the upright picture is white for every stored orientation."""
    upright = make_picture("red", (80, 60))
    upright.paste("white", (0, 0, 40, 30))
    stored = {
        1: upright, 2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    prepared = decode.prepare_picture(
        encode_picture(stored, "JPEG", exif=exif, quality=95), SQUASHED_INPUT
    )
    assert (prepared.info.width, prepared.info.height) == (80, 60)
    assert is_close_color(prepared.image.getpixel((4, 4)), (255, 255, 255), tolerance=12)
    assert is_close_color(prepared.image.getpixel((27, 27)), (255, 0, 0), tolerance=12)


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
def test_orientation_is_applied_in_every_format(format: str) -> None:
    """With orientation 6, the reported size and the pixels are upright."""
    decode._load_pillow()
    stored = make_picture("red", (80, 40))
    stored.paste("white", (0, 0, 40, 40))  # upright: the upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    prepared = decode.prepare_picture(encode_picture(stored, format, exif=exif), SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height) == (40, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)
    assert is_close_color(prepared.image.getpixel((16, 27)), (255, 0, 0), tolerance=12)


def test_alpha_is_blended_over_white() -> None:
    """Transparent pixels become white, in every mode that can be transparent."""
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    half = Image.new("RGBA", (40, 40), (255, 0, 0, 128))
    gray = Image.new("LA", (40, 40), (0, 0))
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([255, 0, 0] * 256)
    assert get_center_color(encode_picture(clear, "PNG")) == (255, 255, 255)
    assert is_close_color(get_center_color(encode_picture(half, "PNG")), (255, 127, 127))
    assert get_center_color(encode_picture(gray, "PNG")) == (255, 255, 255)
    assert get_center_color(encode_picture(palette, "PNG", transparency=0)) == (255, 255, 255)
    assert get_center_color(encode_picture(palette, "PNG")) == (255, 0, 0)
    opaque_red = Image.new("RGB", (9, 9), "red")
    assert get_center_color(encode_picture(opaque_red, "PNG", transparency=(255, 0, 0))) == (
        255,
        255,
        255,
    )


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32768, 128), (65535, 255), (257, 1)])
def test_16_bits_are_scaled_not_clipped(value: int, expected: int) -> None:
    """A 16-bit picture keeps its gray values, in PNG and in TIFF."""
    image = Image.fromarray(np.full((40, 40), value, dtype=np.uint16))
    for format in ("PNG", "TIFF"):
        assert is_close_color(
            get_center_color(encode_picture(image, format)), (expected,) * 3, tolerance=1
        )


def test_other_modes_are_converted_to_rgb() -> None:
    """Grayscale, bilevel, CMYK and floating point become the RGB that they look like."""
    assert get_center_color(encode_picture(Image.new("L", (40, 40), 77), "JPEG")) == (77, 77, 77)
    assert get_center_color(encode_picture(Image.new("1", (40, 40), 1), "PNG")) == (255, 255, 255)
    cmyk = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    assert is_close_color(
        get_center_color(encode_picture(cmyk, "JPEG", quality=95)), (255, 0, 0), tolerance=6
    )
    unit = Image.fromarray(np.full((40, 40), 0.5, dtype=np.float32))
    assert is_close_color(
        get_center_color(encode_picture(unit, "TIFF")), (128, 128, 128), tolerance=1
    )


def test_cmyk_with_a_broken_profile_is_converted() -> None:
    """Pillow's plain conversion is used if the ICC profile is broken."""
    cmyk = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    wrong = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"garbage", wrong):
        assert is_close_color(
            get_center_color(encode_picture(cmyk, "JPEG", icc_profile=profile)),
            (255, 0, 0),
            tolerance=6,
        )


def test_the_first_frame_of_an_animation_is_decoded() -> None:
    """Later frames are ignored."""
    frames = [make_picture("red"), make_picture("blue")]
    for format in ("GIF", "WEBP", "PNG"):
        data = encode_picture(frames[0], format, save_all=True, append_images=frames[1:])
        assert is_close_color(get_center_color(data), (255, 0, 0), tolerance=6)


def test_pictures_are_resized_as_the_processor_does() -> None:
    """The short side gets the model's size, and the long side is rounded down."""
    for size, expected in (((80, 60), (42, 32)), ((60, 80), (32, 42)), ((64, 33), (62, 32))):
        assert (
            decode.prepare_picture(
                encode_picture(make_picture(size=size), "PNG"), CROPPED_INPUT
            ).image.size
            == expected
        )
    assert decode.prepare_picture(
        encode_picture(make_picture(size=(80, 60)), "PNG"), SQUASHED_INPUT
    ).image.size == (32, 32)


def test_an_elongated_picture_is_padded_not_cropped() -> None:
    """The model sees the edges of a picture longer than 2:1, padded with its mean color."""
    panorama = make_picture("red", (300, 60))
    panorama.paste("blue", (240, 0, 300, 60))
    image = decode.prepare_picture(encode_picture(panorama, "PNG"), CROPPED_INPUT).image
    assert image.size == (32, 32)
    assert is_close_color(image.getpixel((2, 16)), (255, 0, 0))
    assert is_close_color(image.getpixel((29, 16)), (0, 0, 255))
    assert image.getpixel((16, 2)) == (1, 2, 3)


def test_a_large_jpeg_is_decoded_at_a_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has at least the size of the model's input; the reported size is the file's."""
    decoded = []
    fit = model_size.fit_to_model
    monkeypatch.setattr(
        model_size, "fit_to_model", lambda i, t: decoded.append(i.size) or fit(i, t)
    )
    prepared = decode.prepare_picture(
        encode_picture(make_picture(size=(1600, 1200)), "JPEG"), CROPPED_INPUT
    )
    assert decoded == [(200, 150)]
    assert (prepared.info.width, prepared.info.height) == (1600, 1200)
    decode.prepare_picture(encode_picture(make_picture(size=(100, 80)), "JPEG"), CROPPED_INPUT)
    decode.prepare_picture(encode_picture(make_picture(size=(80, 60)), "JPEG"), CROPPED_INPUT)
    assert decoded[1:] == [(50, 40), (80, 60)]


def test_the_megapixel_limit_is_stated() -> None:
    """A decompression bomb is refused before it is decoded. `index` has an option to accept it."""
    data = encode_picture(Image.new("1", (20000, 20000)), "PNG")
    with pytest.raises(PictureError, match=r"400 megapixels, the limit is 179$") as raised:
        decode.prepare_picture(data, SQUASHED_INPUT)
    assert raised.value.index_remedy == "raise --max-megapixels"
    assert decode.prepare_picture(
        encode_picture(make_picture(), "PNG"), SQUASHED_INPUT, max_megapixels=0.0048
    )
    with pytest.raises(PictureError):
        decode.prepare_picture(
            encode_picture(make_picture(), "PNG"), SQUASHED_INPUT, max_megapixels=0.0047
        )


def test_a_picture_of_exactly_the_largest_size_is_accepted() -> None:
    """As a float, 4.1 * 1e6 is below 4,100,000 pixels."""
    check_pixel_count(4_100_000, 4.1)
    with pytest.raises(PictureError, match=r"has 4\.11 megapixels, the limit is 4\.1$"):
        check_pixel_count(4_100_001, 4.1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF"])
def test_a_truncated_picture_is_an_error(format: str) -> None:
    """Half of a file is never decoded as half of a picture."""
    decode._load_pillow()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    data = encode_picture(Image.fromarray(noise), format)
    with pytest.raises(PictureError):
        decode.prepare_picture(data[: len(data) // 2], SQUASHED_INPUT)


def test_text_and_truncated_signatures_are_errors() -> None:
    """Text named .jpg is not a picture; a picture of 4 bytes is broken."""
    with pytest.raises(PictureError, match="not a picture"):
        decode.prepare_picture(b"hello, world" * 10, SQUASHED_INPUT)
    with pytest.raises(PictureError, match="broken or cut off in its first part"):
        decode.prepare_picture(encode_picture(make_picture(), "JPEG")[:4], SQUASHED_INPUT)


def test_a_damaged_png_is_an_error() -> None:
    """Pillow raises only once for it, when EXIF is read; later it shows a partial picture."""
    data = bytearray(encode_picture(make_picture(), "PNG"))
    data[data.index(b"IDAT") + 10] ^= 1
    with pytest.raises(PictureError, match="broken data stream"):
        decode.prepare_picture(bytes(data), SQUASHED_INPUT)


def test_a_jpeg_with_many_scans_is_an_error() -> None:
    """Each scan passes over all pixels. Scans in an appended video do not count."""
    data = encode_picture(make_picture(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match=r"progressive JPEG of \d+ scans, the limit is 100"):
        decode.prepare_picture(data[:-2] + last * 100 + data[-2:], SQUASHED_INPUT)
    assert decode.prepare_picture(data[:-2] + last * 50 + data[-2:], SQUASHED_INPUT)
    assert decode.prepare_picture(data + b"\xff\xda" * 1000, SQUASHED_INPUT), (
        "a phone's picture with an appended video"
    )


def test_orientation_in_invalid_exif_is_applied() -> None:
    """EXIF that Pillow cannot write again is still read."""
    block = exif_block((0x0112, 3, 1, 6 << 16), (0x0211, 2, 4, 0x80000000))
    stored = make_picture("red", (80, 40))
    stored.paste("white", (0, 0, 40, 40))
    prepared = decode.prepare_picture(
        encode_picture(stored, "JPEG", exif=block, quality=95), SQUASHED_INPUT
    )
    assert (prepared.info.width, prepared.info.height) == (40, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)


def test_control_characters_are_removed_from_metadata() -> None:
    """Metadata cannot control the terminal."""
    exif = Image.Exif()
    exif[0x0110] = "X\x1b[2J\x07 100"
    assert (
        decode.prepare_picture(
            encode_picture(make_picture(), "JPEG", exif=exif), SQUASHED_INPUT
        ).info.camera
        == "X[2J 100"
    )


def test_an_endless_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device reports a size of 0, and never ends."""
    monkeypatch.setattr(local, "MAX_PICTURE_BYTES", 1 << 20)
    with pytest.raises(PictureError, match="the file has more than 1 MiB, which is the limit"):
        storage.read_file("/dev/zero")


def test_exif_date_camera_and_position_are_read() -> None:
    """Date with UTC offset, camera without a repeated make, signed degrees."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Lumora", "Lumora X100"
    exif.get_ifd(0x8769).update({0x9003: "2023:06:17 21:05:00", 0x9011: "+02:00"})
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    info = decode.prepare_picture(
        encode_picture(make_picture(), "JPEG", exif=exif), SQUASHED_INPUT
    ).info
    assert info.taken_at == "2023-06-17T21:05:00+02:00"
    assert info.camera == "Lumora X100"
    assert (info.latitude, info.longitude) == (-33.86, 151.2)


def test_invalid_exif_is_dropped() -> None:
    """The picture is decoded, and the invalid values are left out."""
    exif = Image.Exif()
    exif[0x0132], exif[0x010F] = "yesterday", "\0\0"
    bad = TiffImagePlugin.IFDRational(1, 0)
    exif.get_ifd(0x8825).update({1: "N", 2: (bad, bad, bad), 3: "E", 4: (500.0, 0.0, 0.0)})
    info = decode.prepare_picture(
        encode_picture(make_picture(), "JPEG", exif=exif), SQUASHED_INPUT
    ).info
    assert (info.taken_at, info.camera, info.latitude, info.longitude) == (None,) * 4


def test_read_errors_name_their_cause(tmp_path: Path) -> None:
    """A missing and an empty file have different messages; both fail in the stage read."""
    (tmp_path / "empty.jpg").touch()
    for name, message in (("none.jpg", "No such file"), ("empty.jpg", "the file is empty")):
        with pytest.raises(PictureError, match=message) as caught:
            storage.read_file(str(tmp_path / name))
        assert caught.value.stage == "read"


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the old and half of the new file is not a valid picture."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"x" * 100)
    fstat = os.fstat

    def change(number: int) -> os.stat_result:
        state = fstat(number)
        file.write_bytes(b"y" * 50)
        return state

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", change)
        with pytest.raises(PictureError, match="changed while it was being read"):
            storage.read_file(str(file))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe without data does not block; a pipe with data is read."""
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match="the file is empty"):
        storage.read_file(str(tmp_path / "a.png"))
    reader, writer = os.pipe()
    os.write(writer, b"data")
    os.close(writer)
    assert storage.read_file(f"/dev/fd/{reader}")[0] == b"data"
    os.close(reader)
