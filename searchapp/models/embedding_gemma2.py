"""EmbeddingGemma 2: embeds texts, pictures, or both in one prompt, in many languages.

The prompts are those of the model's published results for image retrieval (such as CIRR):
EMBEDDING_GEMMA_2_TASK_RECIPE in google_embeddinggemma.py of embeddings-benchmark/mteb, for the
model's revision 914f7f8. Texts have the prompt of a search. Pictures, alone or with a text, have
no prompt. For a picture alone, transformers' EmbeddingGemma2Processor makes the same prompt.
"""

from __future__ import annotations

from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput

ARCHITECTURE = "EmbeddingGemma2Model"
IMAGE_TOKEN = "<|image|>"
PROMPTS = Prompts(
    document=IMAGE_TOKEN,
    text="task: search result | query: {text}",
    image=IMAGE_TOKEN,
    text_image=IMAGE_TOKEN + "{text}",
)
# The processor scales each picture to at most 280 tokens of 48 x 48 pixels. Two more tokens mark
# the start and the end of a picture.
PICTURE_TOKENS, TOKEN_SIDE_PX = 280, 48
MAX_MODEL_LEN = 2048


def _make_spec(
    name: str,
    source: str,
    revision: str,
    dimensions: int,
    weights_mb: int,
    license_name: str = "Apache-2.0",
    text_limit: int = MAX_MODEL_LEN,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=dimensions,
        prompts=PROMPTS,
        image=ImageInput("bound", max_pixels=PICTURE_TOKENS * TOKEN_SIDE_PX**2),
        text_limit=text_limit,
        licence=license_name,
        weights_mb=weights_mb,
        image_tokens=PICTURE_TOKENS + 2,
        placeholder=IMAGE_TOKEN,
        pooling="MEAN",
        matryoshka=True,
        float16=False,
        engine_arguments={"max_model_len": text_limit},
    )


MODELS = (
    _make_spec("embeddinggemma-2", "google/embeddinggemma-2",
          "914f7f89142e33e77833254d9c9b90c3cef7303b", 768, 1490),
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of an EmbeddingGemma 2 folder.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text = folder.config["text_config"]
    limit = min(MAX_MODEL_LEN, text.get("max_position_embeddings", MAX_MODEL_LEN))
    return _make_spec(folder.path, folder.path, folder.fingerprint, text["embedding_dim"],
                 folder.weights_mb, "see the model card", limit)  # fmt: skip
