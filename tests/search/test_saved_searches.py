"""Saved searches: what is stored, what a run finds, and what is refused."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.catalog import connection
from searchapp.errors import (
    LibraryError,
    NameTakenError,
    PictureError,
    QueryError,
    ReadOnlyError,
    SearchAppError,
)
from searchapp.library import Library
from searchapp.types import (
    Example,
    Query,
    Region,
    SavedTerm,
    SearchOptions,
    SearchResult,
    Term,
)

RATED_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>
"""
TEXTS = {"after": "2021-06", "near": "48.85,2.35,5km", "rating": "4+"}


def list_names(result: SearchResult) -> list[str]:
    return [Path(hit.path).name for hit in result.hits]


@pytest.fixture
def library(opened: Library, photos: Path, model: Path) -> Library:
    """Library with three pictures."""
    index_folder(opened, photos, model)
    return opened


def test_a_saved_search_is_live(library: Library, photos: Path, model: Path) -> None:
    """It finds pictures that were indexed after it was saved; changes replace its options."""
    saved = library.saved.add("reds", Query("red"), SearchOptions(min_score=0.99, count=5))
    assert library.saved.list_searches() == [saved]
    assert list_names(library.find_saved("reds")) == ["red.jpg"]
    save_picture(photos / "new.jpg", "red", mark=1)
    index_folder(library, photos, model)
    assert sorted(list_names(library.find_saved("reds"))) == ["new.jpg", "red.jpg"]
    assert list_names(library.find_saved("reds", {"folder": photos / "below"})) == []
    assert len(library.find_saved("reds", {"min_score": None, "count": 3}).hits) == 3


def test_options_are_stored_as_written(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates, ratings and places are texts; a folder is absolute; no page and no trust is saved."""
    monkeypatch.chdir(photos)
    options = SearchOptions(
        **TEXTS, folder="below", keyword=("sea", "sky"), offset=7, trust_remote_code=True,  # type: ignore[arg-type]
        where="width > 3", by="vector", sort="date",
    )  # fmt: skip
    saved = library.saved.add("all", Query("red"), options)
    assert saved.to_dict()["options"] == {
        **TEXTS, "folder": str(photos / "below"), "keyword": ["sea", "sky"], "where": "width > 3",
        "by": "vector", "sort": "date",
    }  # fmt: skip
    found = library.saved.get("all").options
    assert found.base_filter == saved.options.base_filter
    assert (found.offset, found.trust_remote_code, found.count) == (0, False, 10)


def test_terms_and_weights_are_stored(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    terms = [Term(Query("red")), Term(Query(None, "green.png"), -0.5)]
    saved = library.saved.add("sum", terms)
    assert saved.terms == (
        SavedTerm("red"), SavedTerm(image=str(photos / "green.png"), weight=-0.5)
    )  # fmt: skip
    assert list_names(library.find_saved("sum")) == list_names(library.find(terms))


def test_a_picture_of_the_library_needs_no_engine(
    library: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """It is known by its content, so its file may move away; without the image it is an error."""
    (hit,) = library.find(Query("red"), SearchOptions(count=1)).hits
    started_count = len(fake_engines.started_engines)
    library.saved.add("like red", [SavedTerm(image_key=hit.sha256)])
    (photos / "red.jpg").rename(photos / "elsewhere.jpg")
    assert sorted(list_names(library.find_saved("like red"))) == ["blue.jpg", "green.png"]
    assert len(fake_engines.started_engines) == started_count
    library.prune(missing=True)
    with pytest.raises(
        QueryError, match="does not hold the picture of the saved search 'like red'"
    ):
        library.find_saved("like red")


def test_parts_and_examples_are_saved(library: Library, photos: Path, tmp_path: Path) -> None:
    """A region, an image of the library by its id, and liked and unliked pictures."""
    (red,) = library.find(Query("red"), SearchOptions(count=1)).hits
    picture = save_picture(tmp_path / "like.png", "blue")
    region = Region.parse("10%,10%,50%,50%")
    terms = [Term(Query(None, red.image_id, region)), Term(Query(None, photos / "green.png"), 2)]
    examples = [Example(picture), Example(red.image_id, is_liked=False)]
    options = SearchOptions(include_examples=True)
    saved = library.saved.add("parts", terms, options, examples)
    assert saved.terms == (
        SavedTerm(image_key=red.sha256, region=region),
        SavedTerm(image=str(photos / "green.png"), weight=2),
        SavedTerm(image=str(picture), is_liked=True),
        SavedTerm(image_key=red.sha256, is_liked=False),
    )
    assert library.saved.get("parts") == saved
    assert library.find_saved("parts") == library.find(terms, options, examples)
    library.saved.add("only liked", (), SearchOptions(), examples[:1])
    assert library.find_saved("only liked") == library.find([], SearchOptions(), examples[:1])
    picture.unlink()
    with pytest.raises(PictureError, match="the picture of the saved search 'only liked'"):
        library.find_saved("only liked")
    with pytest.raises(QueryError, match="no image 99"):
        library.saved.add("unknown", (), SearchOptions(), [Example(99)])


def test_a_lost_picture_is_named(library: Library, tmp_path: Path) -> None:
    file = save_picture(tmp_path / "query.png", "blue")
    library.saved.add("blue", Query(None, file))
    assert list_names(library.find_saved("blue"))[0] == "blue.jpg"
    file.unlink()
    with pytest.raises(PictureError, match=r"query\.png: the picture of the saved search 'blue'"):
        library.find_saved("blue")


@pytest.mark.parametrize(
    ("name", "question", "options", "message"),
    [
        ("", Query("red"), {}, "cannot be the name"),
        ("a\nb", Query("red"), {}, "cannot be the name"),
        ("x" * 101, Query("red"), {}, "cannot be the name"),
        ("a\udcff", Query("red"), {}, "not valid UTF-8"),
        ("used", Query("red"), {}, "there is a saved search 'used' already"),
        (" used ", Query("red"), {}, "there is a saved search 'used' already"),
        ("new", Query(), {}, "needs a text or a picture"),
        ("new", (), {}, "nothing to save"),
        ("new", Query(None, "nowhere.png"), {}, "there is no such file"),
        ("new", Query("red"), {"max_size": math.inf}, "cannot be saved"),
        ("new", [Term(Query("red"), -math.inf)], {}, "cannot be saved"),
        ("new", Query("red"), {"where": "nonsense ="}, "incomplete input"),
    ],
)
def test_what_cannot_run_is_not_saved(
    library: Library, name: str, question: Query, options: dict[str, str], message: str
) -> None:
    library.saved.add("used", Query("green"))
    with pytest.raises(SearchAppError, match=message):
        library.saved.add(name, question, SearchOptions(**options))  # type: ignore[arg-type]
    assert [search.name for search in library.saved.list_searches()] == ["used"]


def test_replace_rename_and_remove(library: Library) -> None:
    """The id stays, and is not used again after the removal."""
    first = library.saved.add("reds", Query("red"))
    replaced = library.saved.add("reds", Query("blue"), replace_existing=True)
    assert (replaced.id, replaced.terms) == (first.id, (SavedTerm("blue"),))
    renamed = library.saved.rename(replaced, "blues")
    assert library.saved.get("blues") == renamed
    other = library.saved.add("reds", Query("red"))
    with pytest.raises(NameTakenError, match="remove that search first"):
        library.saved.rename(other, "blues")
    with pytest.raises(QueryError, match="Did you mean 'blues'"):
        library.saved.get("blue")
    library.saved.remove(renamed)
    with pytest.raises(QueryError, match="no saved search 'blues'"):
        library.saved.get("blues")
    assert library.saved.add("again", Query("red")).id > first.id


def test_filters_alone_list_the_newest_pictures(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """No engine starts; pages, counts and the rule for files that are gone are as in a search."""
    for number, name in enumerate(("red.jpg", "green.png", "below/blue.jpg")):
        os.utime(photos / name, (1e9 + number * 1e6,) * 2)
    index_folder(opened, photos, model)
    started_count = len(fake_engines.started_engines)
    opened.saved.add("all", (), SearchOptions(folder=photos))
    assert list_names(opened.find_saved("all")) == ["blue.jpg", "green.png", "red.jpg"]
    assert list_names(opened.find_saved("all", {"count": 1, "offset": 1})) == ["green.png"]
    assert list_names(opened.find_saved("all", {"format": "png"})) == ["green.png"]
    assert "no file below" in opened.find_saved("all", {"folder": "/x"}).warnings[0]
    assert len(fake_engines.started_engines) == started_count


def test_a_listed_picture_shows_the_file_that_matches_the_filter(
    opened: Library, photos: Path, model: Path
) -> None:
    """Files with the same bytes are one hit; the filters say which of their paths is first."""
    copy = photos / "copies" / "a.jpg"
    copy.parent.mkdir()
    shutil.copy(photos / "red.jpg", copy)
    Path(f"{copy}.xmp").write_text(RATED_XMP)
    index_folder(opened, photos, model)
    for wanted in (SearchOptions(folder=copy.parent), SearchOptions(rating="5")):  # type: ignore[arg-type]
        (hit,) = opened.list_newest(wanted).hits
        assert (hit.path, hit.also) == (str(copy), (str(photos / "red.jpg"),))
    shutil.copy(photos / "green.png", photos / os.fsdecode(b"a\xff.png"))
    shutil.copy(photos / "green.png", photos / "z\u00e9.png")
    index_folder(opened, photos, model)
    for name in ("red.jpg", "copies/a.jpg", "green.png", "z\u00e9.png"):
        wanted = SearchOptions(where=f"path like '%/{name}'")
        (hit,) = opened.list_newest(wanted).hits
        assert hit.path == str(photos / name)
        assert opened.search(Query("red"), wanted)[0].path == hit.path


def test_backup_and_restore_carry_saved_searches(library: Library, tmp_path: Path) -> None:
    saved = library.saved.add("reds", Query("red"))
    library.backup(tmp_path / "copy.db")
    Library.restore(tmp_path / "copy.db", tmp_path / "other")
    with Library.open(tmp_path / "other") as other:
        assert other.saved.list_searches() == [saved]


def test_a_read_only_library_runs_but_saves_nothing(
    library: Library, tmp_path: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.saved.add("reds", Query("red"), SearchOptions(count=1))
    library.close()
    monkeypatch.setattr(connection.os, "access", lambda path, mode: False)
    with Library.open(tmp_path / "library", start=fake_engines) as opened:
        assert list_names(opened.find_saved("reds")) == ["red.jpg"]
        with pytest.raises(ReadOnlyError, match="need write permission"):
            opened.saved.add("greens", Query("green"))


@pytest.mark.parametrize("suffix", ["json", "npy", "parquet"])
def test_an_export_carries_saved_searches(
    library: Library, tmp_path: Path, model: Path, suffix: str
) -> None:
    """Import adds those with free names, without links, and none that would fetch a URL."""
    library.saved.add("reds", Query("red"), SearchOptions(**TEXTS))  # type: ignore[arg-type]
    search = library.saved.add("greens", Query("green"))
    library.saved.set_link_folder(search, tmp_path / "links")
    library.saved.add("url", Query(None, "https://example.com/a.jpg"))
    library.export(tmp_path / f"out.{suffix}")
    with Library.open(tmp_path / "other", create=True) as other:
        other.saved.add("reds", Query("blue"))
        other.load(tmp_path / f"out.{suffix}")
        found = {search.name: search for search in other.saved.list_searches()}
    assert sorted(found) == ["greens", "reds"]
    assert found["reds"].terms == (SavedTerm("blue"),)
    assert (found["greens"].terms, found["greens"].link_folder) == ((SavedTerm("green"),), None)


@pytest.mark.parametrize(
    "changes", [{"name": "a\nb"}, {"terms": [{"words": "x"}]}, {"options": {"after": "soon"}}, {}]
)
def test_an_invalid_saved_search_is_not_imported(
    library: Library, tmp_path: Path, changes: dict[str, object]
) -> None:
    """Nothing is imported then. An export of an earlier version has no saved searches."""
    library.saved.add("reds", Query("red"))
    library.export(tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text())
    if changes:
        document["saved_searches"][0].update(changes)
    else:
        del document["saved_searches"]
    (tmp_path / "out.json").write_text(json.dumps(document))
    with Library.open(tmp_path / "other", create=True) as other:
        if changes:
            with pytest.raises(LibraryError, match="is not a valid export"):
                other.load(tmp_path / "out.json")
        else:
            other.load(tmp_path / "out.json")
        assert other.saved.list_searches() == []
        assert bool(other.info().images) is not bool(changes)
