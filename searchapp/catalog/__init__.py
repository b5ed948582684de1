"""The SQLite catalog of a library: all images, files, collections, embeddings and index runs."""

# isort: off
from searchapp.catalog import import_sqlite_utils as import_sqlite_utils  # before sqlite_utils

# isort: on
from searchapp.catalog.catalog import Catalog, CatalogError
from searchapp.catalog.connection import interrupt_statements
from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.catalog.example_images import StoredExample
from searchapp.catalog.fingerprints import Fingerprints, ImageWithFiles
from searchapp.catalog.image_files import LocatedImage
from searchapp.catalog.known_content import EmbeddedImageLookup
from searchapp.catalog.outdated_metadata import OutdatedImage, RefreshedMetadata
from searchapp.catalog.path_keys import make_frame_key
from searchapp.catalog.recognized_texts import UnreadImage, UnreadScope
from searchapp.catalog.restore import open_backup, replace_catalog
from searchapp.catalog.scan_diff import FileTask, ScanDiff, ScanPlan
from searchapp.catalog.sqlite_errors import raise_library_errors, wrap_sqlite_errors
from searchapp.catalog.text_search import TextLevel, TextQuery, remove_quotes
from searchapp.catalog.vector_stores import VectorStores

__all__ = [
    "Catalog",
    "CatalogError",
    "CollectionEmbeddings",
    "EmbeddedImageLookup",
    "FileTask",
    "Fingerprints",
    "ImageWithFiles",
    "LocatedImage",
    "OutdatedImage",
    "RefreshedMetadata",
    "ScanDiff",
    "ScanPlan",
    "StoredExample",
    "TextLevel",
    "TextQuery",
    "UnreadImage",
    "UnreadScope",
    "VectorStores",
    "interrupt_statements",
    "make_frame_key",
    "open_backup",
    "raise_library_errors",
    "remove_quotes",
    "replace_catalog",
    "wrap_sqlite_errors",
]  # fmt: skip
