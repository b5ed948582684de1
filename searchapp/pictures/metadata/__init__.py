"""Metadata of pictures: EXIF, IPTC and XMP, embedded in the file or in an XMP sidecar."""

from searchapp.pictures.metadata.embedded_blocks import strip_png_pixels
from searchapp.pictures.metadata.merge_sources import (
    METADATA_READER_VERSION,
    apply_sidecar,
    extract_picture_info,
    fill_date_from_mtime,
)
from searchapp.pictures.metadata.sidecar import read_first_sidecar, read_sidecar

__all__ = [
    "METADATA_READER_VERSION",
    "apply_sidecar",
    "extract_picture_info",
    "fill_date_from_mtime",
    "read_first_sidecar",
    "read_sidecar",
    "strip_png_pixels",
]
