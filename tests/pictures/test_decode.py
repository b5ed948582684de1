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
from searchapp.pictures.model_size import ImageInput


def colour(data: bytes, target: ImageInput = SQUASHED_INPUT) -> tuple[int, ...]:
    """The middle of a prepared picture."""
    image = decode.prepare_picture(data, target).image
    assert image.mode == "RGB"
    value = image.getpixel((16, 16))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_every_format_is_recognised_and_read(format: str) -> None:
    """A picture is known by its first bytes, and its colour survives."""
    decode._load_pillow()
    data = encode_picture(make_picture("red"), format)
    assert decode.looks_like_picture(data[: decode.SIGNATURE_BYTES])
    prepared = decode.prepare_picture(data, SQUASHED_INPUT)
    assert (prepared.info.format, prepared.info.width, prepared.info.height) == (format, 80, 60)
    assert is_close_color(colour(data), (255, 0, 0), tolerance=6)


@pytest.mark.parametrize(
    "data",
    [b"hello, world", b"%PDF-1.7", b"<svg/>", b"PK\3\4", b"", b"BM", b"BMW makes cars, and so"],
)
def test_other_files_are_no_pictures(data: bytes) -> None:
    """Text, PDF, SVG and archives are not taken for pictures."""
    assert not decode.looks_like_picture(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """The upright top left corner is white, whatever way the file stores it."""
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
def test_a_turned_picture_is_upright_in_every_format(format: str) -> None:
    """Stored lying with orientation 6, told and shown standing."""
    decode._load_pillow()
    stored = make_picture("red", (80, 40))
    stored.paste("white", (0, 0, 40, 40))  # upright: the upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    prepared = decode.prepare_picture(encode_picture(stored, format, exif=exif), SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height) == (40, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)
    assert is_close_color(prepared.image.getpixel((16, 27)), (255, 0, 0), tolerance=12)


def test_alpha_is_laid_over_white() -> None:
    """What is transparent looks white, in every mode that can be transparent."""
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    half = Image.new("RGBA", (40, 40), (255, 0, 0, 128))
    grey = Image.new("LA", (40, 40), (0, 0))
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([255, 0, 0] * 256)
    assert colour(encode_picture(clear, "PNG")) == (255, 255, 255)
    assert is_close_color(colour(encode_picture(half, "PNG")), (255, 127, 127))
    assert colour(encode_picture(grey, "PNG")) == (255, 255, 255)
    assert colour(encode_picture(palette, "PNG", transparency=0)) == (255, 255, 255)
    assert colour(encode_picture(palette, "PNG")) == (255, 0, 0)
    assert colour(encode_picture(Image.new("RGB", (9, 9), "red"), "PNG", transparency=(255, 0, 0))) == (
        255, 255, 255,
    )  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32768, 128), (65535, 255), (257, 1)])
def test_16_bits_are_scaled_not_clipped(value: int, expected: int) -> None:
    """A 16-bit picture keeps its greys, in PNG and in TIFF."""
    image = Image.fromarray(np.full((40, 40), value, dtype=np.uint16))
    for format in ("PNG", "TIFF"):
        assert is_close_color(colour(encode_picture(image, format)), (expected,) * 3, tolerance=1)


def test_other_modes() -> None:
    """Greyscale, bilevel, CMYK and floating point become the RGB they look like."""
    assert colour(encode_picture(Image.new("L", (40, 40), 77), "JPEG")) == (77, 77, 77)
    assert colour(encode_picture(Image.new("1", (40, 40), 1), "PNG")) == (255, 255, 255)
    cmyk = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    assert is_close_color(
        colour(encode_picture(cmyk, "JPEG", quality=95)), (255, 0, 0), tolerance=6
    )
    unit = Image.fromarray(np.full((40, 40), 0.5, dtype=np.float32))
    assert is_close_color(colour(encode_picture(unit, "TIFF")), (128, 128, 128), tolerance=1)


def test_a_broken_profile_does_not_cost_a_cmyk_picture() -> None:
    """Where the profile cannot be used, the plain conversion is."""
    cmyk = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    wrong = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"garbage", wrong):
        assert is_close_color(
            colour(encode_picture(cmyk, "JPEG", icc_profile=profile)), (255, 0, 0), tolerance=6
        )


def test_an_animation_counts_by_its_first_frame() -> None:
    """Later frames do not matter."""
    frames = [make_picture("red"), make_picture("blue")]
    for format in ("GIF", "WEBP", "PNG"):
        data = encode_picture(frames[0], format, save_all=True, append_images=frames[1:])
        assert is_close_color(colour(data), (255, 0, 0), tolerance=6)


def test_ordinary_shapes_are_resized_as_the_processor_does() -> None:
    """The short side becomes the model's, the long one is rounded down; the crop is the model's."""
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


def test_a_long_picture_is_shown_whole() -> None:
    """The edges of a picture longer than 2:1 are in what the model sees, on its mean colour."""
    panorama = make_picture("red", (300, 60))
    panorama.paste("blue", (240, 0, 300, 60))
    image = decode.prepare_picture(encode_picture(panorama, "PNG"), CROPPED_INPUT).image
    assert image.size == (32, 32)
    assert is_close_color(image.getpixel((2, 16)), (255, 0, 0))
    assert is_close_color(image.getpixel((29, 16)), (0, 0, 255))
    assert image.getpixel((16, 2)) == (1, 2, 3)


def test_a_large_jpeg_is_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draft mode leaves at least the model's input, and the size told is the file's."""
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
    """A bomb is refused before it is decoded, with the limit and the way around it."""
    data = encode_picture(Image.new("1", (20000, 20000)), "PNG")
    with pytest.raises(PictureError, match=r"400 megapixels, the limit is 179; raise --max-m"):
        decode.prepare_picture(data, SQUASHED_INPUT)
    assert decode.prepare_picture(
        encode_picture(make_picture(), "PNG"), SQUASHED_INPUT, max_megapixels=0.0048
    )
    with pytest.raises(PictureError):
        decode.prepare_picture(
            encode_picture(make_picture(), "PNG"), SQUASHED_INPUT, max_megapixels=0.0047
        )


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF"])
def test_a_truncated_picture_is_a_stated_error(format: str) -> None:
    """Half a file is never half a picture."""
    decode._load_pillow()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    data = encode_picture(Image.fromarray(noise), format)
    with pytest.raises(PictureError):
        decode.prepare_picture(data[: len(data) // 2], SQUASHED_INPUT)


def test_what_is_no_picture_says_so() -> None:
    """Text named .jpg is told to be none; a picture without its first part is told from that."""
    with pytest.raises(PictureError, match="not a picture"):
        decode.prepare_picture(b"hello, world" * 10, SQUASHED_INPUT)
    with pytest.raises(PictureError, match="broken or cut off in its first part"):
        decode.prepare_picture(encode_picture(make_picture(), "JPEG")[:4], SQUASHED_INPUT)


def test_a_damaged_png_is_a_stated_error() -> None:
    """Pillow fails on it once, when EXIF is asked for, and then shows what it has."""
    data = bytearray(encode_picture(make_picture(), "PNG"))
    data[data.index(b"IDAT") + 10] ^= 1
    with pytest.raises(PictureError, match="broken data stream"):
        decode.prepare_picture(bytes(data), SQUASHED_INPUT)


def test_many_scans_are_a_stated_error() -> None:
    """Each scan of a few bytes goes over the whole picture; what a film holds is no scan."""
    data = encode_picture(make_picture(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match=r"progressive JPEG of \d+ scans, the limit is 100"):
        decode.prepare_picture(data[:-2] + last * 100 + data[-2:], SQUASHED_INPUT)
    assert decode.prepare_picture(data[:-2] + last * 50 + data[-2:], SQUASHED_INPUT)
    assert decode.prepare_picture(data + b"\xff\xda" * 1000, SQUASHED_INPUT), (
        "a phone's picture with a film"
    )


def test_a_turned_picture_with_absurd_exif_is_upright() -> None:
    """EXIF that cannot be written again is read all the same."""
    block = exif_block((0x0112, 3, 1, 6 << 16), (0x0211, 2, 4, 0x80000000))
    stored = make_picture("red", (80, 40))
    stored.paste("white", (0, 0, 40, 40))
    prepared = decode.prepare_picture(
        encode_picture(stored, "JPEG", exif=block, quality=95), SQUASHED_INPUT
    )
    assert (prepared.info.width, prepared.info.height) == (40, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)


def test_a_camera_writes_no_control_characters() -> None:
    """What a file says of itself cannot steer the terminal."""
    exif = Image.Exif()
    exif[0x0110] = "X\x1b[2J\x07 100"
    assert (
        decode.prepare_picture(
            encode_picture(make_picture(), "JPEG", exif=exif), SQUASHED_INPUT
        ).info.camera
        == "X[2J 100"
    )


def test_an_endless_file_is_a_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device says that it is empty, and never ends."""
    monkeypatch.setattr(local, "MAX_PICTURE_BYTES", 1 << 20)
    with pytest.raises(PictureError, match="more than 1 MiB, which is the limit"):
        storage.read_file("/dev/zero")


def test_exif_tells_time_camera_and_place() -> None:
    """Time with its offset, the camera without its maker twice, degrees with their sign."""
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


def test_absurd_exif_does_not_cost_the_picture() -> None:
    """What cannot be understood is left out."""
    exif = Image.Exif()
    exif[0x0132], exif[0x010F] = "yesterday", "\0\0"
    bad = TiffImagePlugin.IFDRational(1, 0)
    exif.get_ifd(0x8825).update({1: "N", 2: (bad, bad, bad), 3: "E", 4: (500.0, 0.0, 0.0)})
    info = decode.prepare_picture(
        encode_picture(make_picture(), "JPEG", exif=exif), SQUASHED_INPUT
    ).info
    assert (info.taken_at, info.camera, info.latitude, info.longitude) == (None,) * 4


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    """A missing and an empty file are told apart; both are of the stage read."""
    (tmp_path / "empty.jpg").touch()
    for name, message in (("none.jpg", "No such file"), ("empty.jpg", "the file is empty")):
        with pytest.raises(PictureError, match=message) as caught:
            storage.read_file(str(tmp_path / name))
        assert caught.value.stage == "read"


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the old and half of the new file is no picture of either."""
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
    """A file that is replaced by a pipe does not hold up a run; a pipe with data is read."""
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match="the file is empty"):
        storage.read_file(str(tmp_path / "a.png"))
    reader, writer = os.pipe()
    os.write(writer, b"data")
    os.close(writer)
    assert storage.read_file(f"/dev/fd/{reader}")[0] == b"data"
    os.close(reader)
