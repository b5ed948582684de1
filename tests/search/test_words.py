"""Searches by words in names and captions, alone and fused with vectors."""

from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.catalog import Catalog
from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.search.fusion import fuse_rankings
from searchapp.types import (
    Hit,
    Match,
    Query,
    SearchOptions,
    Term,
    TextLine,
)

COLORS = ("red", "green", "blue", "yellow", "cyan", "black", "white", "gray")


@pytest.fixture
def library(opened: Library, tmp_path: Path, model: Path) -> Library:
    """Pictures of one color each, named IMG_2200.png to IMG_2207.png, in folders by number."""
    for number, color in enumerate(COLORS):
        save_picture(tmp_path / f"pics/trip {number % 2}/IMG_{2200 + number}.png", color)
    index_folder(opened, tmp_path / "pics", model)
    return opened


def set_title(library: Library, name: str, title: str) -> None:
    """Write the title of the picture with this name, as a sidecar would."""
    catalog = library._catalog
    with catalog.write_transaction() as db:
        db.execute(
            "update images set title = ? where id = (select image_id from files where path like ?)",
            (title, f"%/{name}"),
        )


def find(library: Library, text: str, **options: object) -> list[Hit]:
    return library.search(Query(text), SearchOptions(**options))  # type: ignore[arg-type]


def names(hits: list[Hit]) -> list[str]:
    return [Path(hit.path).stem for hit in hits]


def colors(hits: list[Hit]) -> list[str]:
    return [COLORS[int(name.removeprefix("IMG_")) - 2200] for name in names(hits)]


def test_a_name_comes_first_and_is_a_good_match(library: Library) -> None:
    """Whatever the vectors say; the score stays the cosine."""
    by_vector = find(library, "red 2202", by="vector")
    result = library.find(Query("red 2202"), SearchOptions())
    assert colors(by_vector)[0] == "red"
    assert names(list(result.hits)) == names(by_vector)  # No picture has both words.
    (first, *_) = hits = find(library, "red IMG_2202", by="both")
    assert colors(hits) == colors(by_vector)
    set_title(library, "IMG_2202.png", "Not red at all")
    result = library.find(Query("red 2202"), SearchOptions(count=3))
    first = result.hits[0]
    assert names([first]) == ["IMG_2202"]
    assert result.good is True
    assert first.score == next(h.score for h in by_vector if h.image_id == first.image_id)
    assert [match.by for match in first.match] == ["vector", "name", "caption"]
    assert first.match[1:] == (Match("name", "IMG_2202.png"), Match("caption", "Not red at all"))


def test_words_in_no_text_leave_the_ranking_as_it_is(library: Library) -> None:
    """Also the reasons of the hits: only the vector."""
    both, vector = find(library, "red sky"), find(library, "red sky", by="vector")
    assert both == vector
    assert {match for hit in both for match in hit.match} == {Match("vector")}


def test_a_search_by_text_starts_no_engine(library: Library, fake_engines: FakeEngines) -> None:
    """Its scores tell how well the words match: the complete name is best."""
    set_title(library, "IMG_2207.png", "img 2203 and more")
    started = len(fake_engines.started_engines)
    hits = find(library, "img_2203", by="text")
    assert names(hits) == ["IMG_2203", "IMG_2207"]
    assert [hit.score for hit in hits] == [1.0, 0.9]
    hits = find(library, "220", by="text")
    assert sorted(names(hits)) == [f"IMG_{n}" for n in range(2200, 2208)]
    assert find(library, "220", by="text", count=3, offset=6) == hits[6:]
    assert find(library, "nonsense", by="text") == []
    assert len(fake_engines.started_engines) == started
    with pytest.raises(QueryError, match="too long for a search by text, which takes 500 char"):
        find(library, "red " * 200, by="text")
    long_text = 'red "boat" ' * 100
    assert find(library, long_text, truncate=True) == find(
        library, long_text, truncate=True, by="vector"
    )
    with pytest.raises(QueryError, match="a search by text needs words"):
        library.search(Query(image="x.jpg"), SearchOptions(by="text"))
    with pytest.raises(QueryError, match="a search by text needs words"):
        library.search([Term(Query("a"), -1.0)], SearchOptions(by="text"))


def test_a_quoted_phrase_must_occur(library: Library) -> None:
    """In every hit, of both kinds of search; the vector orders the hits."""
    set_title(library, "IMG_2201.png", "Big boat")
    set_title(library, "IMG_2200.png", "The big boat")
    set_title(library, "IMG_2203.png", "boat, big")
    assert names(find(library, 'red "big boat"')) == ["IMG_2200", "IMG_2201"]
    assert names(find(library, 'green "big boat"')) == ["IMG_2201", "IMG_2200"]
    assert names(find(library, '"big boat"', by="text")) == ["IMG_2201", "IMG_2200"]
    assert find(library, 'red "small boat"') == []
    assert names(find(library, 'red "big boat"', by="vector"))[0] == "IMG_2200"
    assert len(find(library, 'red "big boat"', by="vector")) == 8


def test_filters_hold_for_words(library: Library, tmp_path: Path) -> None:
    """For a name, a phrase and a search by text."""
    folder = tmp_path / "pics/trip 1"
    assert colors(find(library, "red", folder=folder))[0] != "red"
    assert names(find(library, "IMG_2202", by="text", folder=folder)) == []
    assert names(find(library, "IMG_2203", by="text", folder=folder)) == ["IMG_2203"]
    set_title(library, "IMG_2202.png", "a red boat")
    assert "IMG_2202" not in names(find(library, "red boat", folder=folder))
    assert names(find(library, 'red "boat"', folder=folder)) == []
    assert names(find(library, "red boat", format="png"))[0] == "IMG_2202"
    assert find(library, "red boat", format="jpeg") == []


def test_words_and_vectors_are_fused(library: Library) -> None:
    """Single words are fused by reciprocal rank; the nearest picture stays near the top."""
    set_title(library, "IMG_2207.png", "Red")  # a complete title: first
    assert colors(find(library, "red"))[:2] == ["gray", "red"]
    set_title(library, "IMG_2207.png", "My red thing")
    assert set(colors(find(library, "red"))[:2]) == {"gray", "red"}


def test_pages_of_a_fused_ranking_have_no_gaps(library: Library) -> None:
    """One ranking for every count and offset."""
    for number in (2, 5, 6):
        set_title(
            library, f"IMG_{2200 + number}.png", ("my red one", "red", "the red boat")[number % 3]
        )
    everything = [hit.image_id for hit in find(library, "red", count=99)]
    assert len(set(everything)) == 8
    for count in (1, 2, 3):
        pages = [find(library, "red", count=count, offset=n) for n in range(0, 8, count)]
        assert [hit.image_id for page in pages for hit in page] == everything


def test_min_score_limits_hits_by_words_too(library: Library) -> None:
    """A number is a bound of the cosine, or of the score of a search by text."""
    set_title(library, "IMG_2202.png", "red boat")
    scores = {name: hit.score for hit in find(library, "red boat") for name in names([hit])}
    limit = (scores["IMG_2202"] + scores["IMG_2200"]) / 2
    assert "IMG_2202" not in names(find(library, "red boat", min_score=limit))
    assert names(find(library, "img_22", by="text", min_score=0.7)) == []
    assert names(find(library, "img_2203", by="text", min_score="auto")) == ["IMG_2203"]


def test_recognized_text_is_found_and_shown(library: Library) -> None:
    """With the boxes of the lines that match."""
    catalog: Catalog = library._catalog
    (hit,) = find(library, "IMG_2204", by="text")
    box = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
    lines = [TextLine("Invoice no. 4711", box, 0.9), TextLine("Thank you", (), 0.8)]
    with catalog.write_transaction():
        catalog.writer.save_recognized_text(hit.image_id, lines, "reader 1")
    (found,) = find(library, "invoice 4711", by="text")
    assert found.match == (Match("text", "Invoice no. 4711", (box,)),)
    assert names(find(library, '"invoice no. 4711" red')) == ["IMG_2204"]
    with catalog.write_transaction():
        catalog.writer.save_recognized_text(hit.image_id, lines[1:], "reader 2")
    assert find(library, "invoice", by="text") == []
    assert names(find(library, "thank you", by="text")) == ["IMG_2204"]


def test_a_copy_with_the_name_comes_first(library: Library, tmp_path: Path) -> None:
    """Of the files of a hit."""
    source = tmp_path / "pics/trip 0/IMG_2200.png"
    (tmp_path / "pics/a long name for scan 17.png").write_bytes(source.read_bytes())
    list(library.index([tmp_path / "pics"]))
    (hit,) = find(library, "scan 17", by="text")
    assert Path(hit.path).name == "a long name for scan 17.png"
    assert hit.also == (str(source),)


def test_long_captions_are_cut_around_the_words(library: Library) -> None:
    """The snippet has at most about 100 characters."""
    set_title(library, "IMG_2200.png", f"{'lorem ' * 60}harbor at night {'ipsum ' * 60}")
    (hit,) = find(library, "harbor", by="text")
    snippet = hit.match[0].snippet or ""
    assert "harbor at night" in snippet
    assert len(snippet) <= 102
    assert snippet[0] == snippet[-1] == "…"


def test_reciprocal_rank_fusion() -> None:
    """Images in both rankings come first; equal sums go to the text."""
    nearest = [(1, 0.9), (2, 0.8), (3, 0.7)]
    assert fuse_rankings(nearest, []) == nearest
    assert fuse_rankings(nearest, [(3, 0.7), (9, 0.1)]) == [
        (3, 0.7), (1, 0.9), (9, 0.1), (2, 0.8),
    ]  # fmt: skip
