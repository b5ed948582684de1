"""JPEG XL and camera RAW: detection, sizes, orientation, previews, limits and extras."""

import logging
from pathlib import Path

import pytest
from PIL import Image
from support.dng_files import make_dng
from support.hostile_files import make_sound_pictures
from support.library import RunCommand, index_folder, search_file_names
from support.metadata_files import make_list_property, make_xmp
from support.pixels import CROPPED_INPUT, SQUASHED_INPUT, encode_picture, is_close_color
from support.sample_pictures import make_picture, save_picture

from searchapp.errors import PictureError
from searchapp.library import Library
from searchapp.pictures import decode, jxl, optional_decoders, raw
from searchapp.types import RunSummary

decode._load_pillow()


def make_half_white(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Make a red picture that is white on the left."""
    image = make_picture("red", size)
    image.paste("white", (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize("size", [(80, 60), (64, 64), (123, 457), (800, 600), (1920, 1080)])
@pytest.mark.parametrize("options", [{}, {"use_container": True}])
def test_jpeg_xl_size_is_read_before_decoding(
    size: tuple[int, int], options: dict[str, bool]
) -> None:
    """The plugin decodes on opening, so the limit is checked earlier."""
    data = encode_picture(make_picture("red", size), "JXL", effort=1, **options)
    assert jxl.read_size(data) == size
    limit = size[0] * size[1] / 1e6
    assert decode.prepare_picture(data, SQUASHED_INPUT, limit).info.format == "JXL"
    with pytest.raises(PictureError, match="megapixels, the limit is"):
        decode.prepare_picture(data, SQUASHED_INPUT, limit * 0.9)


def test_jpeg_xl_is_rotated_once(tmp_path: Path) -> None:
    """EXIF orientation counts only for a repacked JPEG; otherwise the codestream decides."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "X100"
    data = encode_picture(make_half_white(), "JXL", exif=exif.tobytes(), lossless=True)
    prepared = decode.prepare_picture(data, SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height, prepared.info.camera) == (80, 60, "X100")
    make_half_white().save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)
    prepared = decode.prepare_picture((tmp_path / "a.jxl").read_bytes(), SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height) == (60, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)


@pytest.mark.parametrize("cut", [2, 5, 11, 40, 200])
def test_truncated_jpeg_xl_is_an_error(cut: int) -> None:
    """Half of a file is never decoded as half of a picture."""
    data = encode_picture(make_half_white((300, 200)), "JXL")
    with pytest.raises(PictureError, match=r"broken or cut off|not a picture"):
        decode.prepare_picture(data[: min(cut, len(data) - 1)], SQUASHED_INPUT)


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", None),
        (b"II*\0\x08\0\0\0", None),
    ],
)
def test_raw_is_detected_by_its_first_bytes(head: bytes, format: str | None) -> None:
    """A plain TIFF signature is not enough."""
    assert raw.detect_format_by_signature(head) == format


def test_tiff_is_not_detected_as_raw() -> None:
    """Only sensor data or the DNG version tag makes a TIFF a RAW file."""
    for name, data in make_sound_pictures().items():
        assert raw.detect_format(data) is None, name
    exif = Image.Exif()
    exif[0x010F] = "NIKON CORPORATION"
    assert raw.detect_format(encode_picture(make_half_white(), "TIFF", exif=exif)) is None
    data = make_dng()
    assert raw.detect_format(data) == "DNG"
    offset = data.index((50706).to_bytes(2, "little"))
    other = data[:offset] + (50000).to_bytes(2, "little") + data[offset + 2 :]
    assert raw.detect_format(other) == "RAW", "by its mosaic"
    assert raw.detect_format(other.replace(b"Lumora", b"NIKON\0")) == "NEF"


def test_sensor_data_is_developed_without_a_preview(caplog: pytest.LogCaptureFixture) -> None:
    """The picture is upright, has its metadata, and half the size of the sensor."""
    with caplog.at_level(logging.INFO, "searchapp"):
        image, info = decode.decode_picture(
            make_dng("lime", orientation=6), lambda width, height: (32, 32)
        )
    assert caplog.messages == ["Developing the sensor data of a DNG file: no usable preview."]
    assert image.size == (60, 80)
    assert is_close_color(image.getpixel((5, 40)), (0, 255, 0), tolerance=8)
    assert is_close_color(image.getpixel((55, 40)), (0, 0, 0), tolerance=8)
    assert (info.format, info.width, info.height) == ("DNG", 120, 160)
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00", "Lumora X100")


def test_a_large_preview_is_used() -> None:
    """A preview that is too small or broken is replaced by the sensor data."""
    preview, pixel = make_picture("blue", (160, 120)), (16, 28)

    def read_pixel(data: bytes) -> tuple[int, ...]:
        value = decode.prepare_picture(data, CROPPED_INPUT).image.getpixel(pixel)
        assert isinstance(value, tuple)
        return value

    data = make_dng("red", preview=preview)
    assert is_close_color(read_pixel(data), (0, 0, 255), tolerance=6)
    assert is_close_color(
        read_pixel(make_dng("red", preview=make_picture("blue", (40, 30)))),
        (255, 0, 0),
        tolerance=8,
    )
    assert is_close_color(read_pixel(data.replace(b"\xff\xc0", b"\0\0")), (255, 0, 0), tolerance=8)
    cut = data[: len(data) - 20000]
    assert is_close_color(read_pixel(cut), (0, 0, 255), tolerance=6), "the preview is complete"


def test_xmp_in_a_raw_file_is_read() -> None:
    """Programs write ratings and keywords into a DNG without a sidecar."""
    packet = make_xmp('xmp:Rating="4"', make_list_property("dc:subject", "harbour"))
    _, info = decode.decode_picture(
        make_dng(preview=make_picture("red", (160, 120)), xmp=packet), CROPPED_INPUT.compute_size
    )
    assert (info.format, info.rating, info.keywords) == ("DNG", 4, ("harbour",))
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00", "Lumora X100")


@pytest.mark.parametrize("is_upright", [False, True])
def test_previews_are_rotated_once(is_upright: bool) -> None:
    """Some cameras store upright previews."""
    preview = make_half_white((160, 120))
    if is_upright:
        preview = preview.transpose(Image.Transpose.ROTATE_270)
    data = make_dng("lime", preview=preview, orientation=6)
    image = decode.decode_thumbnail(data, 60)
    assert image.size == (45, 60)
    assert is_close_color(image.getpixel((22, 5)), (255, 255, 255), tolerance=12)
    assert is_close_color(image.getpixel((22, 55)), (255, 0, 0), tolerance=12)


def test_limits_apply_to_raw_files() -> None:
    """A large sensor is refused before it is developed; a truncated file is an error."""
    with pytest.raises(PictureError, match=r"megapixels, the limit is 0\.01$"):
        decode.prepare_picture(make_dng(), SQUASHED_INPUT, 0.01)
    with pytest.raises(PictureError, match="broken or cut off"):
        decode.prepare_picture(make_dng()[:5000], SQUASHED_INPUT)


@pytest.mark.parametrize(("extra", "name"), [("jxl", "a.jxl"), ("raw", "a.dng")])
def test_a_file_without_its_extra_is_retried_later(
    opened: Library,
    photos: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    name: str,
) -> None:
    """The failure names the extra; once it is installed, the next run reads the file."""
    data = encode_picture(make_picture("yellow"), "JXL") if extra == "jxl" else make_dng("yellow")
    (photos / name).write_bytes(data)
    (photos / "bad.jpg").write_text("no picture")
    is_installed = optional_decoders.is_installed
    with monkeypatch.context() as patched:
        patched.setattr(
            optional_decoders, "is_installed", lambda other: other != extra and is_installed(other)
        )
        assert index_folder(opened, photos, model) == RunSummary(added=3, failed=2)
        assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
        (failure,) = [each for each in opened.failures() if each.path.endswith(name)]
        assert f"pip install -e '.[{extra}]'" in failure.message
        assert failure.stage == f"needs {extra}"
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=3)
    assert [Path(each.path).name for each in opened.failures()] == ["bad.jpg"]


def test_jpeg_xl_and_raw_work_in_queries_and_sheets(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """As query pictures, in the hits, and on the contact sheet; detected by content, too."""
    (photos / "a.jxl").write_bytes(encode_picture(make_picture("yellow"), "JXL"))
    (photos / "b.nef").write_bytes(make_dng("yellow", preview=make_picture("cyan", (200, 150))))
    (photos / "c").write_bytes(make_dng("red", preview=make_picture("magenta", (200, 150))))
    save_picture(photos / "d.png", "white")
    assert run("index", photos, "--model", model).exit_code == 0
    for name in ("a.jxl", "b.nef", "c"):
        sheet = tmp_path / f"{name}.html"
        result = run("query", "--image", photos / name, "-k", 1, "--paths")
        assert Path(result.stdout.strip()).name == name
        run("query", "--image", photos / name, "-k", 1, "--html", sheet)
        assert "data:image/jpeg" in sheet.read_text()


def test_jpeg_xl_and_raw_files_are_found(opened: Library, photos: Path, model: Path) -> None:
    """A search finds a JPEG XL and a DNG file."""
    (photos / "a.jxl").write_bytes(encode_picture(make_picture("yellow"), "JXL"))
    (photos / "b.dng").write_bytes(make_dng("yellow", preview=make_picture("yellow", (200, 150))))
    index_folder(opened, photos, model)
    assert set(search_file_names(opened, "yellow")) == {"a.jxl", "b.dng"}
