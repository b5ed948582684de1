"""What a shell completes: names that are cheap to know. Nothing is said where they are not."""

from __future__ import annotations

from contextlib import closing, suppress

import click


def complete_models(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of models; folders and files are completed where one is begun."""
    from searchapp import models

    return [spec.name for spec in models.list_available_models() if spec.name.startswith(prefix)]


def complete_collections(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of the library's collections."""
    with suppress(Exception):  # whatever is wrong with it, the shell is not the place to say so
        from searchapp.catalog import Catalog
        from searchapp.files.library_folder import catalog_file, resolve_library_folder

        # Library.info would count all files, which takes seconds where there are millions.
        file = catalog_file(resolve_library_folder(context.params.get("library")))
        with closing(Catalog.open(file)) as catalog:
            return [
                each.name for each in catalog.list_collections() if each.name.startswith(prefix)
            ]
    return []


def complete_formats(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of formats."""
    from searchapp.pictures.decode import FORMATS

    return [name for name in map(str.lower, FORMATS) if name.startswith(prefix.lower())]
