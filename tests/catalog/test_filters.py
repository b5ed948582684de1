"""Filters match the same images as brute-force SQL; --where can read only the view photos."""

import json
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sqlite_utils import Database
from support.filters import DATE_STRATEGY, WHERE_CONDITIONS, make_varied_catalog
from support.library import FakeEngines, RunCommand, index_folder
from support.metadata_files import make_exif, make_jpeg
from support.sample_pictures import save_picture

from searchapp.catalog import Catalog, FileTask
from searchapp.catalog.filters import where_condition
from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.types import Filter, OneOf, PictureInfo, Query, SearchOptions
from searchapp.types.filter_values import list_values
from searchapp.vectors import pack_vector


def distance_km(
    latitude: float | None, longitude: float | None, lat: float, lon: float
) -> float | None:
    """Return the distance on the sphere, from the chord between unit vectors."""
    if latitude is None or longitude is None:
        return None

    def to_unit_vector(degrees: tuple[float, float]) -> np.ndarray:
        up, east = np.radians(degrees)
        return np.array([np.cos(up) * np.cos(east), np.cos(up) * np.sin(east), np.sin(up)])

    chord = to_unit_vector((latitude, longitude)) - to_unit_vector((lat, lon))
    return float(2 * 6371.0 * np.arcsin(min(1.0, float(np.linalg.norm(chord)) / 2)))


RATING_SQL = {
    "4+": "between 4 and 5", "3": "= 3", "2-4": "between 2 and 4", "rejected": "= -1",
    "unrated": "= 0", "0+": "between 0 and 5", "1-3": "between 1 and 3",
}  # fmt: skip


def find_ids_by_sql(catalog: Catalog, image_filter: Filter) -> list[int]:
    """Return the ids of the embeddings that match a filter, by one SQL query."""
    where, values = ["1"], {}

    def add_any(name: str, sql: str, items: Sequence[object]) -> None:
        """Add a condition that one of the items must fulfil; sql names the item as :item."""
        conditions = [sql.replace(":item", f":{name}{n}") for n in range(len(items))]
        if conditions:
            where.append(f"({' or '.join(conditions)})")
        values.update((f"{name}{n}", item) for n, item in enumerate(items))

    folders = [f"{folder}/%" for folder in list_values(image_filter.folder)]
    add_any("folder", "path like :item", folders)
    if image_filter.after is not None:
        where.append("date >= :after")
        values["after"] = str(image_filter.after)
    if image_filter.before is not None:
        where.append("substr(date, 1, length(:before)) <= :before")
        values["before"] = str(image_filter.before)
    for name in ("camera", "lens"):
        patterns = [pattern.lower() for pattern in list_values(getattr(image_filter, name))]
        add_any(name, f"lower({name}) glob :item or lower({name}) glob '* ' || :item", patterns)
    add_any("format", "format = :item", list_values(image_filter.format))
    if image_filter.taken:
        where.append("date_from <> 'file'")
    if ratings := list_values(image_filter.rating):
        tests = (f"coalesce(rating, 0) {RATING_SQL[str(rating)]}" for rating in ratings)
        where.append(f"({' or '.join(tests)})")
    words = [pattern.lower().replace("[", "[[]") for pattern in image_filter.keyword]
    for number, group in enumerate([words] if image_filter.any_keyword else [[w] for w in words]):
        add_any(
            f"keyword{number}_",
            "exists (select 1 from keywords k where k.image_id = photos.image_id"
            " and lower(k.keyword) glob :item)",
            group,
        )
    for name, sql in (("min_size", "megapixels >="), ("max_size", "megapixels <=")):
        if getattr(image_filter, name) is not None:
            where.append(f"{sql} :{name}")
            values[name] = getattr(image_filter, name)
    if image_filter.near is not None:
        catalog._db.conn.create_function("distance_km", 4, distance_km)
        where.append("distance_km(latitude, longitude, :lat, :lon) <= :km")
        place = image_filter.near
        values |= {"lat": place.latitude, "lon": place.longitude, "km": place.radius_km}
    if image_filter.area is not None:
        area = image_filter.area
        combine = "and" if area.west <= area.east else "or"
        # Filters compare millionths of a degree: 2.35 - 25 / 500 is not above 2.3.
        south, north, west, east = (
            round(degrees * 1e6) for degrees in (area.south, area.north, area.west, area.east)
        )
        where.append(
            f"round(latitude * 1e6) between {south} and {north}"
            f" and (round(longitude * 1e6) >= {west} {combine} round(longitude * 1e6) <= {east})"
        )
    if image_filter.where is not None:
        where.append(f"({image_filter.where})")
    rows = catalog._db.execute(
        "select id from embeddings where image_id in"
        f" (select image_id from photos where {' and '.join(where)}) order by id",
        values,
    )
    return [row[0] for row in rows]


def test_areas_contain_the_places_on_their_bounds(
    varied_library: tuple[Path, Catalog],
) -> None:
    """Sums of floats are slightly off the bound; the difference is no distance."""
    _, catalog = varied_library
    (collection,) = catalog.list_collections()
    area = Filter(area="48.85,2,48.9,2.3")  # type: ignore[arg-type]
    found = sorted(catalog.filters.find_embedding_ids(collection.id, area).tolist())
    assert found == find_ids_by_sql(catalog, area)
    assert {26, 51} <= set(found)


@pytest.fixture(scope="module")
def varied_library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Catalog]:
    folder = tmp_path_factory.mktemp("varied") / "library"
    return folder, make_varied_catalog(folder, 240)[0]


def test_image_ids_are_not_used_again() -> None:
    """Neither the cached fields of a deleted image nor its URLs apply to a new image."""
    catalog = Catalog.in_memory()
    collection = catalog.add_collection("c", "m", "r", 4, "{}")
    old, new = (PictureInfo(format="JPEG", width=1, height=1, rating=rating) for rating in (1, 5))
    (first,) = catalog.writer.save_images({"a" * 64: old}).values()
    assert len(catalog.filters.find_embedding_ids(collection.id, Filter(rating="5"))) == 0
    catalog.get_maintenance().delete_unused_images()
    (again,) = catalog.writer.save_images({"b" * 64: new}).values()
    assert again > first
    catalog.writer.save_embeddings(collection, {again: pack_vector(np.eye(4, dtype=np.float32)[0])})
    assert len(catalog.filters.find_embedding_ids(collection.id, Filter(rating="5"))) == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_filters_equal_brute_force(
    varied_library: tuple[Path, Catalog], data: st.DataObject
) -> None:
    """Every combination of conditions matches the same ids as one SQL query."""
    folder, catalog = varied_library

    def maybe(values: st.SearchStrategy[object]) -> object:
        return data.draw(st.none() | values)

    def some(*values: object) -> object:
        """Draw nothing, one value, or a list of values."""
        one = st.sampled_from(values)
        return data.draw(st.none() | one | st.lists(one, max_size=3))

    image_filter = Filter(
        folder=some(folder, folder / "d0", folder / "copies", folder / "none"),  # type: ignore[arg-type]
        after=maybe(DATE_STRATEGY),  # type: ignore[arg-type]
        before=maybe(DATE_STRATEGY),  # type: ignore[arg-type]
        camera=some("iphone*", "Apple*", "*5d", "canon eos ?d", "z 6", "x*"),  # type: ignore[arg-type]
        format=some("jpeg", "png", "heif", "gif"),  # type: ignore[arg-type]
        min_size=maybe(st.sampled_from([0.0, 0.03, 0.05])),  # type: ignore[arg-type]
        max_size=maybe(st.sampled_from([0.03, 0.05, 1.0])),  # type: ignore[arg-type]
        near=maybe(st.sampled_from(["48.9,2.3,12km", "48.85,2.35,0.5", "0,0,9000", "-48,177,1"])),  # type: ignore[arg-type]
        where=maybe(st.sampled_from(WHERE_CONDITIONS)),  # type: ignore[arg-type]
        lens=some("*50mm*", "summilux*", "f/1.?", "none"),  # type: ignore[arg-type]
        rating=some(*sorted(RATING_SQL)),  # type: ignore[arg-type]
        keyword=data.draw(
            st.lists(st.sampled_from(["holiday", "NEW*", "york", "sea[1]", "*e*"]), max_size=2).map(
                tuple
            )
        ),
        taken=data.draw(st.booleans()),
        any_keyword=data.draw(st.booleans()),
        area=maybe(st.sampled_from(["48.85,2,48.9,2.3", "0,-10,90,10", "48,2.2,49,-179"])),  # type: ignore[arg-type]
    )
    (collection,) = catalog.list_collections()
    found = sorted(catalog.filters.find_embedding_ids(collection.id, image_filter).tolist())
    assert found == find_ids_by_sql(catalog, image_filter)
    timeline = catalog.filters.list_timeline(collection.id, image_filter)
    assert sorted(timeline.image_ids) == found  # the ids of embeddings and images are equal here


def test_filtered_search_equals_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_engines: FakeEngines
) -> None:
    """A search returns the k nearest matching images, even if few match, and page by page."""
    catalog, vectors = make_varied_catalog(tmp_path / "library", 240)
    monkeypatch.setattr("searchapp.files.storage.can_exist", lambda path: True)
    (collection,) = catalog.list_collections()
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        for where in ("width > 110", "size in (3, 77, 200)", "size = 5", "0"):
            ids = np.array(find_ids_by_sql(catalog, Filter(where=where)), dtype=int)
            scores = vectors[ids - 1] @ vectors[9]
            expected = ids[np.argsort(-scores)].tolist()
            for offset in (0, 2, 10):
                options = SearchOptions(where=where, count=5, offset=offset)
                hits = library.reader.find_nearest(collection, vectors[9], options).hits
                assert [hit.image_id for hit in hits] == expected[offset : offset + 5]


def test_filters_see_changes_of_the_catalog(tmp_path: Path) -> None:
    """Changes: new images by this and by another connection, deleted images, reused ids."""
    reader, _ = make_varied_catalog(tmp_path / "library", 10)
    ours = Catalog.open(tmp_path / "library" / "catalog.db")
    (collection,) = reader.list_collections()
    by_camera = Filter(camera="leica*")
    assert reader.filters.find_embedding_ids(collection.id, by_camera).tolist() == []
    for catalog in (ours, reader):
        leica = PictureInfo(format="PNG", width=1, height=1, camera="Leica M")
        (image,) = catalog.writer.save_images({f"new{id(catalog)}": leica}).values()
        catalog.writer.save_embeddings(collection, {image: b""})
    assert reader.filters.find_embedding_ids(collection.id, by_camera).tolist() == [11, 12]
    for sql in ("delete from embeddings where id = 12", "delete from images where id = 12"):
        ours._db.execute(sql)
    assert reader.filters.find_embedding_ids(collection.id, by_camera).tolist() == [11]
    nikon = PictureInfo(format="PNG", width=1, height=1, camera="Nikon")
    (image,) = ours.writer.save_images({"again": nikon}).values()
    ours.writer.save_embeddings(collection, {image: b""})
    assert image == 13  # The id of a deleted image is not used again.
    assert reader.filters.find_embedding_ids(collection.id, by_camera).tolist() == [11]
    found = reader.filters.find_embedding_ids(collection.id, Filter(camera="nikon"))
    assert found.tolist()[-1] == 13


@pytest.mark.parametrize("megapixels", [4.1, 1.1, 2.3, 16.4, 0.057])
def test_size_bounds_include_pictures_of_exactly_this_size(megapixels: float) -> None:
    """The bound 4.1 is compared as a decimal: as a float, 4.1 * 1e6 is below 4,100,000."""
    catalog = Catalog.in_memory()
    collection = catalog.add_collection("c", "m", "r", 4, "{}")
    pixels = round(megapixels * 1e6)
    for width in (pixels - 1, pixels, pixels + 1):
        info = PictureInfo(format="JPEG", width=width, height=1)
        (image,) = catalog.writer.save_images({f"{width:064}": info}).values()
        catalog.writer.save_embeddings(collection, {image: b""})
    below, above = Filter(max_size=megapixels), Filter(min_size=megapixels)
    assert catalog.filters.find_embedding_ids(collection.id, below).tolist() == [1, 2]
    assert catalog.filters.find_embedding_ids(collection.id, above).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(48.8566969, 2.3514616), (-33.8688197, 151.2092955), (1.001, -8.43)]
)
def test_a_circle_of_radius_0_contains_its_center(latitude: float, longitude: float) -> None:
    """Both sides are rounded to the same millionths of a degree."""
    catalog = Catalog.in_memory()
    collection = catalog.add_collection("c", "m", "r", 4, "{}")
    info = PictureInfo(format="JPEG", width=1, height=1, latitude=latitude, longitude=longitude)
    (image,) = catalog.writer.save_images({"a" * 64: info}).values()
    catalog.writer.save_embeddings(collection, {image: b""})
    center = Filter(near=f"{latitude},{longitude},0")
    assert catalog.filters.find_embedding_ids(collection.id, center).tolist() == [1]


@pytest.mark.parametrize("stored_form", ["NFC", "NFD"])
@pytest.mark.parametrize("asked_form", ["NFC", "NFD"])
def test_filters_ignore_the_unicode_normal_form(
    tmp_path: Path, stored_form: Literal["NFC", "NFD"], asked_form: Literal["NFC", "NFD"]
) -> None:
    """Some file systems and programs write "é" as two code points, keyboards as one."""

    def store(text: str) -> str:
        return normalize(stored_form, text)

    catalog = Catalog.open(tmp_path / "catalog.db", create=True)
    collection = catalog.add_collection("c", "m", "r", 4, "{}")
    run = catalog.writer.start_run(collection, [])
    info = PictureInfo(
        format="JPEG", width=1, height=1, camera=store("Müller Ä1"), lens=store("Ångström 50mm"),
        title=store("Café de Flore"), description=store("Ein Hügel"), keywords=(store("Café"),),
    )  # fmt: skip
    (image,) = catalog.writer.save_images({"a" * 64: info}).values()
    path = f"{normalize('NFC', '/é/Cafés')}/{store('Café')}/{store('über')}.jpg"  # mixed forms
    catalog.writer.save_files(run, [(FileTask(path, 1, 1, None), image)])
    catalog.writer.save_embeddings(collection, {image: b""})
    for values in (
        {"keyword": ("CAFÉ",)}, {"keyword": ("caf?",)}, {"camera": "ä?"}, {"lens": "ångström*"},
        {"folder": "/é"}, {"folder": "/é/Cafés/Café"}, {"where": "title like 'Café%'"},
        {"where": "description like '%Hügel'"}, {"where": "keywords = 'Café'"},
        {"where": "camera like 'Mü%'"},
        {"where": "lens like 'Ång%'"}, {"where": "path = '/é/Cafés/Café/über.jpg'"},
        {"where": "folder in (select folder from photos where folder like '%/Café')"},
    ):  # fmt: skip
        asked: dict[str, Any] = {
            name: tuple(normalize(asked_form, text) for text in value)
            if isinstance(value, tuple)
            else normalize(asked_form, value)
            for name, value in values.items()
        }
        found = catalog.filters.find_embedding_ids(collection.id, Filter(**asked))
        assert found.tolist() == [1], values
        conditions, _ = catalog.filter_to_conditions(Filter(**asked))
        assert all(part.texts for part in conditions if isinstance(part, OneOf)), values
    other_folder = Filter(folder=normalize(asked_form, "/é/Caf"))
    assert catalog.filters.find_embedding_ids(collection.id, other_folder).tolist() == []
    facets = catalog.filters.count_facets(collection.id, Filter())
    assert facets.keywords.values == (("Café", 1),)
    with pytest.raises(QueryError, match="may read only"):
        where = normalize(asked_form, "title = 'é' or searchapp_nfc(title) > ''")
        catalog.filters.find_embedding_ids(collection.id, Filter(where=where))


def test_log_names_the_compared_fields_without_their_values(
    varied_library: tuple[Path, Catalog], caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows which conditions use columns in memory and which use SQL."""
    _, catalog = varied_library
    (collection,) = catalog.list_collections()
    image_filter = Filter(camera="iphone*", where="size = 8", folder="/private")
    with caplog.at_level(logging.INFO, logger="searchapp"):
        assert len(catalog.filters.find_embedding_ids(collection.id, image_filter)) == 0
    assert caplog.messages == [
        "Filter: 0 of 240 embeddings match (columns in memory: camera; SQL: folder, where)."
    ]


ATTACKS = [
    "1; drop table images", "1) or (1", "1) union select id from embeddings --", "1 --\n) --",
    "1 /*", "1 limit 1", "1 union select 1", "", "   ", "nonsense", "width >", "width = :x",
    "exists (select 1 from sqlite_master)", "exists (select path from files)",
    "exists (select vector from embeddings)", "exists (select 1 from pragma_table_info('images'))",
    "exists (select 1 from json_each('[1]'))", "load_extension('x')", "readfile('/etc/passwd')",
    "writefile('/tmp/x', 'y')", "fts3_tokenizer('x')", "randomblob(1000000000)",
    "zeroblob(1000000000)", "printf('%1000000000d', 1)", "edit(path)", "sqlite_version()",
    "random() > 0", "current_timestamp > date",
    "exists (with recursive c(n) as (select 1 union all select n + 1 from c) select 1 from c)",
    "attach '/tmp/x' as x", "pragma writable_schema = on", "path = '\0'", "path = '\ud800'",
    "(select raise(abort, 'x'))", "delete from images", f"1{' + 1' * 9000}", f"{'(' * 2000}1",
    "exists (select rowid from images)", "exists (select sha256 from main.images)",
    "exists (select 1 from temp.sqlite_temp_master)",
    "replace(hex(path), '2', replace('" + "x" * 9000 + "', 'x', '" + "y" * 900 + "')) = ''",
]  # fmt: skip


@pytest.mark.parametrize("condition", ATTACKS, ids=lambda condition: repr(condition)[:40])
def test_where_condition_can_only_read_the_view(
    varied_library: tuple[Path, Catalog], condition: str
) -> None:
    """Any other action is rejected with one line that names the columns, or the wrong text."""
    folder, catalog = varied_library
    (collection,) = catalog.list_collections()
    before = (folder / "catalog.db").read_bytes(), sorted(folder.iterdir())
    with pytest.raises(
        QueryError, match=r"^--where: .*path, folder, format|is not valid UTF-8"
    ) as raised:
        catalog.filters.find_embedding_ids(collection.id, Filter(where=condition))
    assert "\n" not in str(raised.value)
    assert ((folder / "catalog.db").read_bytes(), sorted(folder.iterdir())) == before
    assert catalog.count_images_and_files()[0] == 240


ENDLESS = "(select count(*) from photos a, photos b, photos c, photos d) > 0"
MANY_X = f"replace(replace('xxxxx', 'x', '{'x' * 100}'), 'x', '{'x' * 100}')"  # 50,000 characters
SLOW_INSTR = f"instr({MANY_X} || path, substr({MANY_X}, 25000) || 'y')"
SOME_X = f"substr({MANY_X}, 1, 8000)"


@pytest.mark.parametrize(
    "condition",
    [
        ENDLESS,
        f"'{'a' * 4000}' like '{'%a' * 400}b' or {ENDLESS}",
        " + ".join([SLOW_INSTR] * 12),  # so few steps of SQLite that counting them is no limit
        f"trim({SOME_X}, replace({SOME_X}, 'x', 'y') || 'x') = ''",  # one step of 0.5 s
    ],
    ids=["many-steps", "like", "instr", "trim"],
)
def test_where_condition_has_a_timeout(
    varied_library: tuple[Path, Catalog], monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    """A condition that would run for years or has few slow steps stops after the timeout."""
    folder, _ = varied_library
    monkeypatch.setattr(where_condition, "TIMEOUT_S", 0.02)
    with pytest.raises(QueryError, match=r"took longer than 0.02 seconds\. Write a simpler"):
        where_condition.find_image_ids(folder / "catalog.db", condition)


def test_a_condition_that_depends_on_the_time_is_not_cached(
    varied_library: tuple[Path, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated filters are answered from a cache, except conditions that call time functions."""
    _, catalog = varied_library
    (collection,) = catalog.list_collections()
    conditions = list[str]()

    def find_image_ids(file: Path, condition: str) -> where_condition.WhereResult:
        conditions.append(condition)
        return evaluate(file, condition)

    evaluate = where_condition.find_image_ids
    monkeypatch.setattr(where_condition, "find_image_ids", find_image_ids)
    for condition, count in (
        ("width > 5 and mtime > '1960'", 1),  # The view uses strftime for mtime.
        ("date < date('now')", 4),
        ("unixepoch() > 5", 4),
        ("mtime < STRFTIME('%Y', 'now')", 4),
        ("exists (with photos as (select date('now') as d) select 1 from photos where d > '2')", 4),
        ("date(date, '+1 day') > '2000'", 4),  # repeatable, but its arguments are not compared
    ):
        conditions.clear()
        for _ in range(2):
            catalog.filters.find_embedding_ids(collection.id, Filter(where=condition))
            catalog.filters.count_facets(collection.id, Filter(where=condition))
        assert len(conditions) == count, condition


def test_other_programs_can_read_the_view_photos(varied_library: tuple[Path, Catalog]) -> None:
    """The view has the documented columns, and any SQLite client opens the file."""
    folder, _ = varied_library
    database = Database(sqlite3.connect(folder / "catalog.db"))
    assert "photos" in database.view_names()
    assert (
        tuple(column.name for column in database["photos"].columns)
        == where_condition.PHOTOS_COLUMNS
    )
    row = next(iter(database.query("select * from photos where size = 8 and path like '%/d2/%'")))
    assert (row["folder"], row["format"]) == (f"{folder}/d2", "jpeg")
    assert (row["megapixels"], row["mtime"]) == (108 * 200 / 1e6, "1970-01-01T00:00:00")


def test_filters_on_the_command_line(run: RunCommand, photos: Path, model: Path) -> None:
    """Each option limits the search; an invalid condition gives a message of one line."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Apple", "iPhone 13"
    save_picture(photos / "phone.jpg", "yellow", exif=exif)
    run("index", photos, "--model", model)
    for arguments, found in (
        (["--camera", "IPHONE*"], {"phone.jpg"}),
        (["--format", "png"], {"green.png"}),
        (["--format", "jpg"], {"red.jpg", "blue.jpg", "phone.jpg"}),
        (["--min-size", 1], set()),
        (["--format", "png", "--format", "jpg", "--camera", "iphone*"], {"phone.jpg"}),
        (["--in", photos / "below", "--in", photos / "none"], {"blue.jpg"}),
        (["--area", "0,0,1,1"], set()),
        (["--max-size", 1, "--where", "path like '%/below/%'"], {"blue.jpg"}),
    ):
        lines = run("query", "red", "--paths", *arguments).stdout.splitlines()
        assert {Path(line).name for line in lines} == found
    result = run("query", "red", "--where", "wide > 3")
    assert result.exit_code == 2
    assert "--where: no such column: wide. Write an SQL condition" in str(result.exception)


def test_filter_with_a_path_that_is_not_utf8(opened: Library, tmp_path: Path, model: Path) -> None:
    """Filters by folder and by condition work if a file name is not valid UTF-8."""
    save_picture(tmp_path / "photos/ok.png", "red")
    save_picture(tmp_path / "photos/x.png", "red", mark=5).rename(tmp_path / "photos/b\udcff.png")
    index_folder(opened, tmp_path / "photos", model)
    where = SearchOptions(where="folder like '%photos'", folder=tmp_path / "photos")
    assert len(opened.search(Query("red"), where)) == 2


@pytest.mark.parametrize(
    "text", ["", "1,2", "a,b,c", "91,0,1", "0,181,1", "0,0,-1", "0,0,inf", "nan,0,1"]
)
def test_invalid_place_is_rejected(text: str, run: RunCommand) -> None:
    """The command line rejects it before anything starts; in Python, the constructor does."""
    with pytest.raises(QueryError, match="Write LATITUDE,LONGITUDE,KM"):
        SearchOptions(near=text)
    done = run("query", "red", f"--near={text}")
    assert done.exit_code == 2
    assert "Write LATITUDE,LONGITUDE,KM" in done.stderr


@pytest.mark.parametrize("command", ["query", "map", "duplicates"])
def test_every_filter_is_an_option_of_every_command(command: str) -> None:
    """One decorator adds an option for each field of Filter."""
    options = {option.name for option in import_module(f"searchapp.cli.{command}").command.params}
    assert options >= {field.name for field in fields(Filter)}


def test_duplicates_and_map_apply_filters(run: RunCommand, tmp_path: Path, model: Path) -> None:
    """Filters by metadata limit both commands, as they limit a query."""
    for name, stars in (("a", 5), ("b", 5), ("c", 1)):
        (tmp_path / f"{name}.jpg").write_bytes(make_jpeg(exif=make_exif(model="X", rating=stars)))
    assert run("index", tmp_path, "--model", model).exit_code == 0
    limits = ("--rating", "4+", "--camera", "x")
    assert "2 duplicates of 1 picture" in run("duplicates").stderr
    assert "1 duplicate of 1 picture" in run("duplicates", *limits).stderr
    summary = json.loads(run("map", "--html", tmp_path / "map.html", "--json", *limits).stdout)
    assert summary["of"] == 1
    assert run("map", "--html", tmp_path / "map.html", "--near", "x").exit_code == 2
