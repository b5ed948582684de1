"""JPEG XL and camera RAW, as pictures like any other."""

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


def stored(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Red, and white on the left."""
    image = make_picture("red", size)
    image.paste("white", (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize("size", [(80, 60), (64, 64), (123, 457), (800, 600), (1920, 1080)])
@pytest.mark.parametrize("options", [{}, {"use_container": True}])
def test_jpeg_xl_tells_its_size_before_it_is_decoded(
    size: tuple[int, int], options: dict[str, bool]
) -> None:
    """The plugin decodes when it opens: the limit has to come before."""
    data = encode_picture(make_picture("red", size), "JXL", effort=1, **options)
    assert jxl.read_size(data) == size
    limit = size[0] * size[1] / 1e6
    assert decode.prepare_picture(data, SQUASHED_INPUT, limit).info.format == "JXL"
    with pytest.raises(PictureError, match="raise --max-megapixels"):
        decode.prepare_picture(data, SQUASHED_INPUT, limit * 0.9)


def test_jpeg_xl_is_turned_once(tmp_path: Path) -> None:
    """What EXIF says counts where a JPEG was packed; elsewhere the codestream has the last word."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "X100"
    data = encode_picture(stored(), "JXL", exif=exif.tobytes(), lossless=True)
    prepared = decode.prepare_picture(data, SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height, prepared.info.camera) == (80, 60, "X100")
    stored().save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)
    prepared = decode.prepare_picture((tmp_path / "a.jxl").read_bytes(), SQUASHED_INPUT)
    assert (prepared.info.width, prepared.info.height) == (60, 80)
    assert is_close_color(prepared.image.getpixel((16, 4)), (255, 255, 255), tolerance=12)


@pytest.mark.parametrize("cut", [2, 5, 11, 40, 200])
def test_damaged_jpeg_xl_is_a_stated_error(cut: int) -> None:
    """Half a file is never half a picture."""
    data = encode_picture(stored((300, 200)), "JXL")
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
def test_raw_is_known_by_its_first_bytes(head: bytes, format: str | None) -> None:
    """Those of TIFF alone tell nothing."""
    assert raw.detect_format_by_signature(head) == format


def test_tiff_is_not_taken_for_raw() -> None:
    """Only a sensor's mosaic, or DNG's own tag, makes RAW of a TIFF."""
    for name, data in make_sound_pictures().items():
        assert raw.detect_format(data) is None, name
    exif = Image.Exif()
    exif[0x010F] = "NIKON CORPORATION"
    assert raw.detect_format(encode_picture(stored(), "TIFF", exif=exif)) is None
    data = make_dng()
    assert raw.detect_format(data) == "DNG"
    at = data.index((50706).to_bytes(2, "little"))
    other = data[:at] + (50000).to_bytes(2, "little") + data[at + 2 :]
    assert raw.detect_format(other) == "RAW", "by its mosaic"
    assert raw.detect_format(other.replace(b"Lumora", b"NIKON\0")) == "NEF"


def test_the_sensor_is_developed_where_there_is_no_preview() -> None:
    """Upright, with its tags, at half its size."""
    image, info = decode.decode_picture(
        make_dng("lime", orientation=6), lambda width, height: (32, 32)
    )
    assert image.size == (60, 80)
    assert is_close_color(image.getpixel((5, 40)), (0, 255, 0), tolerance=8)
    assert is_close_color(image.getpixel((55, 40)), (0, 0, 0), tolerance=8)
    assert (info.format, info.width, info.height) == ("DNG", 120, 160)
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00", "Lumora X100")


def test_the_preview_is_taken_where_it_is_large_enough() -> None:
    """A small one is worse than the sensor; a broken one is none."""
    preview, below = make_picture("blue", (160, 120)), (16, 28)

    def shown(data: bytes) -> tuple[int, ...]:
        value = decode.prepare_picture(data, CROPPED_INPUT).image.getpixel(below)
        assert isinstance(value, tuple)
        return value

    data = make_dng("red", preview=preview)
    assert is_close_color(shown(data), (0, 0, 255), tolerance=6)
    assert is_close_color(
        shown(make_dng("red", preview=make_picture("blue", (40, 30)))), (255, 0, 0), tolerance=8
    )
    assert is_close_color(shown(data.replace(b"\xff\xc0", b"\0\0")), (255, 0, 0), tolerance=8)
    cut = data[: len(data) - 20000]
    assert is_close_color(shown(cut), (0, 0, 255), tolerance=6), "the preview is whole"


def test_what_people_wrote_into_a_raw_file_is_read() -> None:
    """Programs write ratings and keywords into a DNG, and need no sidecar."""
    said = make_xmp('xmp:Rating="4"', make_list_property("dc:subject", "harbour"))
    _, info = decode.decode_picture(
        make_dng(preview=make_picture("red", (160, 120)), xmp=said), CROPPED_INPUT.compute_size
    )
    assert (info.format, info.rating, info.keywords) == ("DNG", 4, ("harbour",))
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00", "Lumora X100")


@pytest.mark.parametrize("is_upright", [False, True])
def test_previews_are_turned_once(is_upright: bool) -> None:
    """Some cameras store them upright already."""
    preview = stored((160, 120))
    if is_upright:
        preview = preview.transpose(Image.Transpose.ROTATE_270)
    data = make_dng("lime", preview=preview, orientation=6)
    image = decode.decode_thumbnail(data, 60)
    assert image.size == (45, 60)
    assert is_close_color(image.getpixel((22, 5)), (255, 255, 255), tolerance=12)
    assert is_close_color(image.getpixel((22, 55)), (255, 0, 0), tolerance=12)


def test_raw_has_the_limits_of_pictures() -> None:
    """A large sensor is refused before it is developed; what is cut off says so."""
    with pytest.raises(PictureError, match="megapixels, the limit is 0; raise --max-megapixels"):
        decode.prepare_picture(make_dng(), SQUASHED_INPUT, 0.01)
    with pytest.raises(PictureError, match="broken or cut off"):
        decode.prepare_picture(make_dng()[:5000], SQUASHED_INPUT)


@pytest.mark.parametrize(("extra", "name"), [("jxl", "a.jxl"), ("raw", "a.dng")])
def test_without_its_extra_a_file_waits(
    opened: Library,
    photos: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    name: str,
) -> None:
    """The failure says what to install; once that is there, the file is read by itself."""
    data = encode_picture(make_picture("yellow"), "JXL") if extra == "jxl" else make_dng("yellow")
    (photos / name).write_bytes(data)
    (photos / "bad.jpg").write_text("no picture")
    has = optional_decoders.is_installed
    with monkeypatch.context() as patched:
        patched.setattr(optional_decoders, "is_installed", lambda it: it != extra and has(it))
        assert index_folder(opened, photos, model) == RunSummary(added=3, failed=2)
        assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
        (failure,) = [it for it in opened.failures() if it.path.endswith(name)]
        assert f"pip install -e '.[{extra}]'" in failure.message
        assert failure.stage == f"needs {extra}"
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=3)
    assert [Path(it.path).name for it in opened.failures()] == ["bad.jpg"]


def test_they_are_asked_with_and_shown(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """As the question, in the list, and on the contact sheet; by content, too."""
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


def test_formats_can_be_asked_for(opened: Library, photos: Path, model: Path) -> None:
    """Each has its name."""
    (photos / "a.jxl").write_bytes(encode_picture(make_picture("yellow"), "JXL"))
    (photos / "b.dng").write_bytes(make_dng("yellow", preview=make_picture("yellow", (200, 150))))
    index_folder(opened, photos, model)
    assert set(search_file_names(opened, "yellow")) == {"a.jxl", "b.dng"}
