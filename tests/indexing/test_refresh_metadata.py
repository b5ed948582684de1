"""Outdated metadata is read again, without embedding."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from sqlite_utils import Database
from support.dng_files import make_dng
from support.library import FakeEngines, RunCommand, index_folder
from support.metadata_files import make_exif, make_jpeg, make_list_property, make_xmp
from support.old_library import make_old_library
from support.sample_pictures import make_picture, save_picture
from support.video_files import write_video

from searchapp.library import Library
from searchapp.pictures import decode, metadata
from searchapp.types import Hit, MetadataRefreshing, Query, SearchOptions


def write(file: Path, data: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def jpeg_xl(exif: Image.Exif) -> bytes:
    buffer = io.BytesIO()
    decode._load_pillow()
    make_picture("red").save(buffer, "JXL", exif=exif.tobytes())
    return buffer.getvalue()


def rating(stars: int, *keywords: str) -> bytes:
    return make_xmp(
        f'xmp:Rating="{stars}"', make_list_property("dc:subject", *keywords) if keywords else ""
    )


def hit(library: Library, name: str) -> Hit:
    (found,) = (
        hit for hit in library.search(Query("red"), SearchOptions(count=99))
        if Path(hit.path).name == name
    )  # fmt: skip
    return found


@pytest.mark.parametrize("name", ["a.jpg", "a.jxl", "a.dng", "b.dng", "a.mp4"])
def test_deleting_a_sidecar_restores_the_files_own_metadata(
    opened: Library, tmp_path: Path, model: Path, name: str
) -> None:
    """Without its sidecar, a file of any format has its own metadata again."""
    file = write(tmp_path / "photos" / name, b"")
    tags = {"creation_time": "2023-06-17T21:05:00.000000Z"}
    {
        "a.jpg": lambda: file.write_bytes(make_jpeg(exif=make_exif("2023:06:17 21:05:00"))),
        "a.jxl": lambda: file.write_bytes(jpeg_xl(make_exif("2023:06:17 21:05:00"))),
        "a.dng": lambda: file.write_bytes(make_dng()),
        "b.dng": lambda: file.write_bytes(make_dng(preview=make_picture("red", (160, 120)))),
        "a.mp4": lambda: write_video(file, (("red", 1),), tags=tags),
    }[name]()
    index_folder(opened, tmp_path / "photos", model)
    before = hit(opened, name)
    assert before.date is not None and before.date.startswith("2023-06-17T21:05:00")
    sidecar = write(
        file.with_suffix(".xmp"), make_xmp('xmp:Rating="5" exif:DateTimeOriginal="2001-01-01"')
    )
    assert index_folder(opened, tmp_path / "photos", model).described == 1
    assert (hit(opened, name).rating, hit(opened, name).taken_at) == (5, "2001-01-01T00:00:00")
    sidecar.unlink()
    assert index_folder(opened, tmp_path / "photos", model).described == 1
    assert hit(opened, name) == before


def test_new_changed_and_deleted_sidecars_are_read(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A sidecar is read with the picture or later, once; the picture is not embedded again."""
    photos = tmp_path / "photos"
    a = write(photos / "a.jpg", make_jpeg(exif=make_exif(rating=1)))
    save_picture(photos / "b.png", "red", mark=4)
    save_picture(photos / "b.jpg", "red", mark=9)
    write(photos / "a.xmp", rating(2, "new"))
    assert index_folder(opened, photos, model).described == 0  # what is new is not read again
    assert (hit(opened, "a.jpg").rating, hit(opened, "a.jpg").keywords) == (2, ("new",))
    embedded = fake_engines.embedded_count
    assert index_folder(opened, photos, model).described == 0

    write(photos / "a.jpg.xmp", rating(5, "full", "name"))  # goes before a.xmp
    write(photos / "b.xmp", rating(3))  # of both
    write(photos / "nothing.xmp", rating(3))
    assert index_folder(opened, photos, model).described == 3
    assert (hit(opened, "a.jpg").rating, hit(opened, "a.jpg").keywords) == (5, ("full", "name"))
    assert [hit(opened, name).rating for name in ("b.png", "b.jpg")] == [3, 3]
    assert index_folder(opened, photos, model).described == 0

    write(photos / "a.jpg.xmp", make_xmp('xmp:Rating="-1"'))
    assert index_folder(opened, photos, model, include=("*.jpg", "*.png")).described == 1
    assert (hit(opened, "a.jpg").rating, hit(opened, "a.jpg").keywords) == (-1, ())
    (photos / "a.jpg.xmp").unlink()
    (photos / "a.xmp").unlink()
    assert index_folder(opened, photos, model).described == 1
    assert hit(opened, "a.jpg").rating == 1
    assert index_folder(opened, photos, model).described == 0
    assert fake_engines.embedded_count == embedded
    a.rename(photos / "c.jpg")
    write(photos / "c.xmp", rating(4))
    summary = index_folder(opened, photos, model)
    assert (summary.moved, summary.described) == (1, 0)
    assert hit(opened, "c.jpg").rating == 4


@pytest.mark.parametrize("name", ["a.jxl", "a.mkv"])
def test_old_values_of_a_sidecar_are_removed(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines, name: str
) -> None:
    """Formats that Pillow alone cannot open are included; they are not embedded again."""
    photos = tmp_path / "photos"
    if name == "a.mkv":
        write_video(photos / name, tags={"creation_time": "2021-05-04T03:02:01Z"})
    else:
        save_picture(photos / name, "red")
    write(photos / "a.xmp", make_xmp('xmp:Rating="5" exif:DateTimeOriginal="1999"',
                                make_list_property("dc:subject", "old")))  # fmt: skip
    index_folder(opened, photos, model)
    embedded = fake_engines.embedded_count
    assert (hit(opened, name).rating, hit(opened, name).keywords) == (5, ("old",))
    assert (hit(opened, name).date or "").startswith("1999")
    write(photos / "a.xmp", rating(3))
    assert index_folder(opened, photos, model).described > 0
    assert (hit(opened, name).rating, hit(opened, name).keywords) == (3, ())
    (photos / "a.xmp").unlink()
    assert index_folder(opened, photos, model).described > 0
    assert hit(opened, name).rating is None
    assert not (hit(opened, name).date or "").startswith("1999")
    assert hit(opened, name).date_from == ("exif" if name == "a.mkv" else "file")
    assert fake_engines.embedded_count == embedded


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> Path:
    """A library of the previous version with three pictures."""
    photos = tmp_path / "photos"
    write(photos / "a.jpg", make_jpeg(exif=make_exif("2023:06:17 21:05:00", lens="L", rating=4)))
    os.utime(save_picture(photos / "b.png", "red"), (86400 * 400, 86400 * 400))
    os.utime(save_picture(photos / "gone.png", "red", mark=9), (86400 * 800, 86400 * 800))
    make_old_library(tmp_path / "library", monkeypatch, photos, model)
    return photos


def test_metadata_of_an_old_library_is_read_again_once(
    old: Path, tmp_path: Path, run: RunCommand, fake_engines: FakeEngines, model: Path
) -> None:
    """Dates are known at once, other metadata after the next run, which embeds nothing."""
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        assert hit(library, "a.jpg").date_from == "exif"
        assert hit(library, "b.png").date_from == "file"
        assert (hit(library, "b.png").date or "").startswith("1971-02-0")
        assert hit(library, "a.jpg").lens is None
    (old / "gone.png").unlink()
    before = fake_engines.embedded_count
    result = run("index", old, "--model", model)
    assert "reading the metadata of 2 pictures again, once" in result.stderr
    assert "2 unchanged, 1 removed, 2 with new metadata" in result.stderr
    assert fake_engines.embedded_count == before
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        assert (hit(library, "a.jpg").lens, hit(library, "a.jpg").rating) == ("L", 4)
        assert len(hit(library, "b.png").date or "") == 25
    result = run("index", old, "--model", model)
    assert "again" not in result.stderr


def test_an_old_picture_with_a_sidecar_is_read_once(
    old: Path,
    tmp_path: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A picture that is outdated for two reasons is read once, on any page."""
    monkeypatch.setattr("searchapp.catalog.outdated_metadata.PAGE_ROWS", 1)
    read: list[str] = []
    glance = decode.read_picture_info
    monkeypatch.setattr(
        decode, "read_picture_info", lambda *file: [read.append(file[0]), glance(*file)][1]
    )
    write(old / "a.xmp", rating(2))
    write(old / "b.xmp", rating(3))
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        assert index_folder(library, old, model).described == 3
        assert sorted(Path(path).name for path in read) == ["a.jpg", "b.png", "gone.png"]
        assert [hit(library, name).rating for name in ("a.jpg", "b.png")] == [2, 3]
        assert index_folder(library, old, model).described == 0


def test_several_may_open_an_old_library_at_once(old: Path, tmp_path: Path) -> None:
    """One process migrates the library; the others wait."""
    code = "import sys, searchapp; searchapp.Library.open(sys.argv[1]).close()"
    library = tmp_path / "library"
    with closing(sqlite3.connect(library / "catalog.db", isolation_level=None)) as holding:
        holding.execute("begin immediate")  # until all have seen that it is old
        opening = [subprocess.Popen([sys.executable, "-c", code, library]) for _ in range(3)]
        time.sleep(2)
        holding.execute("rollback")
    assert [process.wait() for process in opening] == [0, 0, 0]


def test_an_interrupted_refresh_continues(
    old: Path,
    tmp_path: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Metadata that was saved before the interruption is not read again."""
    monkeypatch.setattr("searchapp.catalog.outdated_metadata.PAGE_ROWS", 1)
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        events = library.index([old])
        for event in events:
            if isinstance(event, MetadataRefreshing) and event.done == 2:
                break
        events.close()
        assert index_folder(library, old, model).described == 1
        assert index_folder(library, old, model).described == 0


def test_another_process_sees_new_metadata(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Filters and facets of another process see the new metadata."""
    photos = tmp_path / "photos"
    write(photos / "a.jpg", make_jpeg())
    save_picture(photos / "b.png", "red")
    index_folder(opened, photos, model)
    with Library.open(tmp_path / "library", start=fake_engines) as other:
        best = SearchOptions(rating="4+")
        assert other.search(Query("red"), best) == []
        write(photos / "a.xmp", rating(5, "sea"))
        index_folder(opened, photos, model)
        assert [Path(hit.path).name for hit in other.search(Query("red"), best)] == ["a.jpg"]
        tagged = SearchOptions(keyword=("SEA",))
        assert len(other.search(Query("red"), tagged)) == 1
        assert other.count_facets().keywords.values == (("sea", 1),)


def test_facets_count_the_pictures(opened: Library, tmp_path: Path, model: Path) -> None:
    """Each facet ignores its own condition of the filter; keywords do not."""
    photos = tmp_path / "photos"
    for number, (date, camera, words) in enumerate(
        (
            ("2022:12:31 10:00:00", "X", ("sea", "dog")),
            ("2023:06:01 10:00:00", "X", ("sea",)),
            ("2023:06:09 10:00:00", "Y", ()),
            (None, "Y", ("dog",)),
        )
    ):
        file = save_picture(photos / f"{number % 2}/{number}.jpg", "red", mark=number,
                    exif=make_exif(date, model=camera, lens=f"lens {camera}", rating=number)
                    )  # fmt: skip
        os.utime(file, (1.5e9, 1.5e9))
        write(file.with_suffix(".xmp"), make_xmp("", make_list_property("dc:subject", *words)))
    index_folder(opened, photos, model)
    facets = opened.count_facets()
    assert facets.images == 4
    months = [(month.month, month.images, month.by_file) for month in facets.months]
    assert months == [("2017-07", 1, 1), ("2022-12", 1, 0), ("2023-06", 2, 0)]
    assert facets.cameras.values == (("X", 2), ("Y", 2))
    assert facets.lenses.values == (("lens X", 2), ("lens Y", 2))
    assert dict(facets.folders.values) == {f"{photos}/0": 2, f"{photos}/1": 2}
    assert dict(facets.keywords.values) == {"sea": 2, "dog": 2}
    assert facets.ratings.values == (("3", 1), ("2", 1), ("1", 1), ("unrated", 1))
    assert facets.formats.values == (("jpeg", 4),)

    facets = opened.count_facets(
        SearchOptions(camera="x", keyword=("sea",), after="2023").base_filter
    )
    assert facets.images == 1
    assert facets.cameras.values == (("X", 1),)
    assert [month.month for month in facets.months] == ["2022-12", "2023-06"]
    assert facets.keywords.values == (("sea", 1),)
    assert opened.count_facets(SearchOptions(folder=photos / "1").base_filter).images == 2
    overview = opened.load_overview()
    assert (overview.first_date, overview.last_date) == ("2017-07-14", "2023-06-09")


NEW = ("lens", "rating", "keywords", "title", "description", "date", "date_from", "reader")


def test_json_view_and_exports_have_all_metadata(
    run: RunCommand, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """--json, the view and exports give the same metadata, also for video frames."""
    photos = tmp_path / "photos"
    block = make_exif("2023:06:17 21:05:00", "+02:00", (48.5, 2.25), model="X", lens="L")
    write(photos / "a.jpg", make_jpeg(exif=block))
    title = make_list_property("dc:title", "T", kind="Alt") + make_list_property(
        "dc:subject", "one", "two"
    )
    write(photos / "a.xmp", make_xmp('xmp:Rating="4"', title))
    run("index", photos, "--model", model)
    (printed,) = json.loads(run("query", "red", "--json", "--rating", "4+").stdout)
    expected = {
        "taken_at": "2023-06-17T21:05:00+02:00", "date": "2023-06-17T21:05:00+02:00",
        "date_from": "exif", "camera": "X", "lens": "L", "rating": 4, "keywords": ["one", "two"],
        "title": "T", "latitude": 48.5, "longitude": 2.25,
    }  # fmt: skip
    assert expected.items() <= printed.items()
    for suffix in ("npy", "parquet", "json"):
        file = tmp_path / f"out.{suffix}"
        run("export", file)
        with Library.open(tmp_path / suffix, create=True, start=fake_engines) as library:
            library.load(file)
            (again,) = library.search(Query("red"))
        assert {name: getattr(again, name) for name in expected} == (
            expected | {"keywords": ("one", "two")}
        )
    document = json.loads((tmp_path / "out.json").read_text())
    for name in NEW:
        del document["images"][0][name]
    (tmp_path / "out.json").write_text(json.dumps(document))
    with Library.open(tmp_path / "older", create=True, start=fake_engines) as library:
        library.load(tmp_path / "out.json")
        (again,) = library.search(Query("red"))
        assert (again.date, again.date_from, again.rating) == (
            "2023-06-17T21:05:00+02:00", "exif", None,
        )  # fmt: skip
        assert index_folder(library, photos, model).described == 1
        assert library.search(Query("red"))[0].rating == 4
    (row,) = Database(tmp_path / "library/catalog.db").query("select * from photos")
    assert (row["keywords"], row["rating"], row["date_from"]) == ("one, two", 4, "exif")


def test_invalid_filters_are_reported(run: RunCommand) -> None:
    """An invalid filter is an error before any engine starts."""
    for rating in ("6", "four", "4-", "", "-2"):
        done = run("query", "red", f"--rating={rating}")
        assert done.exit_code == 2
        assert "is not a rating. Write 4, 4+, 2-4, rejected or unrated." in done.stderr


def test_every_file_that_is_read_is_closed(tmp_path: Path) -> None:
    """A run over many files does not exhaust the file descriptors."""
    file = write(tmp_path / "a.jpg", make_jpeg())
    sidecar = write(tmp_path / "a.xmp", rating(3))
    state = file.stat()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
        assert info is not None
        assert metadata.apply_sidecars(info, [str(sidecar)]).rating == 3
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_help_reads_no_xml() -> None:
    """--help imports no XML parser."""
    code = "import sys, searchapp.cli; sys.exit('defusedxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
