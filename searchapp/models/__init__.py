"""Embedding models: find one by name, folder or file; one module for each model family."""

from searchapp.models.gpu import computes_fp8, has_gpu, is_cpu_build
from searchapp.models.prompts import make_document_prompt, make_query_prompt
from searchapp.models.resolve import (
    FAMILY_BY_ARCHITECTURE,
    MODELS,
    choose_default_model,
    list_available_models,
    resolve_model,
)
from searchapp.models.spec import (
    EngineInput,
    ModelSpec,
    Prompts,
    check_precision,
    check_trust,
    make_text_input,
)

__all__ = [
    "FAMILY_BY_ARCHITECTURE",
    "MODELS",
    "EngineInput",
    "ModelSpec",
    "Prompts",
    "check_precision",
    "check_trust",
    "choose_default_model",
    "computes_fp8",
    "has_gpu",
    "is_cpu_build",
    "list_available_models",
    "make_document_prompt",
    "make_query_prompt",
    "make_text_input",
    "resolve_model",
]
