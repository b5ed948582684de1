"""Select a collection and its model, for searches, index runs and imports.

A collection stores its model and the options that its vectors depend on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from searchapp import models
from searchapp.catalog import Catalog
from searchapp.errors import LibraryError, ModelError
from searchapp.files.display_path import is_utf8
from searchapp.models import ModelSpec
from searchapp.types import Collection, ExportHeader, IndexOptions, ModelOptions, SearchOptions

logger = logging.getLogger(__name__)


def get_collection(catalog: Catalog, name: str | None) -> Collection:
    """Return a collection by name, or by default the one with the latest complete index run.

    Raises LibraryError if there is no such collection.
    """
    collections = catalog.list_collections()
    if not collections:
        raise LibraryError("the library holds no pictures yet; run `searchapp index FOLDER`")
    for collection in collections:
        if name in (None, collection.name):
            return collection
    names = ", ".join(collection.name for collection in collections)
    raise LibraryError(f"the library has no collection {name}; choose one of {names}")


def select_by_name(catalog: Catalog, options: SearchOptions) -> Collection:
    """Return the collection to search, whether its model can be used or not.

    Raises LibraryError if there is no such collection, or if it has no pictures.
    """
    if options.model is not None:
        return select_nonempty(catalog, options)[0]
    collection = get_collection(catalog, options.collection)
    _require_pictures(catalog, collection)
    return collection


def select_for_search(catalog: Catalog, options: SearchOptions) -> tuple[Collection, ModelSpec]:
    """Return the collection to search, and the spec of its model with its stored options.

    Raises LibraryError if the collection does not exist, and ModelError if its model cannot be
    used.
    """
    model_options = ModelOptions(trust_remote_code=options.trust_remote_code)
    if options.model is None:
        collection = get_collection(catalog, options.collection)
        return collection, _get_search_spec(collection, model_options)
    requested_spec = models.resolve_model(options.model)
    of_model = [
        collection
        for collection in catalog.list_collections()
        if collection.model == requested_spec.name and options.collection in (None, collection.name)
    ]
    if of_model:
        # A collection of an earlier revision of the model comes first until a run is complete.
        collection = next(
            (c for c in of_model if c.revision == requested_spec.revision), of_model[0]
        )
        return collection, _get_search_spec(collection, model_options)
    other = get_collection(catalog, options.collection)
    raise ModelError(
        f"no pictures were indexed with {requested_spec.name}; the collection {other.name} has the "
        f"model {other.model}. Leave out --model, or first run `searchapp index FOLDER --model "
        f"{options.model}`"
    )


def select_nonempty(catalog: Catalog, options: SearchOptions) -> tuple[Collection, ModelSpec]:
    """Select as select_for_search does; raise LibraryError if the collection has no pictures.

    A search calls it before it starts an engine, which takes long.
    """
    collection, spec = select_for_search(catalog, options)
    _require_pictures(catalog, collection)
    return collection, spec


def _require_pictures(catalog: Catalog, collection: Collection) -> None:
    if not catalog.get_embeddings(collection).read_extent().count:
        raise LibraryError(
            f"the collection {collection.name} holds no pictures yet; run `searchapp index FOLDER`"
        )


def select_for_indexing(
    catalog: Catalog, options: IndexOptions
) -> tuple[Collection | None, ModelSpec]:
    """Return the collection to add pictures to, and its model; None: create a collection.

    Raises ModelError if the model is unknown, or differs from the model of the collection that the
    user names.
    """
    collections = catalog.list_collections()
    if options.collection is not None:
        collections = [c for c in collections if c.name == options.collection]
    if options.model is None and collections:
        return collections[0], _get_collection_spec(collections[0], options.model_options)
    name = options.model or models.choose_default_model()
    if options.model is None:
        logger.info("Using the default model %s.", name)
    requested_spec = models.resolve_model(name, options.model_options)
    for collection in collections:
        if collection.model == requested_spec.name:
            spec = models.resolve_model(name, _merge_options(collection, options.model_options))
            if _has_same_space(collection, spec):
                return collection, spec
    if options.collection is not None and collections:
        raise ModelError(
            f"the collection {options.collection} was made with the model {collections[0].model}, "
            f"not with {requested_spec.name} and these options; choose another name with "
            "--collection NAME"
        )
    logger.info(
        "No collection has vectors of the model %s; creating a collection.", requested_spec.name
    )
    return None, requested_spec


def add_collection(catalog: Catalog, options: IndexOptions, spec: ModelSpec) -> Collection:
    """Create a collection for a model; the default name of the collection is the model's name."""
    used_names = {collection.name for collection in catalog.list_collections()}
    name = options.collection or _find_free_name(Path(spec.name).stem, used_names)
    for text in (name, spec.name):
        if not is_utf8(text):
            raise ModelError(
                f"{text} is not valid UTF-8, but the names of collections and models must be. "
                "Rename the folder of the model, or choose another name with --collection NAME."
            )
    settings = {"options": asdict(options.model_options), "space": spec.vector_space}
    return catalog.add_collection(
        name, spec.name, spec.revision, spec.dimensions, json.dumps(settings, sort_keys=True)
    )


def find_model_by_space(
    catalog: Catalog, name: str, revision: str, space: Mapping[str, Any]
) -> ModelSpec:
    """Return the model of a collection that has this model name, revision and vector space.

    space: as in ModelSpec.vector_space. Raises LibraryError if there is no such collection.
    """
    for collection in catalog.list_collections():
        stored_space = json.loads(collection.settings)["space"]
        if (collection.model, collection.revision, stored_space) == (name, revision, space):
            return _get_search_spec(collection, ModelOptions())
    raise LibraryError(
        f"no collection in the library has vectors of the model {name} with these "
        "options; first index pictures with this model and these options"
    )


def get_or_add_for_import(catalog: Catalog, header: ExportHeader, name: str | None) -> Collection:
    """Return the collection for the vectors of an export; create it if none matches.

    A new collection never trusts the model's own code: only a user of this machine can allow it.
    Raises LibraryError if the collection with this name has vectors of another vector space.
    """
    settings = json.loads(header.settings)
    for collection in catalog.list_collections():
        if name in (None, collection.name):
            collection_key = (collection.model, collection.revision, collection.dimensions)
            is_same_space = json.loads(collection.settings)["space"] == settings["space"]
            if is_same_space and collection_key == (
                header.model,
                header.revision,
                header.dimensions,
            ):
                return collection
    used_names = {collection.name for collection in catalog.list_collections()}
    if name in used_names:
        raise LibraryError(
            f"the vectors of the collection {name} and of the export (model {header.model}) were "
            "not made in the same way; choose another name with --collection NAME"
        )
    settings["options"]["trust_remote_code"] = False
    settings_json = json.dumps(settings, sort_keys=True)
    new_name = name or _find_free_name(Path(header.model).stem, used_names)
    return catalog.add_collection(
        new_name, header.model, header.revision, header.dimensions, settings_json
    )


def _find_free_name(base: str, used_names: set[str]) -> str:
    name, number = base, 2
    while name in used_names:
        name, number = f"{base}-{number}", number + 1
    return name


def remember_trust(catalog: Catalog, collection: Collection, options: IndexOptions) -> Collection:
    """Store in the collection that the user trusts the model's code; return the collection."""
    settings = json.loads(collection.settings)
    if options.model_options.trust_remote_code and not settings["options"]["trust_remote_code"]:
        settings["options"]["trust_remote_code"] = True
        return catalog.set_settings(collection, json.dumps(settings, sort_keys=True))
    return collection


def _get_collection_spec(collection: Collection, options: ModelOptions) -> ModelSpec:
    """Return the spec of a collection's model, with options.

    Raises ModelError if this model with these options no longer makes vectors that fit the
    collection: its weights are of another revision, or searchapp uses it in another way.
    """
    spec = models.resolve_model(collection.model, _merge_options(collection, options))
    if collection.revision != spec.revision:
        raise ModelError(
            f"the collection {collection.name} was made with another revision of the model "
            f"{spec.name} ({collection.revision}; now {spec.revision}), so its vectors cannot be "
            f"compared with new ones; run `searchapp index FOLDER --model {spec.name}` to embed "
            "the pictures again, in a new collection"
        )
    if not _has_same_space(collection, spec):
        raise ModelError(
            f"the collection {collection.name} was made by a version of searchapp that used the "
            f"model {spec.name} in another way, so its vectors cannot be compared with new ones; "
            f"run `searchapp index FOLDER --model {spec.name}` to embed the pictures again, in a "
            "new collection"
        )
    return spec


def _get_search_spec(collection: Collection, options: ModelOptions) -> ModelSpec:
    """Return the spec of a collection's model for queries.

    Vectors of FP8 can be searched on any machine: computed otherwise, a query hardly differs.
    """
    spec = _get_collection_spec(collection, options)
    if spec.precision is not None and not models.computes_fp8():
        logger.info(
            "Embedding queries in the usual precision: no GPU here computes %s", spec.precision
        )
        spec = replace(spec, precision=None)
    return spec


def _merge_options(collection: Collection, options: ModelOptions) -> ModelOptions:
    """Return the stored model options of a collection; options set by the user replace them."""
    stored_options = json.loads(collection.settings)["options"]
    explicit_options = {
        key: value for key, value in asdict(options).items() if value not in (None, False)
    }
    return ModelOptions(**{**stored_options, **explicit_options})


def _has_same_space(collection: Collection, spec: ModelSpec) -> bool:
    """Return whether vectors of the collection and of the model can be compared."""
    spec_space = (spec.name, spec.revision, json.loads(json.dumps(spec.vector_space)))
    collection_space = (
        collection.model,
        collection.revision,
        json.loads(collection.settings)["space"],
    )
    return spec_space == collection_space
