"""The SQLite catalog of a library: the truth about images, files, collections and runs."""

from searchapp.catalog.catalog import Catalog, CatalogError
from searchapp.catalog.embeddings import Embedded
from searchapp.catalog.fingerprints import Filed, Fingerprints
from searchapp.catalog.image_files import Located
from searchapp.catalog.known_content import Lookup
from searchapp.catalog.outdated_metadata import Outdated
from searchapp.catalog.path_keys import frame_key
from searchapp.catalog.scan_diff import Plan, Seen, Work
from searchapp.catalog.sqlite_errors import raise_library_errors, stated
from searchapp.catalog.vector_stores import Stores

__all__ = [
    "Catalog", "CatalogError", "Embedded", "Filed", "Fingerprints", "Located", "Lookup", "Outdated",
    "Plan", "Seen", "Stores", "Work", "frame_key",
    "raise_library_errors", "stated",
]  # fmt: skip
