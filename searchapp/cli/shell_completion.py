"""Return the names that a shell completes: models, collections, saved searches and formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from searchapp.catalog import Catalog
    from searchapp.types import Collection, SavedSearch


def complete_models(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of models that begin with a prefix."""
    from searchapp import models

    return [spec.name for spec in models.list_available_models() if spec.name.startswith(prefix)]


def complete_collections(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of collections that begin with a prefix; no names after an error."""
    return _complete_from_catalog(context, prefix, lambda catalog: catalog.list_collections())


def complete_saved(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of saved searches that begin with a prefix; no names after an error."""
    return _complete_from_catalog(
        context, prefix, lambda catalog: catalog.get_saved_searches().list_searches()
    )


def _complete_from_catalog(
    context: click.Context,
    prefix: str,
    list_named: Callable[[Catalog], Sequence[Collection | SavedSearch]],
) -> list[str]:
    """Return the names of what list_named returns that begin with a prefix."""
    with suppress(Exception):  # A message would appear in the middle of the typed command.
        from searchapp.catalog import Catalog
        from searchapp.files.library_folder import catalog_file, resolve_library_folder

        # Library.info counts all files, which takes seconds in a library with millions.
        file = catalog_file(resolve_library_folder(context.params.get("library")))
        with closing(Catalog.open(file)) as catalog:
            return [each.name for each in list_named(catalog) if each.name.startswith(prefix)]
    return []


def complete_formats(context: click.Context, option: click.Parameter, prefix: str) -> list[str]:
    """Return the names of picture formats that begin with a prefix."""
    from searchapp.pictures.decode import FORMATS

    return [name for name in map(str.lower, FORMATS) if name.startswith(prefix.lower())]
