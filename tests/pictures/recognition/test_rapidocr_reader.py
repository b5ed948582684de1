"""The real reader: rendered words in fonts, sizes, turns and colors, in all kinds of pictures."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Image as Picture
from pillow_heif import register_heif_opener
from support.dng_files import make_dng
from support.paths import ROOT

from searchapp.pictures.decode import hash_bytes
from searchapp.pictures.recognition.rapidocr_reader import RapidOcrReader
from searchapp.pictures.recognition.read_text import read_original, read_text
from searchapp.types import Original, TextLine

GROUND = ROOT / "data/photos/boats-rain.jpg"


@pytest.fixture(scope="module")
def reader() -> Iterator[RapidOcrReader]:
    """A reader whose models are loaded without a network."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "socket", None)
        made = RapidOcrReader()
        assert made._engine
    yield made


def draw(
    texts: dict[tuple[int, int], str],
    size: tuple[int, int] = (480, 320),
    height: int = 32,
    ground: str | Picture = "white",
    color: str = "black",
) -> Picture:
    """Return a picture with texts, by the position of their top left corner."""
    picture = Image.new("RGB", size, ground) if isinstance(ground, str) else ground.copy()
    pen = ImageDraw.Draw(picture)
    for position, text in texts.items():
        pen.text(position, text, fill=color, font=ImageFont.load_default(height))
    return picture


def read(picture: Picture, reader: RapidOcrReader) -> list[TextLine]:
    return read_text(lambda choose_size: (choose_size(*picture.size), picture)[1], reader)


def read_file(file: Path, reader: RapidOcrReader) -> list[str]:
    original = Original(str(file), hash_bytes(file.read_bytes()))
    return [line.text for line in read_original(original, reader)]


def test_the_box_begins_at_the_first_letter(reader: RapidOcrReader) -> None:
    """In each direction: for words in a line, and marks on the page."""
    upright = draw({(100, 50): "Pharmacy open"}, (352, 256))
    for turn, first, last in (
        (0, (100, 50), (320, 50)),
        (90, (50, 252), (50, 32)),  # text upward
        (180, (252, 206), (32, 206)),
        (270, (206, 100), (206, 320)),
    ):
        picture = upright.rotate(turn, expand=True)
        (line,) = read(picture, reader)
        assert line.text == "Pharmacy open"
        assert line.confidence > 0.9
        for corner, expected in zip(line.box, (first, last), strict=False):
            for share, length, pixels in zip(corner, picture.size, expected, strict=True):
                assert share * length == pytest.approx(pixels, abs=30)


def test_words_on_a_photo_are_read(reader: RapidOcrReader) -> None:
    """The photo itself has no text."""
    photo = Image.open(GROUND).convert("RGB")
    assert read(photo, reader) == []
    picture = draw({(40, 40): "Harbor Street 12"}, ground=photo, color="yellow")
    assert [line.text for line in read(picture, reader)] == ["Harbor Street 12"]


def test_faint_letters_are_read(reader: RapidOcrReader) -> None:
    """In each direction: the detection gets colors as in its training."""
    ground, faint = "#204060", "#2c4c6c"
    upright = draw({(30, 30): "RESTAURANT 3849"}, (256, 96), 18, ground, faint)
    for turn in (0, 6, 90, 180, 270):
        turned = upright.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=ground)
        picture = Image.new("RGB", (384, 352), ground)
        picture.paste(turned, (10, 10))
        assert [line.text for line in reader.find_lines(picture)] == ["RESTAURANT 3849"], turn


def test_files_are_read_upright(reader: RapidOcrReader, tmp_path: Path) -> None:
    """HEIC, the preview in a RAW file, and a JPEG whose EXIF turns it."""
    picture = draw({(40, 100): "Platform 9"})
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif)
    assert read_file(tmp_path / "turned.jpg", reader) == ["Platform 9"]
    (tmp_path / "page.dng").write_bytes(make_dng(size=picture.size, preview=picture))
    assert read_file(tmp_path / "page.dng", reader) == ["Platform 9"]
    register_heif_opener()
    picture.save(tmp_path / "page.heic")
    assert read_file(tmp_path / "page.heic", reader) == ["Platform 9"]


def test_a_long_screenshot_is_read_to_its_end(reader: RapidOcrReader) -> None:
    """Each line once, from top to bottom."""
    numbers = range(0, 2300, 235)
    picture = draw({(20, y): f"Message number {y}" for y in numbers}, (320, 2350), 24)
    assert [line.text for line in read(picture, reader)] == [f"Message number {y}" for y in numbers]


def test_small_and_odd_pictures_are_no_error(reader: RapidOcrReader) -> None:
    """Sides of one pixel, and a picture that is one large letter."""
    for size in ((1, 1), (1, 500), (500, 1), (31, 33), (2001, 2)):
        assert read(Image.new("RGB", size, "white"), reader) == []
    assert read(draw({(100, 20): "A"}, height=200), reader) == []


def test_a_video_frame_is_read(reader: RapidOcrReader, tmp_path: Path) -> None:
    """At the time of the frame."""
    av = pytest.importorskip("av")
    file = tmp_path / "film.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height = 480, 320
        stream.gop_size = 1
        for second in range(3):
            picture = draw({(50, 100): f"Scene {second} begins"}, height=48)
            frame = av.VideoFrame.from_image(picture)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    lines = read_original(Original(str(file), "", 1.0), reader)
    assert [line.text for line in lines] == ["Scene 1 begins"]
