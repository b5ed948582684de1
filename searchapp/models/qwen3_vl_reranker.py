"""Qwen3-VL-Reranker models: score from 0 to 1 how well a picture answers a question.

The model reads the question and the picture together, and answers "yes" or "no". The score is the
probability of "yes" among both answers.
"""

from __future__ import annotations

import os
from dataclasses import replace

from searchapp.errors import ModelError, QueryError
from searchapp.files.enter_path import enter_path, has_entered_folder
from searchapp.models import local_folder, qwen3_vl, qwen_vl
from searchapp.models.adapt_spec import adapt_spec
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.types import ModelOptions

ARCHITECTURE = "Qwen3VLForSequenceClassification"
# The prompt with which the model was trained; without it, all scores are near 0.5. A question or a
# document is its picture, followed by its text. Source: scripts/qwen3_vl_reranker.py in
# https://huggingface.co/Qwen/Qwen3-VL-Reranker-2B/tree/4bd860ac4f15ad1897a214615cccc700f8f71818
BEFORE_QUESTION = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: Given a search query, retrieve relevant candidates that answer "
    "the query.<Query>:"
)
BEFORE_DOCUMENT = "\n<Document>:"
AFTER_DOCUMENT = "<|im_end|>\n<|im_start|>assistant\n"
# The same prompt as a chat template, with which a vLLM server fills in question and document.
_CONTENT = "{{{{ (messages | selectattr('role', 'equalto', '{}') | first)['content'] }}}}"
CHAT_TEMPLATE = (
    BEFORE_QUESTION
    + _CONTENT.format("query")
    + BEFORE_DOCUMENT
    + _CONTENT.format("document")
    + AFTER_DOCUMENT
    + "\n"  # Jinja removes one line feed at the end of a template.
)
# Makes vLLM load the language model as a classifier with the weights of the two answers.
HF_OVERRIDES = {
    "architectures": [ARCHITECTURE],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
}
MAX_PICTURE_TOKENS = 1280  # as in the model's own script
DEFAULT_RERANKER = "qwen3-vl-reranker-2b"


def make_rerank_prompt(
    text: str | None, *, has_picture: bool, document: str = qwen3_vl.IMAGE_PLACEHOLDER
) -> str:
    """Return the prompt of a question: a text, a picture, or both; the document is a picture.

    document: the text of the document instead. Raises QueryError if the text of the question
    contains the placeholder of a picture.
    """
    text = (text or "").strip()
    if "<|image_pad|>" in text:
        raise QueryError(
            "the text contains <|image_pad|>, which stands for a picture; remove it from the text"
        )
    question = (qwen3_vl.IMAGE_PLACEHOLDER if has_picture else "") + text
    return BEFORE_QUESTION + question + BEFORE_DOCUMENT + document + AFTER_DOCUMENT


def _with_tied_weights(spec: ModelSpec, *, is_tied: bool) -> ModelSpec:
    """Return the spec that tells vLLM whether the answers have the weights of the input tokens.

    transformers 5 leaves this out of the configuration of the language model, where vLLM reads it.
    """
    overrides = {**HF_OVERRIDES, "text_config": {"tie_word_embeddings": is_tied}}
    arguments = {**spec.engine_arguments, "hf_overrides": overrides}
    return replace(spec, engine_arguments=arguments)


def _make_spec(
    name: str, source: str, revision: str, weights_mb: int, *, is_tied: bool
) -> ModelSpec:
    spec = qwen_vl.make_spec(
        name, source, revision, 1, weights_mb, architecture=ARCHITECTURE,
        prompts=Prompts(make_rerank_prompt("picture", has_picture=False)),
        token_side=qwen3_vl.TOKEN_SIDE_PX,
    )  # fmt: skip
    max_pixels = MAX_PICTURE_TOKENS * qwen3_vl.TOKEN_SIDE_PX**2
    spec = qwen3_vl.apply_picture_options(spec, ModelOptions(max_pixels=max_pixels))
    return _with_tied_weights(spec, is_tied=is_tied)


RERANKERS = {
    spec.name: spec
    for spec in (
        _make_spec(DEFAULT_RERANKER, "Qwen/Qwen3-VL-Reranker-2B",
              "4bd860ac4f15ad1897a214615cccc700f8f71818", 4260, is_tied=True),
        _make_spec("qwen3-vl-reranker-8b", "Qwen/Qwen3-VL-Reranker-8B",
              "b212dc8c91a8164aef1ea2de9c1a867611e75c04", 17540, is_tied=False),
    )
}  # fmt: skip


def resolve_reranker(name: str) -> ModelSpec:
    """Return the spec of a reranker: a known name, its repository, or a folder on disk.

    Raises ModelError if there is no such reranker, or if a folder has another architecture.
    """
    short_name = name.replace("_", "-").lower()
    for spec in RERANKERS.values():
        if short_name in (spec.name, spec.source.lower()):
            return spec
    path = enter_path(name, ModelError)
    if not has_entered_folder(path, ModelError):
        kind = f"model folder at {name}" if os.sep in name else f"reranker {name}"
        raise ModelError(
            f"there is no {kind}; use {' or '.join(RERANKERS)}, a folder of such a model, or the "
            "address of a vLLM server"
        )
    folder = local_folder.read_model_folder(path)
    # The repositories of rerankers state the architecture of the language model below them.
    if folder.architecture not in (qwen3_vl.ARCHITECTURE, ARCHITECTURE):
        raise ModelError(
            f"{path}: a model with the architecture {folder.architecture} is no reranker that "
            f"searchapp can use; use {' or '.join(RERANKERS)}"
        )
    try:
        text = folder.config["text_config"]
        is_tied = folder.config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))
        spec = adapt_spec(RERANKERS[DEFAULT_RERANKER], folder, text, dimensions=1)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: the model's configuration lacks {error}; copy the complete model folder"
        ) from error
    return replace(_with_tied_weights(spec, is_tied=bool(is_tied)), code=folder.code_files)
