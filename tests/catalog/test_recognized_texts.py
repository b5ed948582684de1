"""Text that was recognized in pictures: what is unread, what is saved, and the column text."""

import json
from pathlib import Path

import pytest
from sqlite_utils import Database
from support.library import index_folder

from searchapp.catalog import UnreadScope
from searchapp.catalog.recent_migrations import MIGRATIONS
from searchapp.catalog.recognized_texts import MAX_TEXT_CHARACTERS, RecognizedTexts
from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.types import Failure, Filter, Query, SearchOptions, TextLine, TextStatistics

ALL = UnreadScope()
BOX = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))


@pytest.fixture
def library(opened: Library, photos: Path, model: Path) -> Library:
    """A library with the pictures red.jpg, green.png and below/blue.jpg."""
    index_folder(opened, photos, model)
    return opened


@pytest.fixture
def texts(library: Library) -> RecognizedTexts:
    return library._catalog.recognized_texts


def list_unread(texts: RecognizedTexts, scope: UnreadScope = ALL) -> dict[str, int]:
    """Return the unread images by file name."""
    images = texts.list_unread(scope, 0, 99)
    assert len(images) == texts.count_unread(scope)
    return {Path(image.originals[0].path).name: image.image_id for image in images}


def count_where(library: Library, condition: str) -> int:
    return library.count_facets(Filter(where=condition)).images


def test_images_are_unread_until_they_are_saved(texts: RecognizedTexts, photos: Path) -> None:
    """By folder, by reader, and failed ones only if asked for."""
    ids = list_unread(texts)
    assert set(ids) == {"red.jpg", "green.png", "blue.jpg"}
    assert set(list_unread(texts, UnreadScope(roots=(str(photos / "below"),)))) == {"blue.jpg"}
    assert set(list_unread(texts, UnreadScope(roots=()))) == set()
    texts.save_outcomes([(ids["red.jpg"], [TextLine("Invoice", BOX, 0.9)])], "reader 1")
    failure = Failure("blue.jpg", "text", "broken")
    texts.save_outcomes([(ids["green.png"], []), (ids["blue.jpg"], failure), (77, [])], "reader 2")
    assert list_unread(texts) == {}
    assert set(list_unread(texts, UnreadScope(retry_failed=True))) == {"blue.jpg"}
    assert set(list_unread(texts, UnreadScope(reader="reader 2"))) == {"red.jpg"}
    both = UnreadScope(reader="reader 2", retry_failed=True, image_ids=(ids["blue.jpg"],))
    assert set(list_unread(texts, both)) == {"blue.jpg"}
    assert texts.read_statistics() == TextStatistics(False, 1, 1, 1, 0)
    assert texts.list_failures() == [Failure(str(photos / "below/blue.jpg"), "text", "broken")]
    texts.save_outcomes([(ids["blue.jpg"], [])], "reader 2")
    assert texts.list_failures() == []


def test_copies_are_one_unread_image(library: Library, photos: Path) -> None:
    """With all its files."""
    (photos / "copy.jpg").write_bytes((photos / "red.jpg").read_bytes())
    list(library.index([photos]))
    texts = library._catalog.recognized_texts
    first = texts.list_unread(UnreadScope(), 0, 1)[0]
    assert texts.count_unread(UnreadScope()) == 3
    by_name = {len(i.originals) for i in texts.list_unread(UnreadScope(), 0, 9)}
    assert by_name == {1, 2}
    assert [i.image_id for i in texts.list_unread(UnreadScope(), first.image_id, 9)] == [2, 3]


def test_the_column_text_can_be_a_condition(library: Library, texts: RecognizedTexts) -> None:
    """Null: not read, or failed; empty: without text."""
    ids = list_unread(texts)
    assert count_where(library, "text is null") == 3
    lines = [TextLine("Straße 12", BOX, 0.9), TextLine("Total 4.50", BOX, 0.8)]
    texts.save_outcomes([(ids["red.jpg"], lines), (ids["green.png"], [])], "reader 1")
    assert count_where(library, "text like '%total%'") == 1
    assert count_where(library, "text like '%Straße%'") == 1
    assert count_where(library, "text = 'Straße 12\nTotal 4.50'") == 1
    assert count_where(library, "text = ''") == 1
    assert count_where(library, "text is null") == 1
    with pytest.raises(QueryError, match="may read only the columns"):
        count_where(library, "exists (select lines from recognized_texts)")


def test_a_very_long_text_is_cut(library: Library, texts: RecognizedTexts) -> None:
    """So that conditions on the column text can be evaluated."""
    ids = list_unread(texts)
    lines = [TextLine("字" * 150, BOX, 0.9) for _ in range(1000)]
    texts.save_outcomes([(ids["red.jpg"], lines)], "reader 1")
    (text,) = library._catalog._db.execute("select text from recognized_texts").fetchone()
    assert MAX_TEXT_CHARACTERS - 200 < len(text) <= MAX_TEXT_CHARACTERS
    assert count_where(library, "text like '%字%'") == 1


def test_an_older_table_gets_the_new_columns() -> None:
    """The migration fills the column text from the lines."""
    db = Database(memory=True)
    MIGRATIONS.apply(db, stop_before="m017_text_in_pictures")
    columns = "id, sha256, format, width, height"
    db.execute(f"insert into images ({columns}) values (1, 'a', 'JPEG', 9, 9)")
    lines = json.dumps([TextLine(text).to_dict() for text in ("one", "two")])
    db.execute("insert into recognized_texts values (1, 'reader 1', ?)", (lines,))
    MIGRATIONS.apply(db)
    assert db.execute("select text, failure from recognized_texts").fetchone() == ("one\ntwo", None)
    assert not RecognizedTexts(db).is_on
    RecognizedTexts(db).turn(True)
    assert RecognizedTexts(db).is_on


def test_words_of_recognized_text_find_the_picture(
    library: Library, texts: RecognizedTexts
) -> None:
    """As soon as the outcome is saved."""
    ids = list_unread(texts)
    texts.save_outcomes([(ids["red.jpg"], [TextLine("Pharmacy", BOX, 0.9)])], "reader 1")
    (hit,) = library.search(Query("pharmacy"), SearchOptions(by="text"))
    assert hit.image_id == ids["red.jpg"]
    texts.save_outcomes([(ids["red.jpg"], Failure("", "text", "broken"))], "reader 2")
    assert library.search(Query("pharmacy"), SearchOptions(by="text")) == []
