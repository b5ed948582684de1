"""Choose the images whose files a zip contains, within its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from searchapp.catalog import LocatedImage
from searchapp.errors import QueryError
from searchapp.server.request_fields import ImageIdField
from searchapp.server.request_models import RequestFields

MAX_ZIP_PICTURES = 1000
MAX_ZIP_BYTES = 8 << 30


def split_ids(value: Any) -> Any:
    """Return a list from a parameter of ids with commas, which can be repeated."""
    values = value if isinstance(value, list) else [value]
    return [part for each in values for part in str(each).split(",")]


class ZipRequest(RequestFields):
    """Images whose files a zip contains."""

    ids: Annotated[
        list[ImageIdField],
        Field(min_length=1, max_length=MAX_ZIP_PICTURES, description="ids, as 7,9,12"),
        BeforeValidator(split_ids),
    ]


def choose_zip_images(
    image_ids: Sequence[int], found: dict[int, LocatedImage]
) -> tuple[list[LocatedImage], list[str]]:
    """Return the images to put into a zip, each file once, and why others are missing.

    Raises QueryError if the zip would be larger than MAX_ZIP_BYTES.
    """
    # Frames of one video have the same file.
    images = {found[id].video_id: found[id] for id in image_ids if id in found}
    total = sum(image.files[0].size for image in images.values())
    if total > MAX_ZIP_BYTES:
        raise QueryError(
            f"the files have {total / (1 << 30):.1f} GiB, and a zip can have "
            f"{MAX_ZIP_BYTES >> 30} GiB. Choose fewer pictures."
        )
    missing = [f"image {id}: the library has no file of it" for id in image_ids if id not in found]
    return list(images.values()), missing
