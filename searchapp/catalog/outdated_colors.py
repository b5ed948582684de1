"""Find the embeddings that were made with other colors than the decoder shows now."""

from __future__ import annotations

from sqlite_utils import Database

from searchapp.types import Collection


def last_outdated_sql(image_id: str) -> str:
    """Return an SQL expression: the highest id of an image's embeddings with other colors.

    image_id: an SQL expression. The value is 0 if the colors of the image have not changed.
    """
    return (
        "coalesce((select d.last_embedding from images c join decoders d"
        f" on d.version = c.colors_since where c.id = {image_id}), 0)"
    )


def count_outdated_colors(db: Database, collection: Collection) -> tuple[int, int]:
    """Return two counts of embeddings: with other colors, and not known yet whether so."""
    counts: dict[bool, int] = dict(
        db.execute(
            "select i.colors_since is null, count(*) from images i"
            " join embeddings e on e.image_id = i.id and e.collection_id = ?"
            " where i.colors_since is not 0 and e.id <= coalesce("
            "(select last_embedding from decoders where version = i.colors_since),"
            " (select max(last_embedding) from decoders where i.colors_since is null))"
            " group by 1",
            (collection.id,),
        ).fetchall()
    )
    return counts.get(False, 0), counts.get(True, 0)
