"""Fill a model's prompt templates for queries and for indexed pictures."""

from __future__ import annotations

import re
from pathlib import Path

from searchapp.errors import QueryError, UnsupportedModality
from searchapp.models.resolve import MODELS
from searchapp.models.spec import ModelSpec
from searchapp.types import Modality

SUM_HINT = (
    ". With any model, a text and a picture can be two terms of a sum: "
    "`searchapp query --text TEXT --image FILE`"
)


def make_query_prompt(spec: ModelSpec, modality: Modality, text: str | None) -> str:
    """Return the prompt of a query.

    Raises UnsupportedModality if the model cannot embed queries of this modality, and QueryError if
    the text contains the model's placeholder for a picture.
    """
    template = spec.prompts.get_prompt(modality)
    if template is None:
        capable = ", ".join(name for name, other in MODELS.items() if modality in other.modalities)
        has_both = {"text", "image"} <= set(spec.modalities)
        raise UnsupportedModality(
            f"Unsupported query modality: '{modality}'; the model {Path(spec.name).name} "
            f"supports {' or '.join(spec.modalities)}. Models that support '{modality}': {capable}"
            + (SUM_HINT if modality == "text+image" and has_both else "")
        )
    return _fill_template(spec, template, text)


def make_document_prompt(spec: ModelSpec) -> str:
    """Return the prompt that embeds a picture for the index."""
    return _fill_template(spec, spec.prompts.document, None)


def _fill_template(spec: ModelSpec, template: str, text: str | None) -> str:
    text = (text or "").strip()
    if spec.placeholder and spec.placeholder in text:
        raise QueryError(
            f"the text contains {spec.placeholder}, which stands for a picture; remove it "
            "from the text"
        )
    if spec.lower_text:
        text = text.lower()
    values = {"instruction": spec.instruction or "", "text": text}
    return re.sub(r"\{(instruction|text)\}", lambda match: values[match[1]], template)
