"""Metadata of pictures: EXIF, IPTC and XMP, embedded in the file or in a sidecar."""

from searchapp.pictures.metadata.embedded_blocks import strip_png_pixels
from searchapp.pictures.metadata.merge_sources import (
    METADATA_READER_VERSION,
    apply_sidecar,
    extract_picture_info,
    fill_date_from_mtime,
    fill_from_takeout,
)
from searchapp.pictures.metadata.sidecar import apply_sidecars
from searchapp.pictures.metadata.unread_blocks import note_unread_blocks

__all__ = [
    "METADATA_READER_VERSION",
    "apply_sidecar",
    "apply_sidecars",
    "extract_picture_info",
    "fill_date_from_mtime",
    "fill_from_takeout",
    "note_unread_blocks",
    "strip_png_pixels",
]
