"""EmbeddingGemma 2: embeds texts, pictures, or both in one prompt, in many languages.

The prompts are those of the model's published results for image retrieval (such as CIRR):
EMBEDDING_GEMMA_2_TASK_RECIPE in google_embeddinggemma.py of embeddings-benchmark/mteb, for the
model's revision 914f7f8. Texts have the prompt of a search. Pictures, alone or with a text, have
no prompt. For a picture alone, transformers' EmbeddingGemma2Processor makes the same prompt.
"""

from __future__ import annotations

from searchapp.models.adapt_spec import adapt_spec
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


MODELS = (
    ModelSpec(
        name="embeddinggemma-2",
        source="google/embeddinggemma-2",
        revision="914f7f89142e33e77833254d9c9b90c3cef7303b",
        architecture=ARCHITECTURE,
        dimensions=768,
        prompts=PROMPTS,
        image=ImageInput("bound", max_pixels=PICTURE_TOKENS * TOKEN_SIDE_PX**2),
        text_limit=MAX_MODEL_LEN,
        licence="Apache-2.0",
        weights_mb=1490,
        image_tokens=PICTURE_TOKENS + 2,
        placeholder=IMAGE_TOKEN,
        pooling="MEAN",
        matryoshka=True,
        float16=False,
        engine_arguments={"max_model_len": MAX_MODEL_LEN},
    ),
)


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of an EmbeddingGemma 2 folder.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text = folder.config["text_config"]
    return adapt_spec(MODELS[0], folder, text, text["embedding_dim"])
