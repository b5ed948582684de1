"""Searching, through the library, on a fake engine; and the index file beneath."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import LibraryError, PictureError, QueryError, UnsupportedModality
from searchapp.library import Library
from searchapp.types import Query, SearchOptions, Term
from searchapp.vectors import VectorIndex, pack_vector, unpack_vectors


@pytest.fixture
def filled(opened: Library, photos: Path, model: Path) -> Library:
    index_folder(opened, photos, model)
    return opened


def names(library: Library, query: Query, **options: object) -> list[str]:
    return [Path(hit.path).name for hit in library.search(query, SearchOptions(**options))]


def test_an_indexed_picture_finds_itself_first(filled: Library, photos: Path) -> None:
    """Its score is nearly 1: float16 on disk costs little."""
    (first, *rest) = filled.search(Query(image=photos / "green.png"))
    assert Path(first.path).name == "green.png"
    assert first.score > 0.999
    assert (first.width, first.height, len(first.sha256)) == (80, 60, 64)
    assert all(hit.score < first.score for hit in rest)


def test_hits_come_best_first_and_no_more_than_asked_for(filled: Library) -> None:
    """More than there are gives all there are."""
    assert names(filled, Query("blue"), count=1) == ["blue.jpg"]
    hits = filled.search(Query("blue"), SearchOptions(count=99))
    assert len(hits) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_folder_limits_the_search(filled: Library, photos: Path) -> None:
    """K pictures come back from below the folder where there are k, however near others are."""
    save_picture(photos / "below/second.jpg", "yellow")
    list(filled.index([photos]))
    assert names(filled, Query("red"), count=2, folder=photos / "below") == [
        "second.jpg",
        "blue.jpg",
    ]
    assert names(filled, Query("red"), folder=photos / "nowhere") == []


def test_the_file_below_the_folder_is_the_best(filled: Library, photos: Path) -> None:
    """Of an image's files the one asked for comes first."""
    (photos / "below" / "red copy.jpg").write_bytes((photos / "red.jpg").read_bytes())
    list(filled.index([photos]))
    (hit, *_) = filled.search(Query("red"), SearchOptions(folder=photos / "below"))
    assert Path(hit.path).name == "red copy.jpg"
    assert [Path(path).name for path in hit.also] == ["red.jpg"]


def test_a_score_can_be_demanded(filled: Library) -> None:
    """What is not near enough is left out."""
    assert names(filled, Query("red"), min_score=0.99) == ["red.jpg"]
    assert names(filled, Query("red"), min_score=1.01) == []


def test_vanished_files_do_not_cost_hits(opened: Library, tmp_path: Path, model: Path) -> None:
    """The best k that exist come back, though nearer ones are gone and no run has noticed."""
    for number in range(60):
        save_picture(tmp_path / f"photos/{number:02}.png", "red", mark=number + 1)
    index_folder(opened, tmp_path / "photos", model)
    for number in range(55):
        (tmp_path / f"photos/{number:02}.png").unlink()
    assert sorted(names(opened, Query("red"), count=5)) == [f"{n}.png" for n in range(55, 60)]


def test_a_query_needs_content(filled: Library) -> None:
    """Nothing, or only blanks, is no query."""
    for query in (Query(), Query(""), Query("  \n")):
        with pytest.raises(QueryError, match="nothing to look for"):
            filled.search(query)


def test_both_at_once_is_refused_by_clip(
    filled: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """The message is the original example's, and no engine is started for it."""
    started = len(fake_engines.started_engines)
    with pytest.raises(UnsupportedModality, match=r"^Unsupported query modality: 'text\+image'"):
        filled.search(Query("red", photos / "red.jpg"))
    assert len(fake_engines.started_engines) == started


def test_a_bad_picture_to_ask_with_is_named(filled: Library, tmp_path: Path) -> None:
    """The message names the picture and the reason."""
    (tmp_path / "text.jpg").write_text("no picture")
    for name, reason in (("text.jpg", "not a picture"), ("none.jpg", "No such file")):
        with pytest.raises(PictureError, match=f"{name}: .*{reason}"):
            filled.search(Query(image=tmp_path / name))


def test_what_the_model_refuses_is_an_error(filled: Library) -> None:
    """A refused query is no empty answer."""
    with pytest.raises(QueryError, match="does not take this query: no color in 'nonsense'"):
        filled.search(Query("nonsense"))


def test_an_empty_library_says_so(opened: Library, tmp_path: Path) -> None:
    """There is nothing to search before the first index, and no library where none is."""
    with pytest.raises(LibraryError, match="holds no pictures yet"):
        opened.search(Query("red"))
    message = r"no library at .*nowhere\. Run `searchapp index FOLDER`"
    with pytest.raises(LibraryError, match=message):
        Library.open(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["delete", "truncate", "garbage", "other"])
def test_a_lost_or_broken_index_file_costs_nothing(
    filled: Library, tmp_path: Path, damage: str, fake_engines: FakeEngines
) -> None:
    """The vectors are in the catalogue: the index is rebuilt from there, without an engine."""
    (file,) = (tmp_path / "library").glob("*.faiss")
    before = fake_engines.embedded_count
    match damage:
        case "delete":
            file.unlink()
        case "truncate":
            file.write_bytes(file.read_bytes()[:100])
        case "garbage":
            file.write_bytes(b"garbage" * 100)
        case "other":
            VectorIndex(5).save(tmp_path, "other").rename(file)
    with Library.open(tmp_path / "library", start=fake_engines) as again:
        assert names(again, Query("green"), count=1) == ["green.png"]
        list(again.index([tmp_path / "photos"]))
    assert fake_engines.embedded_count == before


def test_old_index_files_are_removed(filled: Library, photos: Path, tmp_path: Path) -> None:
    """One file a collection, whatever crashed runs have left."""
    (tmp_path / "library" / "collection-1-dead.tmp").touch()
    save_picture(photos / "yellow.jpg", "yellow")
    list(filled.index([photos]))
    assert len(list((tmp_path / "library").glob("collection-*"))) == 1


def test_a_reader_sees_what_another_process_added(
    filled: Library, photos: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A library that stays open answers with what was indexed meanwhile."""
    assert names(filled, Query("yellow"), min_score=0.99) == []
    with Library.open(tmp_path / "library", start=fake_engines) as writer:
        save_picture(photos / "yellow.jpg", "yellow")
        list(writer.index([photos]))
    assert names(filled, Query("yellow"), min_score=0.99) == ["yellow.jpg"]


def test_the_index_equals_brute_force(tmp_path: Path) -> None:
    """Ids and cosines are those of a plain matrix product, after adds, removals and a reload."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.permutation(10_000)[:500].astype(np.int64)
    index = VectorIndex(24)
    index.add(ids, vectors)
    index.remove(ids[:100])
    index = VectorIndex.open(index.save(tmp_path, "index"), 24)
    assert sorted(index.ids) == sorted(ids[100:])
    query = vectors[3]
    order = np.argsort(-(vectors[100:] @ query))[:20]
    assert [id for id, _ in index.search(query, 20)] == ids[100:][order].tolist()
    among = ids[100:200]
    order = np.argsort(-(vectors[100:200] @ query))[:20]
    assert [id for id, _ in index.search(query, 20, among)] == among[order].tolist()
    assert len(index.search(query, 20, among[:3])) == 3


def test_stored_vectors_are_half_precision_and_of_length_one() -> None:
    """Two bytes a number; the direction survives to a thousandth of a degree or so."""
    vector = np.random.default_rng(0).normal(size=512).astype(np.float32)
    vector /= np.linalg.norm(vector)
    assert len(pack_vector(vector)) == 1024
    (read,) = unpack_vectors([pack_vector(vector)], 512)
    assert np.linalg.norm(read) == pytest.approx(1, abs=1e-6)
    assert float(read @ vector) > 0.999999


def test_terms_are_added_up_by_weight(filled: Library, photos: Path) -> None:
    """A picture and words, wanted and unwanted, make one direction."""
    save_picture(photos / "yellow.jpg", "yellow")
    list(filled.index([photos]))
    red, green, blue = (Query(colour) for colour in ("red", "lime", "blue"))
    (first, *_) = filled.search([Term(red), Term(green)])
    assert Path(first.path).name == "yellow.jpg"
    (first, *_) = filled.search([Term(Query(image=photos / "yellow.jpg")), Term(red, -0.9)])
    assert Path(first.path).name == "green.png"
    (first, *_) = filled.search([Term(red, 0.1), Term(blue)])
    assert Path(first.path).name == "blue.jpg"


def test_terms_that_leave_nothing_are_an_error(filled: Library) -> None:
    """A sum of nothing points nowhere."""
    for terms in ([Term(Query("red")), Term(Query("red"), -1)], []):
        with pytest.raises(QueryError):
            filled.search(terms)


def test_dates_limit_the_search(opened: Library, tmp_path: Path, model: Path) -> None:
    """A month given as the end is included whole; of pictures without a date the file's counts."""
    for taken in ("2022:12:31 23:59:59", "2023:06:01 00:00:00", "2023:06:30 23:00:00", None):
        exif = Image.Exif()
        if taken:
            exif.get_ifd(0x8769)[0x9003] = taken
        name = (taken or "undated")[:10].replace(":", "-")
        save_picture(tmp_path / f"photos/{name}.jpg", "red", mark=len(name), exif=exif)
    index_folder(opened, tmp_path / "photos", model)
    dated = {"after": "2023", "before": "2023-06"}
    assert sorted(names(opened, Query("red"), **dated)) == ["2023-06-01.jpg", "2023-06-30.jpg"]
    assert names(opened, Query("red"), before="2022") == ["2022-12-31.jpg"]
    assert names(opened, Query("red"), after="2024") == ["undated.jpg"]
    assert names(opened, Query("red"), after="2024", taken=True) == []
    assert opened.load_overview().first_date == "2022-12-31"
    assert opened.load_overview().folders == ((str(tmp_path / "photos"), 4),)


def test_pages_join_without_gap_or_double(opened: Library, tmp_path: Path, model: Path) -> None:
    """Page after page gives the order of one long answer, however many scores are equal."""
    for number in range(23):
        save_picture(tmp_path / f"photos/{number:02}.png", "red", mark=4800 - number % 3)
        with (tmp_path / f"photos/{number:02}.png").open("ab") as file:
            file.write(bytes([number]))
    index_folder(opened, tmp_path / "photos", model)
    whole = names(opened, Query("red"), count=30)
    assert len(set(whole)) == 23
    pages = [names(opened, Query("red"), count=5, offset=offset) for offset in range(0, 30, 5)]
    assert [name for page in pages for name in page] == whole


def test_similar_pictures_need_no_engine(
    filled: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """An indexed picture's own vector is the question; it comes first."""
    (blue,) = filled.search(Query("blue"), SearchOptions(count=1))
    asked = len(fake_engines.started_engines[0].prompts)
    first, *rest = filled.similar(blue.image_id)
    assert (first.path, round(first.score, 3), len(rest)) == (blue.path, 1.0, 2)
    assert len(fake_engines.started_engines[0].prompts) == asked
    with pytest.raises(QueryError, match="no image 99"):
        filled.similar(99)
