"""Search by a part of a picture: of a file, of an image of the library, of a video frame."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.library import FakeEngines, RunCommand, index_folder
from support.video_files import draw_halves, write_video

from searchapp.errors import PictureError, QueryError, UnsupportedModality
from searchapp.library import Library
from searchapp.types import Query, Region, SearchOptions, Term

LEFT, RIGHT = Region.parse("0%,0%,50%,100%"), Region.parse("40,0,40,60")


def save_halves(file: Path, left: str, right: str, **options: object) -> Path:
    """Save a picture of 80 x 60 pixels with two colors."""
    image = Image.new("RGB", (80, 60), left)
    image.paste(right, (40, 0, 80, 60))
    image.save(file, **options)
    return file


def first_name(library: Library, *terms: Term) -> str:
    return Path(library.search(list(terms), SearchOptions(count=1))[0].path).name


@pytest.fixture
def filled(opened: Library, photos: Path, model: Path) -> Library:
    index_folder(opened, photos, model)
    return opened


def test_part_of_a_file(filled: Library, tmp_path: Path) -> None:
    """In percent and in pixels."""
    file = save_halves(tmp_path / "halves.png", "blue", "red")
    for region, name in ((LEFT, "blue.jpg"), (RIGHT, "red.jpg")):
        (hit, *_) = filled.search(Query(image=file, region=region))
        assert (Path(hit.path).name, hit.score > 0.99) == (name, True)


def test_part_of_a_picture_as_it_is_shown(filled: Library, tmp_path: Path) -> None:
    """EXIF turns the picture by 90 degrees: its left half becomes its upper half."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = save_halves(tmp_path / "turned.jpg", "blue", "red", exif=exif, quality=95)
    upper, lower = Region.parse("0,0,60,40"), Region.parse("0%,50%,100%,50%")
    assert first_name(filled, Term(Query(image=file, region=upper))) == "blue.jpg"
    assert first_name(filled, Term(Query(image=file, region=lower))) == "red.jpg"
    with pytest.raises(QueryError, match="which has 60 x 80 pixels"):
        filled.search(Query(image=file, region=Region.parse("0,0,80,60")))


def test_part_of_an_image_of_the_library(opened: Library, photos: Path, model: Path) -> None:
    """The complete image has a stored vector; a part is embedded."""
    save_halves(photos / "halves.png", "blue", "red")
    index_folder(opened, photos, model)
    (halves,) = (hit for hit in opened.search(Query("red")) if hit.path.endswith("halves.png"))
    assert first_name(opened, Term(Query(image=halves.image_id))) == "halves.png"
    for region, name in ((LEFT, "blue.jpg"), (RIGHT, "red.jpg")):
        assert first_name(opened, Term(Query(image=halves.image_id, region=region))) == name
    (photos / "halves.png").unlink()
    with pytest.raises(PictureError):
        opened.search(Query(image=halves.image_id, region=LEFT))
    with pytest.raises(QueryError, match="no image 99; search again for its id"):
        opened.search(Query(image=99, region=LEFT))


def test_part_of_a_video_frame(opened: Library, photos: Path, model: Path) -> None:
    """The frame is decoded in its full size."""
    write_video(photos / "clip.mp4", [("lime", 2)], draw=draw_halves)
    index_folder(opened, photos, model)
    (frame,) = (hit for hit in opened.search(Query("red")) if hit.seconds is not None)
    assert first_name(opened, Term(Query(image=frame.image_id))) == "clip.mp4"
    right = Region.parse("48,0,48,64")  # lime; the left half is white
    assert first_name(opened, Term(Query(image=frame.image_id, region=right))) == "green.png"


def test_image_of_the_library_with_a_text(filled: Library, fake_engines: FakeEngines) -> None:
    """CLIP refuses the pair as one prompt, as for a file."""
    (red, *_) = filled.search(Query("red"))
    with pytest.raises(UnsupportedModality):
        filled.search(Query("blue", red.image_id))


def test_regions_on_the_command_line(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Invalid ones are one line that says what to do."""
    file = save_halves(tmp_path / "halves.png", "blue", "red")
    run("index", photos, "--model", model)

    def first(*arguments: object) -> str:
        return Path(run("query", "--paths", "-k", 1, *arguments).stdout.strip()).name

    assert first("--image", file, "--region", "0%,0%,50%,100%") == "blue.jpg"
    assert first("--image", f"{file}:2", "--region", "40,0,40,60") == "red.jpg"
    assert first("--image", file, "--region", "40,0,40,60", "--text", "lime:5") == "green.png"
    for arguments, message in (
        (("red", "--region", "1,2,3,4"), "--region needs exactly one --image, and there are 0"),
        (("--image", file, "--image", file, "--region", "1,2,3,4"), "there are 2"),
        (("--image", file, "--region", "1,2,3"), "'1,2,3' is not a region"),
        (("--image", file, "--region", "79,0,2,60"), "which has 80 x 60 pixels"),
    ):
        done = run("query", *arguments)
        assert done.exit_code == 2
        assert message in str(done.exception)
