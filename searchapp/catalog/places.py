"""Store the names of the places where pictures were taken, and list positions without names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlite_utils import Database

from searchapp.catalog.transactions import write_transaction
from searchapp.types import PLACE_FIELDS, Place, PlacesInfo

PAGE_IMAGES = 5000
# Both conditions are ranges of an index: `gazetteer is not ?` would read all images.
_OUTDATED_SQL = (
    "latitude is not null and longitude is not null"
    " and (gazetteer is null or gazetteer < :gazetteer or gazetteer > :gazetteer)"
)

Position = tuple[float, float]  # degrees: latitude, north positive; longitude, east positive


class PlaceTable:
    """Read and write the names of places in the table images.

    gazetteer: name and version of the source of the names. A picture whose names come from another
    one is outdated.
    """

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def count_outdated(self, gazetteer: str) -> int:
        """Return the number of images with a position that this gazetteer has not named yet."""
        (count,) = self._db.execute(
            f"select count(*) from images where {_OUTDATED_SQL}", {"gazetteer": gazetteer}
        ).fetchone()
        return int(count)

    def read_pages(self, gazetteer: str) -> Iterator[dict[int, Position]]:
        """Yield the positions of outdated images, by image id; save each page before the next."""
        while page := {
            image_id: (latitude, longitude)
            for image_id, latitude, longitude in self._db.execute(
                f"select id, latitude, longitude from images where {_OUTDATED_SQL} limit :count",
                {"gazetteer": gazetteer, "count": PAGE_IMAGES},
            ).fetchall()
        }:
            yield page

    def save_places(self, gazetteer: str, places: Mapping[int, Place]) -> None:
        """Write the names of places by image id, in one transaction; all count as current."""
        columns = ", ".join(f"{name} = ?" for name in PLACE_FIELDS)
        with write_transaction(self._db):
            self._db.conn.executemany(
                f"update images set {columns}, gazetteer = ? where id = ?",
                (
                    (*(getattr(place, name) for name in PLACE_FIELDS), gazetteer, image_id)
                    for image_id, place in places.items()
                ),
            )
            self._db.execute("update changes set images = images + 1")

    def read_info(self) -> PlacesInfo:
        """Return how many images with a file have a position, and how many of these have a name."""
        positions, named, gazetteer = self._db.execute(
            "select count(*), count(country), max(gazetteer) from images"
            " where latitude is not null and id in (select image_id from files)"
        ).fetchone()
        return PlacesInfo(positions, named, gazetteer)
