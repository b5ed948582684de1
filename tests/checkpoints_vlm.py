"""Tiny checkpoints of vision-language models, with random weights, for the real vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkpoints import WORDS

QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
        "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
LLAMA = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<image>",
         "<pad>"]  # fmt: skip


def make_qwen3_vl(folder: Path, *, seed: int = 0) -> Path:
    """Write a Qwen3-VL folder: 64 dimensions, two layers, pictures in patches of 16."""
    import torch
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(folder, QWEN, "<|endoftext|>", "Qwen2TokenizerFast")
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in QWEN}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128,
            "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2,
            "head_dim": 32, "max_position_embeddings": 1024,
            "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default",
                                "mrope_section": [6, 5, 5], "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2,
            "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
            "out_hidden_size": 64, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen3VLForConditionalGeneration(config).eval()
    _shake(model)
    model.save_pretrained(folder)
    sizes: dict[str, Any] = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2,
                             "image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # fmt: skip
    images = Qwen2VLImageProcessor(size={"shortest_edge": 4096, "longest_edge": 262144}, **sizes)
    videos = Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": 262144}, **sizes)
    Qwen3VLProcessor(images, tokenizer, videos, chat_template="").save_pretrained(folder)
    images.save_pretrained(folder)
    return folder


def make_llava_next(folder: Path, *, seed: int = 0) -> Path:
    """Write a LLaVA-NeXT folder of E5-V's kind: Llama's marks, 64 dimensions, tiles of 56 px."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(folder, LLAMA, "<pad>", "PreTrainedTokenizerFast")
    grid = [[56, 112], [112, 56], [112, 112]]
    config = LlavaNextConfig(
        text_config={
            "model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 1024,
        },
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 128,
            "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_grid_pinpoints=grid,
        vision_feature_layer=-2, vision_feature_select_strategy="default",
    )  # fmt: skip
    model = LlavaNextForConditionalGeneration(config).eval()
    _shake(model)
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    # transformers 5 saves names that vLLM does not know: see its vision tower.
    weights = {
        name.replace("vision_tower.", "vision_tower.vision_model.")
        if "vision_tower." in name and "vision_model" not in name
        else name: value
        for name, value in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})
    processor = LlavaNextImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=grid
    )
    LlavaNextProcessor(
        processor, tokenizer, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    processor.save_pretrained(folder)
    return folder


def _shake(model: Any) -> None:
    """Move every weight, so that no input looks like another."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)


def _tokenizer(folder: Path, special: list[str], pad: str, kind: str) -> Any:
    """Train a small byte-level tokenizer with a family's marks, and save it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS] * 4, trainer)
    tokenizer.add_special_tokens(special)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "eos_token": pad,
        "model_max_length": 1024,
        "extra_special_tokens": {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
                                 "vision_bos_token": "<|vision_start|>",
                                 "vision_eos_token": "<|vision_end|>"}
        if "<|image_pad|>" in special
        else {"image_token": "<image>"},
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    return AutoTokenizer.from_pretrained(folder)
