"""Write tiny checkpoints of vision-language models with random weights, for the real vLLM."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.tiny_checkpoints import TRAINING_TEXT

HIDDEN_SIZE = 64
LAYER_CONFIG = {"hidden_size": HIDDEN_SIZE, "intermediate_size": 128, "num_attention_heads": 2}
LANGUAGE_CONFIG = LAYER_CONFIG | {"num_hidden_layers": 2, "num_key_value_heads": 1}
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LLAVA_MAX_TOKENS, QWEN_MAX_TOKENS, PHI_MAX_TOKENS = 512, 1024, 2048
TILE_SIDE_PX = 56  # Side of a LLaVA-NeXT tile; tiles of E5-V have 336 px.
PHI_VOCABULARY_SIZE = 32064  # vLLM has the image token of Phi-3-vision built in: 32044.


def make_llava_next(folder: Path, *, seed: int = 0) -> Path:
    """Write a LLaVA-NeXT folder like E5-V: special tokens of Llama 3, no processor_config.json."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration

    torch.manual_seed(seed)
    special_tokens = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
             "<|end_of_text|>", "<image>"]  # fmt: skip
    ids = write_tokenizer(folder, special_tokens, start="<|begin_of_text|>", end="<|eot_id|>")
    text = LANGUAGE_CONFIG | {
        "model_type": "llama",
        "vocab_size": len(ids),
        "max_position_embeddings": LLAVA_MAX_TOKENS,
        "bos_token_id": ids["<|begin_of_text|>"],
        "eos_token_id": ids["<|eot_id|>"],
    }
    vision = LAYER_CONFIG | {
        "model_type": "clip_vision_model",
        "num_hidden_layers": 3,
        "image_size": TILE_SIDE_PX,
        "patch_size": 14,
    }
    grids = [
        [a * TILE_SIDE_PX, b * TILE_SIDE_PX] for a, b in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
    ]
    config = LlavaNextConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=ids["<image>"],
        image_grid_pinpoints=grids,
        architectures=["LlavaNextForConditionalGeneration"],
    )
    model = randomize_weights(LlavaNextForConditionalGeneration(config))
    weights = {_hub_weight_name(name): weight for name, weight in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    processor = {
        "image_processor_type": "LlavaNextImageProcessor",
        "processor_class": "LlavaNextProcessor",
        "image_grid_pinpoints": grids,
        "size": {"shortest_edge": TILE_SIDE_PX},
        "crop_size": {"height": TILE_SIDE_PX, "width": TILE_SIDE_PX},
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    write_json(folder / "preprocessor_config.json", processor)
    return folder


def _hub_weight_name(name: str) -> str:
    """Return the name of a weight in checkpoints of the hub; transformers 5 saves another name."""
    for new, old in (
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.", ""),
    ):
        if name.startswith(new):
            return old + name.removeprefix(new)
    return name


def make_qwen3_vl(folder: Path, *, seed: int = 0, words: Sequence[str] = ()) -> Path:
    """Write a Qwen3-VL folder; its processor has the same pixel bounds as on the hub.

    words: texts that have a token of their own.
    """
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    torch.manual_seed(seed)
    special_tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>",
             "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
    ids = write_tokenizer(folder, [*special_tokens, *words], end="<|im_end|>")
    text = LANGUAGE_CONFIG | {
        "head_dim": 32,
        "vocab_size": len(ids),
        "max_position_embeddings": QWEN_MAX_TOKENS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5_000_000,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
        },
    }
    vision = {
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 128,
        "depth": 3,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": HIDDEN_SIZE,
        "deepstack_visual_indexes": [0, 1],
        "num_position_embeddings": 256,
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    randomize_weights(Qwen3VLForConditionalGeneration(config)).save_pretrained(folder)
    processor = {
        "processor_class": "Qwen3VLProcessor",
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.5, 0.5, 0.5),
    }
    picture = {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216},
    }
    video = {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "size": {"shortest_edge": 4096, "longest_edge": 25_165_824},
    }
    write_json(folder / "preprocessor_config.json", processor | picture)
    write_json(folder / "video_preprocessor_config.json", processor | video)
    return folder


def make_phi3_v(folder: Path, *, seed: int = 0) -> Path:
    """Write the smallest Phi-3-vision folder that vLLM loads, with its Python code.

    vLLM always builds the vision tower with the width of CLIP ViT-L/14 at 336 pixels. layer_idx
    reduces it to one layer, and the file to 37 MB.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModel, Phi3Config, Phi3Model

    torch.manual_seed(seed)
    special_tokens = [
        "<unk>",
        "<s>",
        "</s>",
        "<|endoftext|>",
        "<|assistant|>",
        "<|end|>",
        "<|user|>",
    ]
    ids = write_tokenizer(folder, special_tokens, start="<s>", end="<|endoftext|>")
    text = LANGUAGE_CONFIG | {
        "vocab_size": PHI_VOCABULARY_SIZE,
        "max_position_embeddings": PHI_MAX_TOKENS,
        "bos_token_id": ids["<s>"],
        "eos_token_id": ids["<|endoftext|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    tower = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_attention_heads=16,
        num_hidden_layers=1,
        image_size=336,
        patch_size=14,
    )
    vision = "model.vision_embed_tokens."
    width = 4 * tower.hidden_size  # Four patches make one token.
    weights = {
        f"model.{name}": weight
        for name, weight in randomize_weights(Phi3Model(Phi3Config(**text))).state_dict().items()
    } | {
        f"{vision}img_processor.vision_model.{name}": weight
        for name, weight in randomize_weights(CLIPVisionModel(tower)).state_dict().items()
        if "position_ids" not in name and "post_layernorm" not in name
    }
    for name, shape in (
        ("glb_GN", (1, 1, width)),
        ("sub_GN", (1, 1, 1, width)),
        ("img_projection.0.weight", (HIDDEN_SIZE, width)),
        ("img_projection.0.bias", (HIDDEN_SIZE,)),
        ("img_projection.2.weight", (HIDDEN_SIZE, HIDDEN_SIZE)),
        ("img_projection.2.bias", (HIDDEN_SIZE,)),
    ):
        weights[vision + name] = torch.randn(shape) * 0.05
    weights = {name: weight.bfloat16().contiguous() for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = text | {
        "architectures": ["Phi3VForCausalLM"],
        "model_type": "phi3_v",
        "auto_map": {"AutoConfig": "configuration_phi3_v.Phi3VConfig"},
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
        "img_processor": {
            "layer_idx": 0,
            "image_dim_out": 1024,
            "num_img_tokens": 144,
            "type_feature": "patch",
        },
        "embd_layer": {
            "use_hd_transform": True,
            "with_learnable_separator": True,
            "hd_transform_order": "sub_glb",
        },
    }
    processor = {
        "auto_map": {
            "AutoProcessor": "processing_phi3_v.Phi3VProcessor",
            "AutoImageProcessor": "processing_phi3_v.Phi3VImageProcessor",
        },
        "image_processor_type": "Phi3VImageProcessor",
        "processor_class": "Phi3VProcessor",
        "num_crops": 16,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "preprocessor_config.json", processor)
    (folder / "configuration_phi3_v.py").write_text(PHI_CONFIGURATION_CODE)
    (folder / "processing_phi3_v.py").write_text(PHI_PROCESSING_CODE)
    return folder


PHI_CONFIGURATION_CODE = '''\
"""Phi-3-vision's configuration."""

from transformers import PretrainedConfig


class Phi3VConfig(PretrainedConfig):
    """All of it comes from config.json."""

    model_type = "phi3_v"
'''

PHI_PROCESSING_CODE = '''\
"""Prepare pictures for Phi-3-vision: the complete picture, then up to num_crops tiles of 336 px."""

import re

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import BatchFeature, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor

TILE = 336


def hd_size(width, height, num_crops):
    """Return the size of the resized picture, and that size rounded up to tiles."""
    if width < height:
        return tuple(size[::-1] for size in hd_size(height, width, num_crops))
    ratio = width / height
    scale = 1
    while (scale + 1) * np.ceil((scale + 1) / ratio) <= num_crops:
        scale += 1
    new_width, new_height = scale * TILE, int(scale * TILE / ratio)
    rows = int(np.ceil(new_height / TILE))
    return (new_width, new_height), (new_width, rows * TILE)


def count_tokens(width, height):
    """Return the number of tokens: tiles, complete picture, and line separators."""
    rows, columns = height // TILE, width // TILE
    return (rows * columns + 1) * 144 + 1 + (rows + 1) * 12


class Phi3VImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values", "image_sizes"]

    def __init__(self, num_crops=1, image_mean=None, image_std=None, **kwargs):
        super().__init__(**kwargs)
        self.num_crops, self.image_mean, self.image_std = num_crops, image_mean, image_std

    def preprocess(self, images, num_crops=None, return_tensors=None, **kwargs):
        crops = num_crops or self.num_crops
        tiled, sizes = [], []
        for image in images if isinstance(images, (list, tuple)) else [images]:
            is_upright = image.width < image.height
            if is_upright:  # As on the hub: rounding depends on it.
                image = image.transpose(Image.Transpose.TRANSPOSE)
            size, padded = hd_size(*image.size, crops)
            image = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
            left, top = (padded[0] - size[0]) // 2, (padded[1] - size[1]) // 2
            border = (left, top, padded[0] - size[0] - left, padded[1] - size[1] - top)
            image = ImageOps.expand(image, border, "white")
            if is_upright:
                image = image.transpose(Image.Transpose.TRANSPOSE)
            pixels = np.asarray(image, dtype=np.float32) / 255
            normal = (pixels - np.array(self.image_mean)) / np.array(self.image_std)
            whole = torch.from_numpy(normal).float().permute(2, 0, 1)
            rows, columns = whole.shape[1] // TILE, whole.shape[2] // TILE
            tiles = whole.reshape(3, rows, TILE, columns, TILE).permute(1, 3, 0, 2, 4)
            small = torch.nn.functional.interpolate(whole[None], (TILE, TILE), mode="bicubic")
            parts = torch.cat([small, tiles.reshape(-1, 3, TILE, TILE)])
            empty = torch.zeros(crops + 1 - len(parts), 3, TILE, TILE)
            tiled.append(torch.cat([parts, empty]))
            sizes.append([rows * TILE, columns * TILE])
        data = {"pixel_values": torch.stack(tiled), "image_sizes": torch.tensor(sizes)}
        return BatchFeature(data)


class Phi3VProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor, tokenizer, num_crops=None, **kwargs):
        super().__init__(image_processor, tokenizer)
        if num_crops is not None:
            image_processor.num_crops = num_crops
        self.img_tokens = [f"<|image_{number}|>" for number in range(1, 100)]

    def calc_num_image_tokens_from_image_size(self, width, height):
        return count_tokens(*hd_size(width, height, self.image_processor.num_crops)[1])

    def __call__(self, text=None, images=None, return_tensors=None, **kwargs):
        data = {} if images is None else dict(self.image_processor.preprocess(images, **kwargs))
        if images is None:
            data["input_ids"] = self.tokenizer(text, return_tensors="pt")["input_ids"]
            return BatchFeature(data)
        # As on the hub: -1 stands for the first picture, repeated for each of its tokens.
        first, *rest = re.split(r"<\\|image_\\d+\\|>", text if isinstance(text, str) else text[0])
        ids = self.tokenizer(first)["input_ids"]
        for number, ((height, width), part) in enumerate(zip(data["image_sizes"], rest), start=1):
            ids += [-number] * count_tokens(int(width), int(height))
            ids += self.tokenizer(part, add_special_tokens=False)["input_ids"]
        data["input_ids"] = torch.tensor([ids])
        return BatchFeature(data)
'''


def randomize_weights(model: Any) -> Any:
    """Scale the weights of a model so that different inputs have different vectors."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model.eval()


def write_tokenizer(
    folder: Path,
    special_tokens: Sequence[str],
    *,
    end: str,
    start: str | None = None,
    closes: bool = False,
    settings: dict[str, Any] | None = None,
) -> dict[str, int]:
    """Train a small byte-level tokenizer with special tokens; return the ids of all tokens.

    start: token before each text. closes: put the token `end` after each text.
    settings: added to tokenizer_config.json.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TRAINING_TEXT] * 4, trainer)
    tokenizer.add_special_tokens(list(special_tokens))
    if start is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}" if closes else f"{start} $A",
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in (start, end)],
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    defaults = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": end,
        "clean_up_tokenization_spaces": False,
    } | ({"bos_token": start} if start else {})
    write_json(folder / "tokenizer_config.json", defaults | (settings or {}))
    return tokenizer.get_vocab()


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2))
