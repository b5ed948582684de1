"""Describe a model folder of a family by the family's known model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec


def adapt_spec(
    known: ModelSpec, folder: ModelFolder, text_config: Mapping[str, Any], dimensions: int
) -> ModelSpec:
    """Return the spec of a model folder: that of a known model, with the facts of the folder.

    text_config: the configuration of the language model, which may limit the length of a prompt.
    """
    limit = min(known.text_limit, text_config.get("max_position_embeddings", known.text_limit))
    return replace(
        known,
        name=folder.path,
        source=folder.path,
        revision=folder.fingerprint,
        dimensions=dimensions,
        licence="see the model card",
        weights_mb=folder.weights_mb,
        text_limit=limit,
        engine_arguments={**known.engine_arguments, "max_model_len": limit},
    )
