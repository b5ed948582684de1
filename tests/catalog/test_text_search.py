"""The full-text index follows its sources, and finds images by names, captions and text."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from searchapp.catalog import Catalog, FileTask, RefreshedMetadata
from searchapp.catalog.recent_migrations import MIGRATIONS
from searchapp.catalog.text_index import get_named_folders
from searchapp.catalog.text_search import TextLevel, TextQuery
from searchapp.types import PictureInfo, Place, TextLine


def make_info(**values: object) -> PictureInfo:
    return PictureInfo(format="JPEG", width=8, height=8, **values)  # type: ignore[arg-type]


class Filled:
    """A catalog with images, by the number in the order of their addition."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.number = 0
        self.collection = catalog.add_collection("c", "m", "r", 4, "{}")
        self.run = catalog.writer.start_run(self.collection, ["/home/anna/Pictures"])

    def add(self, name: str, **values: object) -> int:
        """Add an image with a file below Pictures; return the id of the image."""
        writer = self.catalog.writer
        with self.catalog.write_transaction():
            (id,) = writer.save_images({f"{name:0>64}": make_info(**values)}).values()
            writer.save_files(self.run, [(make_task(name), id)])
        return id

    def add_text(self, *lines: str) -> int:
        """Add an image in which a reader found these lines; return its id."""
        self.number += 1
        id = self.add(f"scan{self.number}.jpg")
        read = [TextLine(line, (), 0.9) for line in lines]
        self.catalog.recognized_texts.save_outcomes([(id, read)], "reader 1")
        return id

    def find(self, text: str) -> dict[int, TextLevel]:
        """Return the level of each image that contains the words of a text."""
        levels = self.catalog.texts.find_levels(TextQuery.parse(text), 1000, drop_frequent=True)
        return {int(id): level for level, ids in levels for id in ids}


def make_task(name: str) -> FileTask:
    return FileTask(f"/home/anna/Pictures/{name}", 1, 1, None)


@pytest.fixture
def filled() -> Iterable[Filled]:
    catalog = Catalog.in_memory()
    yield Filled(catalog)
    catalog.close()


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("IMG_2201.jpg", TextLevel.EXACT),
        ("img_2201", TextLevel.EXACT),
        ("IMG 2201", TextLevel.EXACT),
        ("2201", TextLevel.PHRASE),
        ("img_22", TextLevel.PREFIX),
        ("201", TextLevel.PART),
        ("22", TextLevel.PREFIX),
        ("Straße", TextLevel.WORDS),
        ("strasse", TextLevel.WORDS),
        ("STRASS", TextLevel.PREFIX),
        ("zurich", TextLevel.WORDS),
        ("Zürich", TextLevel.WORDS),
        ("a strasse in zurich", TextLevel.WORDS),
        ("sunset at the beach", TextLevel.EXACT),
        ("at the beach", TextLevel.PHRASE),
        ("beach zurich", TextLevel.WORDS),
        ("東京", TextLevel.PHRASE),
        ("京", TextLevel.WORDS),
        ("unse", TextLevel.PART),
        ("Pictures", TextLevel.WORDS),
    ],
)
def test_words_of_any_source_are_found(filled: Filled, text: str, level: TextLevel) -> None:
    """In file and folder names, the title and keywords; not in other images."""
    id = filled.add(
        "Straße/IMG_2201.jpg", title="Sunset at the Beach", keywords=("Zu\u0308rich", "東京タワー")
    )
    filled.add("DSC_0815.jpg")
    found = filled.find(text)
    assert found.pop(id) == level
    assert not found or text == "Pictures"


@pytest.mark.parametrize("text", ["sunset snow", "anna", "jpg 22", "2202", "sun-set", "22 01"])
def test_all_words_must_occur(filled: Filled, text: str) -> None:
    """Also the parts of a word with separators, in their order; not in folders above."""
    filled.add("IMG_2201.png", title="Sunset")
    assert filled.find(text) == {}


def test_a_quoted_phrase_must_occur(filled: Filled) -> None:
    """As complete words that follow each other; other words must occur too."""
    first, second = filled.add("a.jpg", title="red boat"), filled.add("b.jpg", title="boat, red")
    assert set(filled.find('"red boat"')) == {first}
    assert set(filled.find("“red boat”")) == {first}
    assert set(filled.find("red boat")) == {first, second}
    assert set(filled.find('"red" boat')) == {first, second}
    assert set(filled.find('"re"')) == set()
    assert TextQuery.parse('12" x 14" print').phrases == ()
    query = TextQuery.parse('blue "boat"')
    assert set(filled.catalog.texts.find_phrases(query)) == {first, second}
    assert filled.find('blue "boat"') == {}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("warning elevator", TextLevel.EXACT),
        ("Warning! Elevator", TextLevel.EXACT),
        ("elevator", TextLevel.PART),
        ("elevator warning", TextLevel.PART),
        ("warning elevator broken", None),
        ('"warning elevator"', None),
        ("warning 12 elevator", None),
        ("harbor street north side", TextLevel.EXACT),
        ("harbor street north", TextLevel.PART),
        ("street north side", TextLevel.PART),
        ("harbor street", TextLevel.PHRASE),
        ("a cross", TextLevel.PART),
    ],
)
def test_words_that_a_reader_joined_are_found(
    filled: Filled, text: str, level: TextLevel | None
) -> None:
    """In their order, as complete words; not in other texts, and not in a quoted phrase."""
    filled.add("a.jpg", title="warningelevator harborstreet north side across")
    filled.add_text("WARNINGELEVATOR")
    filled.add_text("Harborstreet", "NORTHSIDE")
    filled.add_text("across the river")
    found = filled.find(text)
    best = min(found.values(), default=None)
    assert best == level
    assert best is None or list(found.values()).count(best) == (2 if best > TextLevel.PHRASE else 1)


def test_a_text_without_other_words_is_best(filled: Filled) -> None:
    """A picture whose text is the query comes before one with more text; one word is no title."""
    more, same = filled.add_text("Old Málaga Harbor"), filled.add_text("MÁLAGA", "HARBOR")
    assert filled.find("malaga harbor") == {same: TextLevel.EXACT, more: TextLevel.PHRASE}
    word, code = filled.add_text("CAT"), filled.add_text("47")
    assert filled.find("cat") == {word: TextLevel.WORDS}
    assert filled.find("47") == {code: TextLevel.EXACT}


def test_the_index_follows_each_change(filled: Filled) -> None:
    """New names, moved and forgotten files, metadata, keywords and deleted images."""
    catalog = filled.catalog
    id = filled.add("old.jpg", keywords=("one",))
    catalog.writer.save_files(filled.run, [(make_task("copy.jpg"), id)])
    with catalog.write_transaction():  # The next transaction includes the change before it.
        pass
    assert set(filled.find("old")) == set(filled.find("copy")) == set(filled.find("one")) == {id}
    catalog.get_maintenance().forget_files(["/home/anna/Pictures/old.jpg"])
    assert (filled.find("old"), set(filled.find("copy"))) == ({}, {id})
    refresh = catalog.get_metadata_refresh()
    catalog.begin_scan()
    refresh.find_outdated(1, [])
    refresh.save_metadata({id: RefreshedMetadata(make_info(title="Harbor", keywords=("two",)))})
    assert (filled.find("one"), set(filled.find("harbor two"))) == ({}, {id})
    file_infos = {"/home/anna/Pictures/copy.jpg": make_info(title="Pier", keywords=("three",))}
    refresh.save_metadata({id: RefreshedMetadata(make_info(title="Harbor"), file_infos)})
    assert (filled.find("harbor"), set(filled.find("pier three"))) == ({}, {id})
    refresh.save_metadata({id: RefreshedMetadata(make_info(title="Harbor"))})
    assert (filled.find("pier"), set(filled.find("harbor"))) == ({}, {id})
    catalog.get_maintenance().forget_files(["/home/anna/Pictures/copy.jpg"])
    assert filled.find("harbor") == {}
    catalog.get_maintenance().delete_unused_images()
    assert catalog._db["texts"].count == catalog._db["stale_texts"].count == 0


def test_a_failed_transaction_changes_no_text(filled: Filled) -> None:
    """The index is part of the transaction of the rows."""
    with pytest.raises(ZeroDivisionError), filled.catalog.write_transaction():
        filled.add("new.jpg")
        1 / 0  # noqa: B018
    assert filled.find("new") == {}
    with filled.catalog.begin_transaction(dry_run=True):
        filled.catalog._db.execute("delete from files")
    id = filled.add("new.jpg")
    assert set(filled.find("new")) == {id}


def test_too_frequent_words_say_nothing(filled: Filled) -> None:
    """A level with too many images is left out; the better levels stay."""
    ids = [filled.add(f"trip_{number:04}.jpg") for number in range(12)]
    find_levels = filled.catalog.texts.find_levels
    levels = dict(find_levels(TextQuery.parse("trip 0003"), 5, drop_frequent=True))
    assert {level: list(found) for level, found in levels.items()}[TextLevel.EXACT] == [ids[3]]
    assert list(find_levels(TextQuery.parse("trip"), 5, drop_frequent=True)) == []
    ((level, found),) = find_levels(TextQuery.parse("trip"), 5, drop_frequent=False)
    assert (level, list(found)) == (TextLevel.WORDS, ids[:5])


@pytest.mark.parametrize("text", ["red boat " * 50, "a" * 400, "東京" * 100, '"a b" ' * 40])
def test_long_texts_are_searched(filled: Filled, text: str) -> None:
    """Up to a limit: the time grows with the number of trigrams."""
    id = filled.add("a.jpg", title=text.replace('"', ""))
    filled.add("b.jpg", title="red")
    assert not TextQuery.parse(text).is_too_long
    assert set(filled.find(text)) == {id}
    assert TextQuery.parse(text * 10).is_too_long


@pytest.mark.parametrize("text", ["", "-_.", '""', '"-"', "x\0y", "NEAR(a) *", "name: {a} ^b"])
def test_signs_are_no_operators(filled: Filled, text: str) -> None:
    """A query has no syntax but quotation marks."""
    filled.add("c.jpg", title="red")
    query = TextQuery.parse(text)
    assert query.is_empty == (text in ("", "-_.", '""', '"-"'))
    assert query.is_empty or filled.find(text) == {}


def test_names_of_places_without_images_are_forgotten(filled: Filled) -> None:
    """A name that no image has any more hides no shorter name in a query."""
    catalog = filled.catalog
    first, second = filled.add("a.jpg"), filled.add("b.jpg")
    england, america = Place("York", None, "United Kingdom"), Place("New York", None, "America")

    def find(text: str) -> list[int]:
        return catalog.texts.find_named_places(TextQuery.parse(text), 10).tolist()

    def list_names() -> set[str]:
        return {form.strip() for (form,) in catalog._db.execute("select form from place_names")}

    catalog.get_places().save_places("g", {first: england, second: america})
    assert find("boats in new york") == [second]
    catalog.get_places().save_places("g", {second: Place("Boston", None, "America")})
    assert find("boats in new york") == [first]
    assert list_names() == {"york", "united kingdom", "boston", "america"}
    with catalog.begin_transaction(dry_run=False):
        catalog.get_maintenance().forget_files([make_task("b.jpg").path])
        catalog.get_maintenance().delete_unused_images()
    assert list_names() == {"york", "united kingdom"}


@pytest.mark.parametrize("version", ["m015", "m018"])
def test_an_old_library_gets_its_index_once(tmp_path: Path, version: str) -> None:
    """The upgrade tells of a long build; an interrupted build continues at the next opening."""
    file = tmp_path / "catalog.db"
    ids = write_old_catalog(file, version, [f"IMG_{number}.jpg" for number in range(30)])
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("searchapp.catalog.text_index.SLOW_BUILD_IMAGES", 20)
        patched.setattr("searchapp.catalog.text_index.PAGE_IMAGES", 10)
        patched.setattr("searchapp.catalog.text_index._read_texts", fail_after_one_page())
        with pytest.raises(KeyboardInterrupt):
            Catalog.open(file, report=lines.append)
    assert lines == ["Indexing the names and captions of 30 pictures ..."]
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("select count(*) from stale_texts").fetchone() == (20,)
    with closing(Catalog.open(file, report=lines.append)) as catalog:
        assert len(lines) == 1
        for number, id in enumerate(ids):
            query = TextQuery.parse(f"IMG_{number}.jpg")
            assert [
                list(f)
                for _, f in catalog.texts.find_levels(query, 99, drop_frequent=True)
                if len(f)
            ] == [[id]]


def write_old_catalog(file: Path, version: str, names: Sequence[str]) -> list[int]:
    """Write a catalog with the migrations before a version; return the ids of its images."""
    old_migrations = Migrations("searchapp")
    for migration in MIGRATIONS.pending(Database(memory=True)):
        if migration.name < version:
            old_migrations(name=migration.name)(migration.fn)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("searchapp.catalog.schema_upgrade.MIGRATIONS", old_migrations)
        patched.setattr(
            "searchapp.catalog.schema_upgrade.build_missing_texts", lambda db, report: None
        )
        catalog = Catalog.open(file, create=True)
    collection = catalog.add_collection("c", "m", "r", 4, "{}")
    run = catalog.writer.start_run(collection, ["/home/anna/Pictures"])
    db, ids = catalog._db, range(1, len(names) + 1)
    for id, name in zip(ids, names, strict=True):
        db.execute(
            "insert into images (id, sha256, format, width, height) values (?, ?, 'JPEG', 8, 8)",
            (id, f"{id:064}"),
        )
        db.execute(
            "insert into files (path, image_id, size, mtime_ns, run_id) values (?, ?, 1, 1, ?)",
            (make_task(name).path, id, run),
        )
    catalog.close()
    return [*ids]


def fail_after_one_page() -> object:
    from searchapp.catalog.text_index import _read_texts

    pages: list[str] = []

    def read(db: Database, chosen: str) -> object:
        pages.append(chosen)
        if len(pages) > 1:
            raise KeyboardInterrupt
        return _read_texts(db, chosen)

    return read


def test_the_migration_can_run_on_a_full_catalog() -> None:
    """It creates its tables itself, and so does the migration of the column place."""
    db = Database(memory=True)
    MIGRATIONS.apply(db)
    assert {"texts", "stale_texts", "recognized_texts"} <= set(db.table_names())


@pytest.mark.parametrize(
    ("folder", "roots", "names"),
    [
        ("/home/a/Pictures/x", '["/home/a/Pictures"]', "Pictures/x"),
        ("/home/a/x", '["/home/a", "/home/a/x"]', "x"),
        ("", '["/"]', ""),
        ("s3://bucket/p/x", '["s3://bucket/p"]', "p/x"),
        ("/a/b", '["/a/b/c.jpg"]', "b"),
        ("/a/b", None, "b"),
    ],
)
def test_folders_above_the_indexed_folder_are_no_text(
    folder: str, roots: str | None, names: str
) -> None:
    """A query for the name of the user does not match every picture."""
    assert get_named_folders(folder, roots) == names
