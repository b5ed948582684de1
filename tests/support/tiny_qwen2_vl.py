"""Write a tiny Qwen2-VL checkpoint with random weights, for the real vLLM."""

from pathlib import Path

from support.tiny_vlm_checkpoints import (
    CLIP_MEAN,
    CLIP_STD,
    HIDDEN_SIZE,
    LANGUAGE_CONFIG,
    randomize_weights,
    write_json,
    write_tokenizer,
)

MAX_TOKENS = 1024


def make_qwen2_vl(folder: Path, *, seed: int = 0) -> Path:
    """Write a Qwen2-VL folder; its processor has the same pixel bounds as on the hub."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(seed)
    special_tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>",
             "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
    ids = write_tokenizer(folder, special_tokens, end="<|im_end|>")
    text = LANGUAGE_CONFIG | {
        "model_type": "qwen2_vl_text",
        "vocab_size": len(ids),
        "max_position_embeddings": MAX_TOKENS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1_000_000,
            "mrope_section": [4, 6, 6],
        },
    }
    vision = {
        "depth": 2,
        "embed_dim": 64,
        "hidden_size": HIDDEN_SIZE,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 14,
    }
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    randomize_weights(Qwen2VLForConditionalGeneration(config)).save_pretrained(folder)
    processor = {
        "processor_class": "Qwen2VLProcessor",
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "min_pixels": 3136,
        "max_pixels": 12_845_056,
    }
    write_json(folder / "preprocessor_config.json", processor)
    return folder
