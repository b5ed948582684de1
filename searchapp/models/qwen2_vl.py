"""Qwen2-VL models, trained to embed texts, pictures, or both in one prompt.

These models share an architecture, but not their prompts. The prompts are byte for byte those of:
- vlm2vec-qwen2vl-2b: run_vlm2vec_qwen2vl in vLLM's examples/pooling/pooling/
  vision_language_pooling.py (commit fc8f71b); the document prompt is that of VLM2Vec in
  examples/pooling/embed/vision_embedding_online.py (commit 010ffcc).
- vlm2vec-v2: the same; experiments/examples/qwen2vl/demo_v2_image.py of TIGER-AI-Lab/VLM2Vec
  (commit ad6d9a4).
- gme-qwen2-vl: mteb/models/model_implementations/gme_v_models.py of embeddings-benchmark/mteb
  (commit a905523), and the example at the end of the model's own gme_inference.py: documents
  always have the default instruction.
- dse-qwen2-2b: tests/models/multimodal/pooling/test_dse_qwen2_vl.py (commit 236e0fe) and
  examples/template_dse_qwen2_vl.jinja (commit 1a7f9e3) of vLLM.
- ops-mm-v1: OpsMMEmbeddingWrapper.embed_batch in MTEB's wrapper, which quotes the model's own
  ops_mm_embedding_v1.py.
"""

from __future__ import annotations

from dataclasses import replace

from searchapp.errors import ModelError
from searchapp.models import vlm2vec
from searchapp.models.local_folder import ModelFolder
from searchapp.models.qwen_vl import MAX_MODEL_LEN, apply_pixel_limit, make_spec
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.types import ModelOptions

ARCHITECTURE = "Qwen2VLForConditionalGeneration"
IMAGE_TOKEN = "<|image_pad|>"
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
SYSTEM_PROMPT = "You are a helpful assistant."
TOKEN_SIDE_PX = 28
DSE_PICTURE_SIDE_PX = 56  # the smallest picture that the processor accepts
DSE_PICTURE_TOKENS = 4


def _make_chat_prompt(system: str, user: str) -> str:
    return (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n"
        "<|im_start|>assistant\n<|endoftext|>"
    )


def _replace_image_token(prompt: str | None) -> str:
    assert prompt is not None
    return prompt.replace("<|image_1|>", IMAGE_TOKEN)


VLM2VEC_PROMPTS = Prompts(
    document=_replace_image_token(vlm2vec.PROMPTS.document),
    text=vlm2vec.PROMPTS.text,
    image=_replace_image_token(vlm2vec.PROMPTS.image),
    text_image=_replace_image_token(vlm2vec.PROMPTS.text_image),
)
GME_PROMPTS = Prompts(
    document=_make_chat_prompt(SYSTEM_PROMPT, PICTURE),
    text=_make_chat_prompt("{instruction}", "{text}"),
    image=_make_chat_prompt(SYSTEM_PROMPT, PICTURE),
    text_image=_make_chat_prompt(SYSTEM_PROMPT, PICTURE + "{text}"),
)
GME_INSTRUCTION = "Find an image that matches the given text."
OPS_PROMPTS = Prompts(
    document=_make_chat_prompt("{instruction}", PICTURE),
    text=_make_chat_prompt("{instruction}", "{text}"),
    image=_make_chat_prompt("{instruction}", PICTURE),
    text_image=_make_chat_prompt("{instruction}", PICTURE + "{text}"),
)
DSE_DOCUMENT_PROMPT = _make_chat_prompt(SYSTEM_PROMPT, PICTURE + "What is shown in this image?")
DSE_PROMPTS = Prompts(
    document=DSE_DOCUMENT_PROMPT,
    text=_make_chat_prompt(SYSTEM_PROMPT, PICTURE + "Query: {text}"),
    image=DSE_DOCUMENT_PROMPT,
)


def _make_spec(
    name: str,
    source: str,
    revision: str,
    dimensions: int,
    weights_mb: int,
    prompts: Prompts,
    instruction: str | None = None,
) -> ModelSpec:
    return make_spec(
        name, source, revision, dimensions, weights_mb, architecture=ARCHITECTURE,
        prompts=prompts, token_side=TOKEN_SIDE_PX, instruction=instruction,
    )  # fmt: skip


def apply_picture_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with the user's --max-pixels, the maximum number of pixels of a picture."""
    return apply_pixel_limit(spec, options, TOKEN_SIDE_PX)


MODELS = (
    # The repositories of VLM2Vec hold LoRA weights: they are never downloaded by searchapp.
    replace(_make_spec("vlm2vec-qwen2vl-2b", "TIGER-Lab/VLM2Vec-Qwen2VL-2B", "main", 1536, 4420,
            VLM2VEC_PROMPTS), is_adapter=True),
    replace(_make_spec("vlm2vec-v2", "VLM2Vec/VLM2Vec-V2.0",
            "e39ff079b8275ef876d3656da8c0bddbff3c4dde", 1536, 4420, VLM2VEC_PROMPTS),
            is_adapter=True),
    _make_spec("gme-qwen2-vl-2b", "Alibaba-NLP/gme-Qwen2-VL-2B-Instruct",
            "ce765ae71b8cdb208203cd8fb64a170b1b84293a", 1536, 8840, GME_PROMPTS, GME_INSTRUCTION),
    _make_spec("gme-qwen2-vl-7b", "Alibaba-NLP/gme-Qwen2-VL-7B-Instruct",
            "477027a6480f8630363be77751f169cc3434b673", 3584, 33170, GME_PROMPTS, GME_INSTRUCTION),
    replace(_make_spec("dse-qwen2-2b", "MrLight/dse-qwen2-2b-mrl-v1",
            "3fde4464ea72da2a863ed8fa51f0f1b8045f0426", 1536, 4420, DSE_PROMPTS),
            text_limit=MAX_MODEL_LEN - DSE_PICTURE_TOKENS, matryoshka=True,
            text_picture_side=DSE_PICTURE_SIDE_PX),
    _make_spec("ops-mm-v1-2b", "OpenSearch-AI/Ops-MM-embedding-v1-2B",
            "69c23ac5595bb7fb3a9959df96fe155b3650c01e", 1536, 4420, OPS_PROMPTS, SYSTEM_PROMPT),
    _make_spec("ops-mm-v1-7b", "OpenSearch-AI/Ops-MM-embedding-v1-7B",
            "e9179f601f9bf21d2fd20136c11eb4ae2ea42859", 3584, 16580, OPS_PROMPTS, SYSTEM_PROMPT),
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Raise ModelError: the models with this architecture have different prompts."""
    names = ", ".join(f'"{spec.name}"' for spec in MODELS)
    raise ModelError(
        f"{folder.path}: models with the architecture {ARCHITECTURE} have different prompts, so "
        "that the prompts of this model are unknown. Write a model file with two lines, "
        f'source = "{folder.path}" and like = NAME, where NAME is one of {names}; then give '
        "--model FILE.toml. `searchapp docs models` says more"
    )
