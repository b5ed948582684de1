"""Searches through the library with a fake engine, and the FAISS index file."""

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


def search_names(library: Library, query: Query, **options: object) -> list[str]:
    return [Path(hit.path).name for hit in library.search(query, SearchOptions(**options))]


def test_an_indexed_picture_finds_itself_first(filled: Library, photos: Path) -> None:
    """Its score is nearly 1: storing float16 costs little precision."""
    (first, *rest) = filled.search(Query(image=photos / "green.png"))
    assert Path(first.path).name == "green.png"
    assert first.score > 0.999
    assert (first.width, first.height, len(first.sha256)) == (80, 60, 64)
    assert all(hit.score < first.score for hit in rest)


def test_hits_are_sorted_and_limited_by_count(filled: Library) -> None:
    """A count above the number of images returns all of them."""
    assert search_names(filled, Query("blue"), count=1) == ["blue.jpg"]
    hits = filled.search(Query("blue"), SearchOptions(count=99))
    assert len(hits) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_folder_filter_limits_the_search(filled: Library, photos: Path) -> None:
    """The nearest images below the folder are found, although others are nearer."""
    save_picture(photos / "below/second.jpg", "yellow")
    list(filled.index([photos]))
    assert search_names(filled, Query("red"), count=2, folder=photos / "below") == [
        "second.jpg",
        "blue.jpg",
    ]
    assert search_names(filled, Query("red"), folder=photos / "nowhere") == []


def test_a_file_below_the_folder_comes_first(filled: Library, photos: Path) -> None:
    """Of several files with the same picture."""
    (photos / "below" / "red copy.jpg").write_bytes((photos / "red.jpg").read_bytes())
    list(filled.index([photos]))
    (hit, *_) = filled.search(Query("red"), SearchOptions(folder=photos / "below"))
    assert Path(hit.path).name == "red copy.jpg"
    assert [Path(path).name for path in hit.also] == ["red.jpg"]


def test_min_score_limits_the_hits(filled: Library) -> None:
    """Hits with a lower score are left out."""
    assert search_names(filled, Query("red"), min_score=0.99) == ["red.jpg"]
    assert search_names(filled, Query("red"), min_score=1.01) == []


def test_vanished_files_do_not_cost_hits(opened: Library, tmp_path: Path, model: Path) -> None:
    """The best existing files are found, although nearer ones vanished since the last run."""
    for number in range(60):
        save_picture(tmp_path / f"photos/{number:02}.png", "red", mark=number + 1)
    index_folder(opened, tmp_path / "photos", model)
    for number in range(55):
        (tmp_path / f"photos/{number:02}.png").unlink()
    assert sorted(search_names(opened, Query("red"), count=5)) == [
        f"{n}.png" for n in range(55, 60)
    ]


def test_a_query_needs_content(filled: Library) -> None:
    """A query without text and picture, or with blanks only, is an error."""
    for query in (Query(), Query(""), Query("  \n")):
        with pytest.raises(QueryError, match="nothing to look for"):
            filled.search(query)


def test_clip_refuses_text_and_picture_together(
    filled: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """The message is that of vLLM's example, and no engine is started."""
    started = len(fake_engines.started_engines)
    with pytest.raises(UnsupportedModality, match=r"^Unsupported query modality: 'text\+image'"):
        filled.search(Query("red", photos / "red.jpg"))
    assert len(fake_engines.started_engines) == started


def test_an_unreadable_query_picture_is_an_error(filled: Library, tmp_path: Path) -> None:
    """The message names the picture and the reason."""
    (tmp_path / "text.jpg").write_text("no picture")
    for name, reason in (("text.jpg", "not a picture"), ("none.jpg", "No such file")):
        with pytest.raises(PictureError, match=f"{name}: .*{reason}"):
            filled.search(Query(image=tmp_path / name))


def test_a_query_that_the_model_refuses_is_an_error(filled: Library) -> None:
    """It does not return an empty result."""
    with pytest.raises(QueryError, match="does not take this query: no color in 'nonsense'"):
        filled.search(Query("nonsense"))


def test_an_empty_or_missing_library_is_an_error(opened: Library, tmp_path: Path) -> None:
    """The message names the command that indexes a folder."""
    with pytest.raises(LibraryError, match="holds no pictures yet"):
        opened.search(Query("red"))
    message = r"no library at .*nowhere\. Run `searchapp index FOLDER`"
    with pytest.raises(LibraryError, match=message):
        Library.open(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["delete", "truncate", "garbage", "other"])
def test_a_lost_or_broken_index_file_is_rebuilt(
    filled: Library, tmp_path: Path, damage: str, fake_engines: FakeEngines
) -> None:
    """It is rebuilt from the vectors in the catalog, without an engine."""
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
        assert search_names(again, Query("green"), count=1) == ["green.png"]
        list(again.index([tmp_path / "photos"]))
    assert fake_engines.embedded_count == before


def test_old_index_files_are_removed(filled: Library, photos: Path, tmp_path: Path) -> None:
    """One file remains for each collection, even after crashed runs."""
    (tmp_path / "library" / "collection-1-dead.tmp").touch()
    save_picture(photos / "yellow.jpg", "yellow")
    list(filled.index([photos]))
    assert len(list((tmp_path / "library").glob("collection-*"))) == 1


def test_an_open_library_sees_new_pictures(
    filled: Library, photos: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A second writer adds a picture, and the open library finds it."""
    assert search_names(filled, Query("yellow"), min_score=0.99) == []
    with Library.open(tmp_path / "library", start=fake_engines) as writer:
        save_picture(photos / "yellow.jpg", "yellow")
        list(writer.index([photos]))
    assert search_names(filled, Query("yellow"), min_score=0.99) == ["yellow.jpg"]


def test_the_index_equals_an_exhaustive_search(tmp_path: Path) -> None:
    """Ids and cosines equal those of a matrix product, after add, remove and reload."""
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
    """Two bytes for each number; the direction changes by about 0.001 degrees."""
    vector = np.random.default_rng(0).normal(size=512).astype(np.float32)
    vector /= np.linalg.norm(vector)
    assert len(pack_vector(vector)) == 1024
    (read,) = unpack_vectors([pack_vector(vector)], 512)
    assert np.linalg.norm(read) == pytest.approx(1, abs=1e-6)
    assert float(read @ vector) > 0.999999


def test_terms_are_summed_by_weight(filled: Library, photos: Path) -> None:
    """Pictures and texts with positive and negative weights give one vector."""
    save_picture(photos / "yellow.jpg", "yellow")
    list(filled.index([photos]))
    red, green, blue = (Query(color) for color in ("red", "lime", "blue"))
    (first, *_) = filled.search([Term(red), Term(green)])
    assert Path(first.path).name == "yellow.jpg"
    (first, *_) = filled.search([Term(Query(image=photos / "yellow.jpg")), Term(red, -0.9)])
    assert Path(first.path).name == "green.png"
    (first, *_) = filled.search([Term(red, 0.1), Term(blue)])
    assert Path(first.path).name == "blue.jpg"


def test_terms_that_cancel_out_are_an_error(filled: Library) -> None:
    """A zero vector has no direction."""
    for terms in ([Term(Query("red")), Term(Query("red"), -1)], []):
        with pytest.raises(QueryError):
            filled.search(terms)


def test_date_filters_limit_the_search(opened: Library, tmp_path: Path, model: Path) -> None:
    """An end month is included; pictures without a date use the date of the file."""
    for taken in ("2022:12:31 23:59:59", "2023:06:01 00:00:00", "2023:06:30 23:00:00", None):
        exif = Image.Exif()
        if taken:
            exif.get_ifd(0x8769)[0x9003] = taken
        name = (taken or "undated")[:10].replace(":", "-")
        save_picture(tmp_path / f"photos/{name}.jpg", "red", mark=len(name), exif=exif)
    index_folder(opened, tmp_path / "photos", model)
    dated = {"after": "2023", "before": "2023-06"}
    assert sorted(search_names(opened, Query("red"), **dated)) == [
        "2023-06-01.jpg",
        "2023-06-30.jpg",
    ]
    assert search_names(opened, Query("red"), before="2022") == ["2022-12-31.jpg"]
    assert search_names(opened, Query("red"), after="2024") == ["undated.jpg"]
    assert search_names(opened, Query("red"), after="2024", taken=True) == []
    assert opened.load_overview().first_date == "2022-12-31"
    assert opened.load_overview().folders == ((str(tmp_path / "photos"), 4),)


def test_pages_have_no_gaps_or_duplicates(opened: Library, tmp_path: Path, model: Path) -> None:
    """All pages together equal one long result, even with many equal scores."""
    for number in range(23):
        save_picture(tmp_path / f"photos/{number:02}.png", "red", mark=4800 - number % 3)
        with (tmp_path / f"photos/{number:02}.png").open("ab") as file:
            file.write(bytes([number]))
    index_folder(opened, tmp_path / "photos", model)
    all_names = search_names(opened, Query("red"), count=30)
    assert len(set(all_names)) == 23
    pages = [
        search_names(opened, Query("red"), count=5, offset=offset) for offset in range(0, 30, 5)
    ]
    assert [name for page in pages for name in page] == all_names


def test_similar_pictures_need_no_engine(
    filled: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """The stored vector of the picture is the query; the picture is the first hit."""
    (blue,) = filled.search(Query("blue"), SearchOptions(count=1))
    asked = len(fake_engines.started_engines[0].prompts)
    first, *rest = filled.similar(blue.image_id)
    assert (first.path, round(first.score, 3), len(rest)) == (blue.path, 1.0, 2)
    assert len(fake_engines.started_engines[0].prompts) == asked
    with pytest.raises(QueryError, match="no image 99"):
        filled.similar(99)
