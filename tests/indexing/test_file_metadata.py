"""Files with the same bytes keep the metadata of their own sidecars."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.library import FakeEngines, RunCommand, index_folder
from support.metadata_files import make_jpeg, make_list_property, make_xmp

from searchapp.library import Library
from searchapp.types import Hit, Query, SearchOptions

PLACE = 'exif:GPSLatitude="48,51.0N" exif:GPSLongitude="2,21.0E"'


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with two files of the same bytes, with sidecars of their own."""
    for name, attributes, keyword in (
        ("a", 'xmp:Rating="5" photoshop:DateCreated="2001-02-03"', "first"),
        ("b", f'xmp:Rating="1" {PLACE}', "second"),
    ):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        (folder / "x.jpg").write_bytes(make_jpeg())
        write_sidecar(folder / "x.xmp", attributes, keyword)
    return tmp_path / "photos"


def write_sidecar(file: Path, attributes: str, keyword: str = "word") -> None:
    file.write_bytes(make_xmp(attributes, make_list_property("dc:subject", keyword)))


def find(library: Library, photos: Path, **options: object) -> list[tuple[str, int | None]]:
    """Return the files of the hits below photos, each with its rating."""
    hits: list[Hit] = list(library.search(Query("red"), SearchOptions(**options)))  # type: ignore[arg-type]
    return [(str(Path(hit.path).relative_to(photos)), hit.rating) for hit in hits]


def read_photos(library: Path, *columns: str) -> list[tuple[object, ...]]:
    """Return columns of the view photos, by path."""
    sql = f"select {', '.join(columns)} from photos order by path"
    return [tuple(row) for row in Database(library / "catalog.db").execute(sql)]


def test_each_file_has_its_own_metadata_in_filters_and_hits(
    opened: Library, tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A hit shows the metadata of the file that the filter found."""
    index_folder(opened, photos, model)
    assert fake_engines.embedded_count == 1
    assert find(opened, photos) == [("a/x.jpg", 5)]
    assert find(opened, photos, rating="5") == [("a/x.jpg", 5)]
    assert find(opened, photos, rating="1") == [("b/x.jpg", 1)]
    assert find(opened, photos, rating="2-4") == []
    assert find(opened, photos, keyword=("second",)) == [("b/x.jpg", 1)]
    assert find(opened, photos, near="48.85,2.35,1km") == [("b/x.jpg", 1)]
    assert find(opened, photos, folder=photos / "b") == [("b/x.jpg", 1)]
    assert find(opened, photos, where="rating = 1 and keywords = 'second'") == [("b/x.jpg", 1)]
    assert find(opened, photos, after="2001", before="2001") == [("a/x.jpg", 5)]
    # All conditions must be true for one of the files.
    assert find(opened, photos, rating="1", keyword=("first",)) == []
    assert find(opened, photos, rating="5", folder=photos / "b") == []
    assert find(opened, photos, rating="5", where="path like '%/b/%'") == []
    (hit,) = opened.search(Query("red"), SearchOptions(rating="1"))
    assert (hit.also, hit.taken_at) == ((str(photos / "a" / "x.jpg"),), None)
    assert opened.count_facets(SearchOptions(rating="1").base_filter).images == 1
    assert read_photos(tmp_path / "library", "rating", "keywords", "taken_at", "latitude") == [
        (5, "first", "2001-02-03T00:00:00", None),
        (1, "second", None, 48.85),
    ]
    assert len(set(read_photos(tmp_path / "library", "sha256", "image_id"))) == 1


def test_facets_have_the_values_of_all_files(opened: Library, photos: Path, model: Path) -> None:
    """An image counts once for each value that one of its files has."""
    shutil.copytree(photos / "a", photos / "c")
    shutil.copy(photos / "a" / "x.jpg", photos / "a" / "copy.jpg")
    shutil.copy(photos / "a" / "x.xmp", photos / "a" / "copy.xmp")
    index_folder(opened, photos, model)
    facets = opened.count_facets(SearchOptions().base_filter)
    assert facets.images == 1
    assert dict(facets.ratings.values) == {"5": 1, "1": 1}
    assert dict(facets.keywords.values) == {"first": 1, "second": 1}
    folders = {name: str(photos / name) for name in "abc"}
    assert dict(facets.folders.values) == {folders[name]: 1 for name in "abc"}
    months = {month.month: (month.images, month.by_file) for month in facets.months}
    assert months.pop("2001-02") == (1, 0)
    assert [*months.values()] == [(1, 1)]  # the modification time of b/x.jpg
    facets = opened.count_facets(SearchOptions(rating="1").base_filter)
    assert (facets.images, dict(facets.keywords.values)) == (1, {"second": 1})
    assert dict(facets.folders.values) == {folders["b"]: 1}
    assert dict(facets.ratings.values) == {"5": 1, "1": 1}
    # All conditions must be true for one of the files.
    facets = opened.count_facets(SearchOptions(rating="1", keyword=("first",)).base_filter)
    assert (facets.images, facets.keywords.values, facets.folders.values) == (0, (), ())


def test_facets_count_copies_once(opened: Library, tmp_path: Path, model: Path) -> None:
    """Two files with the same bytes in one folder are one image of this folder."""
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(make_jpeg())
    index_folder(opened, tmp_path, model)
    assert opened.count_facets(SearchOptions().base_filter).folders.values == ((str(tmp_path), 1),)


def test_a_vector_store_does_not_filter_files(opened: Library, photos: Path, model: Path) -> None:
    """It has the metadata of images only, so the catalog filters."""
    image_filter = SearchOptions(rating="1").base_filter
    assert opened._catalog.filter_to_conditions(image_filter)[1]
    index_folder(opened, photos, model)
    assert opened._catalog.filter_to_conditions(image_filter) == ((), False)


def test_changed_and_deleted_sidecars_change_only_their_file(
    opened: Library, tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Files whose metadata becomes equal share one row again."""
    index_folder(opened, photos, model)
    write_sidecar(photos / "b" / "x.xmp", 'xmp:Rating="3"', "second")
    index_folder(opened, photos, model)
    library = tmp_path / "library"
    assert read_photos(library, "rating", "keywords") == [(5, "first"), (3, "second")]
    (photos / "a" / "x.xmp").unlink()
    index_folder(opened, photos, model)
    assert read_photos(library, "rating") == [(None,), (3,)]
    assert find(opened, photos) == [("b/x.jpg", 3)]  # the copy that `duplicates` keeps
    assert find(opened, photos, rating="3") == [("b/x.jpg", 3)]
    (photos / "b" / "x.xmp").unlink()
    index_folder(opened, photos, model)
    assert read_photos(library, "rating") == [(None,), (None,)]
    database = Database(library / "catalog.db")
    assert database["file_metadata"].count == 0
    assert database["images"].count == 1
    assert fake_engines.embedded_count == 1


def test_a_copy_without_a_sidecar_does_not_get_that_of_the_first(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """Also if the copy arrives later; a file that changes keeps its sidecar."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(make_jpeg())
    write_sidecar(photos / "a.xmp", 'xmp:Rating="5"')
    index_folder(opened, photos, model)
    shutil.copy(photos / "a.jpg", photos / "b.jpg")
    index_folder(opened, photos, model)
    assert read_photos(tmp_path / "library", "rating") == [(5,), (None,)]
    assert find(opened, photos, rating="unrated") == [("b.jpg", None)]
    (photos / "a.jpg").write_bytes(make_jpeg(quality=50))
    index_folder(opened, photos, model)
    assert read_photos(tmp_path / "library", "rating") == [(5,), (None,)]


def test_deleted_and_moved_files_leave_no_metadata_behind(
    opened: Library, tmp_path: Path, photos: Path, model: Path
) -> None:
    """The file that is left keeps its own metadata."""
    index_folder(opened, photos, model)
    shutil.rmtree(photos / "a")
    index_folder(opened, photos, model)
    assert read_photos(tmp_path / "library", "rating") == [(1,)]
    assert find(opened, photos, rating="1") == [("b/x.jpg", 1)]
    assert find(opened, photos, rating="5") == []
    (photos / "b").rename(photos / "c")
    index_folder(opened, photos, model)
    assert find(opened, photos, rating="1") == [("c/x.jpg", 1)]
    shutil.rmtree(photos / "c")
    index_folder(opened, photos, model, prune=True)
    opened.prune()
    database = Database(tmp_path / "library" / "catalog.db")
    assert (database["file_metadata"].count, database["images"].count) == (0, 0)


def test_a_file_on_an_unmounted_drive_keeps_its_metadata(
    opened: Library, tmp_path: Path, photos: Path, model: Path
) -> None:
    """Another folder is indexed meanwhile, and its sidecar changes."""
    index_folder(opened, photos / "a", model)
    index_folder(opened, photos / "b", model)
    (photos / "b").rename(tmp_path / "unmounted")
    write_sidecar(photos / "a" / "x.xmp", 'xmp:Rating="4"')
    index_folder(opened, photos / "a", model)
    assert read_photos(tmp_path / "library", "rating") == [(4,), (1,)]


@pytest.mark.parametrize("suffix", ["json", "parquet", "npy"])
def test_exports_keep_the_metadata_of_files(
    run: RunCommand,
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    suffix: str,
) -> None:
    """A row of the export has the metadata of a file only if the files differ."""
    run("index", photos, "--model", model)
    file = tmp_path / f"out.{suffix}"
    run("export", file)
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as library:
        library.load(file)
        assert find(library, photos, rating="1") == [("b/x.jpg", 1)]
        assert find(library, photos, rating="5", keyword=("first",)) == [("a/x.jpg", 5)]
    if suffix == "json":
        (image,) = json.loads(file.read_text())["images"]
        assert [each["metadata"]["rating"] for each in image["files"]] == [5, 1]
        assert image["rating"] == 5


def test_exports_of_other_files_have_no_metadata_of_files(
    run: RunCommand, tmp_path: Path, photos: Path, model: Path
) -> None:
    shutil.rmtree(photos / "b")
    run("index", photos, "--model", model)
    run("export", tmp_path / "out.json")
    (image,) = json.loads((tmp_path / "out.json").read_text())["images"]
    assert [set(each) for each in image["files"]] == [{"path", "size", "mtime_ns"}]
