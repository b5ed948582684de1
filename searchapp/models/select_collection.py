"""Which collection is meant, and which model it is of: a collection remembers how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from searchapp import models
from searchapp.catalog import Catalog
from searchapp.errors import LibraryError, ModelError
from searchapp.models import ModelSpec
from searchapp.types import Collection, ExportHeader, IndexOptions, ModelOptions, SearchOptions


def get_collection(catalog: Catalog, name: str | None) -> Collection:
    """Return a collection by name; without, the one that was indexed completely last."""
    collections = catalog.list_collections()
    if not collections:
        raise LibraryError("the library holds no pictures yet; `searchapp index FOLDER`")
    for collection in collections:
        if name in (None, collection.name):
            return collection
    known = ", ".join(collection.name for collection in collections)
    raise LibraryError(f"no collection {name} in the library; there are {known}")


def select_for_search(catalog: Catalog, options: SearchOptions) -> tuple[Collection, ModelSpec]:
    """Return the collection to search, and its model as it was used for it."""
    model_options = ModelOptions(trust_remote_code=options.trust_remote_code)
    if options.model is None:
        collection = get_collection(catalog, options.collection)
        return collection, _get_collection_spec(collection, model_options)
    requested_spec = models.resolve_model(options.model)
    for collection in catalog.list_collections():
        if collection.model == requested_spec.name and options.collection in (
            None,
            collection.name,
        ):
            return collection, _get_collection_spec(collection, model_options)
    other = get_collection(catalog, options.collection)
    raise ModelError(
        f"nothing was indexed with {requested_spec.name}"
        + (f" in the collection {other.name}" if options.collection else "")
        + f"; its model is {other.model}. Index with --model {options.model} to have both"
    )


def select_for_indexing(
    catalog: Catalog, options: IndexOptions
) -> tuple[Collection | None, ModelSpec]:
    """Return the collection to add to, None where it is to be made, and its model."""
    collections = catalog.list_collections()
    if options.collection is not None:
        collections = [c for c in collections if c.name == options.collection]
    if options.model is None and collections:
        return collections[0], _get_collection_spec(collections[0], options.model_options)
    name = options.model or models.choose_default_model()
    requested_spec = models.resolve_model(name, options.model_options)
    for collection in collections:
        if collection.model == requested_spec.name:
            spec = models.resolve_model(name, _merge_options(collection, options.model_options))
            if _has_same_space(collection, spec):
                return collection, spec
    if options.collection is not None and collections:
        raise ModelError(
            f"the collection {options.collection} is of the model {collections[0].model}, not "
            f"{requested_spec.name} as it is now; choose another --collection name"
        )
    return None, requested_spec


def add_collection(catalog: Catalog, options: IndexOptions, spec: ModelSpec) -> Collection:
    """Make a collection for a model, named after it where no name is given."""
    used_names = {collection.name for collection in catalog.list_collections()}
    name = options.collection or _find_free_name(Path(spec.name).stem, used_names)
    settings = {"options": asdict(options.model_options), "space": spec.vector_space}
    return catalog.add_collection(
        name, spec.name, spec.revision, spec.dimensions, json.dumps(settings, sort_keys=True)
    )


def find_model_by_space(
    catalog: Catalog, name: str, revision: str, space: Mapping[str, Any]
) -> ModelSpec:
    """Return the model of the collection whose vectors are of a space; LibraryError."""
    for collection in catalog.list_collections():
        stored_space = json.loads(collection.settings)["space"]
        if (collection.model, collection.revision, stored_space) == (name, revision, space):
            return _get_collection_spec(collection, ModelOptions())
    raise LibraryError(f"no collection in the library is of {name}, as it is to embed")


def get_or_add_for_import(catalog: Catalog, header: ExportHeader, name: str | None) -> Collection:
    """Return the collection that exported vectors belong to, made where there is none.

    Nobody's trust in a model's code comes with a file.
    """
    settings = json.loads(header.settings)
    for collection in catalog.list_collections():
        if name in (None, collection.name):
            collection_key = (collection.model, collection.revision, collection.dimensions)
            same = json.loads(collection.settings)["space"] == settings["space"]
            if same and collection_key == (header.model, header.revision, header.dimensions):
                return collection
    used_names = {collection.name for collection in catalog.list_collections()}
    if name in used_names:
        raise LibraryError(
            f"the collection {name} is not of {header.model} as it was exported; choose another "
            "--collection name"
        )
    settings["options"]["trust_remote_code"] = False
    settings_json = json.dumps(settings, sort_keys=True)
    new = name or _find_free_name(Path(header.model).stem, used_names)
    return catalog.add_collection(
        new, header.model, header.revision, header.dimensions, settings_json
    )


def _find_free_name(base: str, used_names: set[str]) -> str:
    name, number = base, 2
    while name in used_names:
        name, number = f"{base}-{number}", number + 1
    return name


def remember_trust(catalog: Catalog, collection: Collection, options: IndexOptions) -> Collection:
    """Keep that the user trusts the model's code, so that it need not be said again."""
    settings = json.loads(collection.settings)
    if options.model_options.trust_remote_code and not settings["options"]["trust_remote_code"]:
        settings["options"]["trust_remote_code"] = True
        return catalog.set_settings(collection, json.dumps(settings, sort_keys=True))
    return collection


def _get_collection_spec(collection: Collection, options: ModelOptions) -> ModelSpec:
    """Return a collection's model; ModelError where it has changed, or is wanted otherwise."""
    spec = models.resolve_model(collection.model, _merge_options(collection, options))
    if not _has_same_space(collection, spec):
        raise ModelError(
            f"the model {spec.name}, or how it is used, has changed since the collection "
            f"{collection.name} was made with it; `searchapp index FOLDER --model {spec.name}` "
            "makes a new one"
        )
    return spec


def _merge_options(collection: Collection, options: ModelOptions) -> ModelOptions:
    """Return what the collection was made with, where the user does not say otherwise."""
    made_with = json.loads(collection.settings)["options"]
    explicit_options = {
        key: value for key, value in asdict(options).items() if value not in (None, False)
    }
    return ModelOptions(**{**made_with, **explicit_options})


def _has_same_space(collection: Collection, spec: ModelSpec) -> bool:
    """Tell whether the collection's vectors are of the same space as the model's."""
    ours = (spec.name, spec.revision, json.loads(json.dumps(spec.vector_space)))
    theirs = (collection.model, collection.revision, json.loads(collection.settings)["space"])
    return ours == theirs
