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
    Filter,
    Hit,
    Match,
    Place,
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
    for invalid in ({"where": "no_column = 1"}, {"place": "Atlantis"}):
        with pytest.raises(QueryError, match=r"no such column|Atlantis"):
            find(library, "nonsense", by="text", **invalid)
    assert len(fake_engines.started_engines) == started
    with pytest.raises(QueryError, match=r"takes 500 characters; .* or search in pictures, too"):
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


def set_place(library: Library, place: Place, *names: str) -> None:
    """Write the place of the pictures with these names, as an index run would."""
    catalog = library._catalog
    ids = catalog._db.execute(
        "select image_id from files where replace(path, rtrim(path, replace(path, '/', '')), '')"
        f" in ({', '.join('?' * len(names))})",
        names,
    ).fetchall()
    assert len(ids) == len(names)
    catalog.get_places().save_places("test", {id: place for (id,) in ids})


LISBON = Place("Lisbon", "Lisbon", "Portugal")


@pytest.fixture
def places(library: Library, tmp_path: Path, model: Path) -> Library:
    """The library with four more red pictures, of which the least red one is in Lisbon."""
    for number, value in enumerate((250, 240, 230, 200)):
        save_picture(tmp_path / f"pics/more/tone {number}.png", f"rgb({value}, 30, 30)")
    index_folder(library, tmp_path / "pics", model)
    set_place(library, LISBON, "tone 3.png", "IMG_2202.png", "IMG_2206.png")
    set_place(library, Place("Paris", "Île-de-France", "France"), "tone 0.png", "IMG_2203.png")
    set_place(library, Place("Paris", "Texas", "United States"), "tone 1.png")
    return library


def test_a_place_in_a_query_prefers_its_pictures(places: Library) -> None:
    """Those that the vector finds, too, come first; then others; it is no condition."""
    for text in ("red in Lisbon", "lisbon red", "red in LISBON portugal", "red, Lisbon!"):
        hits = find(places, text, count=99)
        assert names(hits)[0] == "tone 3", text
        assert len(hits) == 12
        assert hits[0].match == (Match("vector"), Match("place", "Lisbon, Portugal"))
        assert hits[0].score == find(places, "red", count=12)[4].score
    others = names(find(places, "red in Lisbon", by="vector", count=99))
    assert others.index("tone 3") == 4
    assert find(places, "red in Rome", count=99) == find(
        places, "red in Rome", by="vector", count=99
    )
    assert names(find(places, "red Texas"))[0] == "tone 1"
    assert set(names(find(places, "red in Paris"))[:2]) == {"tone 0", "tone 1"}
    assert names(find(places, "red Paris Texas"))[0] == "tone 1"
    assert set(names(find(places, "red Texas or Lisbon"))[:2]) == {"tone 1", "tone 3"}


def test_a_place_alone_comes_first_and_is_a_good_match(places: Library) -> None:
    """City, region and country; without accents; a word that is only a part does not."""
    for text, expected in (
        ("Portugal", {"tone 3", "IMG_2202", "IMG_2206"}),
        ("ile de france", {"tone 0", "IMG_2203"}),
        ("united states", {"tone 1"}),
    ):
        result = places.find(Query(f"{text}"), SearchOptions(by="text"))
        assert set(names(list(result.hits))) == expected
        assert {hit.score for hit in result.hits} == {1.0}
        assert result.good is True
    assert names(find(places, "white Texas", by="text")) == []


def test_pages_of_a_query_with_a_place_have_no_gaps(places: Library) -> None:
    """One ranking for every count and offset, also with a filter."""
    everything = find(places, "red in Lisbon", count=99)
    assert [
        hit for offset in range(0, 12, 5)
        for hit in find(places, "red in Lisbon", count=5, offset=offset)
    ] == everything  # fmt: skip
    in_place = find(places, "red in Lisbon", place="Lisbon")
    assert [hit.image_id for hit in in_place] == [
        hit.image_id for hit in everything if hit.city == "Lisbon"
    ]


def test_the_filter_by_place_takes_complete_names(places: Library) -> None:
    """Of a city, a region or a country, also with commas; other names are errors."""
    for place, expected in (
        ("lisbon", {"tone 3", "IMG_2202", "IMG_2206"}),
        ("Île-de-France", {"tone 0", "IMG_2203"}),
        ("ile de france", {"tone 0", "IMG_2203"}),
        ("Paris", {"tone 0", "tone 1", "IMG_2203"}),
        ("Paris, Texas", {"tone 1"}),
        ("paris,france", {"tone 0", "IMG_2203"}),
    ):
        assert set(names(find(places, "red", place=place))) == expected
    assert find(places, "red", place="Paris, Portugal") == []
    with pytest.raises(QueryError, match=r"taken in Lissabon; similar names are Lisbon\."):
        find(places, "red", place="Lissabon")
    with pytest.raises(QueryError, match="taken in States; similar names are United States"):
        find(places, "red", place="Paris, States")
    with pytest.raises(QueryError, match="no name is similar"):
        find(places, "red", place="Xyzzy")


def test_the_filter_by_place_says_if_no_place_is_known(library: Library) -> None:
    """The extra may be missing."""
    with pytest.raises(QueryError, match="no place has been looked up; see `searchapp docs filt"):
        find(library, "red", place="Lisbon")


def test_places_are_facets(places: Library) -> None:
    """A facet ignores the filter by place; the others obey it."""
    facets = places.count_facets(Filter(place="Portugal"))
    assert facets.images == 3
    assert dict(facets.place_names.values) == {
        "Lisbon": 3, "Portugal": 3, "Paris": 3, "Île-de-France": 2, "France": 2, "Texas": 1,
        "United States": 1,
    }  # fmt: skip
    assert facets.formats.values == (("png", 3),)


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
    """With the boxes of the words that match."""
    catalog: Catalog = library._catalog
    (hit,) = find(library, "IMG_2204", by="text")
    box = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
    lines = [TextLine("Invoice no. 4711", box, 0.9), TextLine("Thank you", (), 0.8)]
    with catalog.write_transaction():
        catalog.recognized_texts.save_outcomes([(hit.image_id, lines)], "reader 1")
    (found,) = find(library, "invoice 4711", by="text")
    (match,) = found.match
    assert (match.by, match.snippet) == ("text", "Invoice no. 4711")
    first, last = match.boxes  # of 16 letters: the first 7, and the last 4
    assert first == ((0.1, 0.1), (0.45, 0.1), (0.45, 0.2), (0.1, 0.2))
    assert last == ((0.7, 0.1), (0.9, 0.1), (0.9, 0.2), (0.7, 0.2))
    (phrase,) = find(library, '"invoice no. 4711"', by="text")
    assert phrase.match[0].boxes == (box,)
    assert names(find(library, '"invoice no. 4711" red')) == ["IMG_2204"]
    with catalog.write_transaction():
        catalog.recognized_texts.save_outcomes([(hit.image_id, lines[1:])], "reader 2")
    assert find(library, "invoice", by="text") == []
    assert names(find(library, "thank you", by="text")) == ["IMG_2204"]


def set_text(library: Library, name: str, text: str) -> None:
    """Write the text that a reader found in the picture with this name."""
    (hit,) = find(library, name, by="text")
    lines = [TextLine(text, (), 0.9)]
    library._catalog.recognized_texts.save_outcomes([(hit.image_id, lines)], "reader 1")


def test_a_complete_text_comes_before_a_longer_one(library: Library) -> None:
    """Also if the reader joined its words; whatever the vectors say."""
    set_text(library, "IMG_2200", "Harbor: red elevator")
    set_text(library, "IMG_2203", "ELEVATOR, RED")
    set_text(library, "IMG_2206", "REDELEVATOR")
    hits = find(library, "red elevator", count=3)
    assert names(hits) == ["IMG_2206", "IMG_2200", "IMG_2203"]
    assert [match.snippet for match in hits[0].match if match.by == "text"] == ["REDELEVATOR"]
    assert [h.score for h in find(library, "red elevator", by="text")] == [1.0, 0.9, 0.8]


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
