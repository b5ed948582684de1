"""Return the names that a shell completes: models, collections and formats."""

from __future__ import annotations

from contextlib import closing, suppress

import click


def complete_models(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of models that begin with a prefix."""
    from searchapp import models

    return [spec.name for spec in models.list_available_models() if spec.name.startswith(prefix)]


def complete_collections(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of collections that begin with a prefix; no names after an error."""
    with suppress(Exception):  # A message would appear in the middle of the typed command.
        from searchapp.catalog import Catalog
        from searchapp.files.library_folder import catalog_file, resolve_library_folder

        # Library.info counts all files, which takes seconds in a library with millions.
        file = catalog_file(resolve_library_folder(context.params.get("library")))
        with closing(Catalog.open(file)) as catalog:
            return [
                each.name for each in catalog.list_collections() if each.name.startswith(prefix)
            ]
    return []


def complete_formats(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of picture formats that begin with a prefix."""
    from searchapp.pictures.decode import FORMATS

    return [name for name in map(str.lower, FORMATS) if name.startswith(prefix.lower())]
