"""E5-V: LLaVA-NeXT, prompted to summarize a text or a picture in one word; never both at once."""

from __future__ import annotations

from searchapp.models.adapt_spec import adapt_spec
from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput

ARCHITECTURE = "LlavaNextForConditionalGeneration"
# The prompts are byte for byte those of vLLM's example; the last line is a space and a newline.
CHAT_TEMPLATE = (
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n \n"
)
IMAGE_PROMPT = CHAT_TEMPLATE.format("<image>\nSummary above image in one word: ")
PROMPTS = Prompts(
    document=IMAGE_PROMPT,
    text=CHAT_TEMPLATE.format("{text}\nSummary above sentence in one word: "),
    image=IMAGE_PROMPT,
)
# The processor cuts a picture into at most 4 tiles of 336 x 336 pixels, or 3 in a row.
IMAGE_INPUT = ImageInput("bound", max_pixels=4 * 672 * 672)
MAX_MODEL_LEN = 4096

MODELS = (
    ModelSpec(
        name="e5-v",
        source="royokong/e5-v",
        revision="0c1f22679417b3ae925d779442221c40cd1861ab",
        architecture=ARCHITECTURE,
        dimensions=4096,
        prompts=PROMPTS,
        image=IMAGE_INPUT,
        text_limit=MAX_MODEL_LEN,
        licence="Llama 3",
        weights_mb=16710,
        placeholder="<image>",
        pooling="LAST",
        engine_arguments={"max_model_len": MAX_MODEL_LEN},
    ),
)


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a LLaVA-NeXT model folder; the model is assumed to be E5-V.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text = folder.config["text_config"]
    return adapt_spec(MODELS[0], folder, text, text["hidden_size"])
