"""Write a tiny EmbeddingGemma 2 checkpoint with random weights, for the real vLLM."""

from pathlib import Path

from support.tiny_vlm_checkpoints import (
    HIDDEN_SIZE,
    randomize_weights,
    write_tokenizer,
)

MAX_TOKENS = 1024
EMBEDDING_SIZE = 96
PICTURE_TOKENS = 70  # the smallest number that the processor accepts; the real model has 280


def make_embedding_gemma2(folder: Path, *, seed: int = 0) -> Path:
    """Write an EmbeddingGemma 2 folder with a vision tower, and without an audio tower."""
    import torch
    from transformers import (
        AutoTokenizer,
        EmbeddingGemma2Config,
        EmbeddingGemma2Model,
        EmbeddingGemma2Processor,
        EmbeddingGemma2VideoProcessor,
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessor,
    )

    torch.manual_seed(seed)
    special_tokens = ["<pad>", "<eos>", "<bos>", "<|image>", "<image|>", "<|image|>",
             "<|audio>", "<audio|>", "<|audio|>", "<|video|>"]  # fmt: skip
    names = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    ids = write_tokenizer(
        folder,
        special_tokens,
        start="<bos>",
        end="<eos>",
        closes=True,
        settings={"pad_token": "<pad>", "extra_special_tokens": names},
    )
    text = {
        "vocab_size": len(ids),
        "hidden_size": HIDDEN_SIZE,
        "hidden_size_per_layer_input": 32,
        "embedding_dim": EMBEDDING_SIZE,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "global_head_dim": 64,  # As in the real model, the layers differ in size.
        "num_global_key_value_heads": 1,
        "sliding_window": 32,
        "sliding_window_pattern": 2,
        "max_position_embeddings": MAX_TOKENS,
        "pad_token_id": ids["<pad>"],
        "eos_token_id": ids["<eos>"],
        "bos_token_id": ids["<bos>"],
    }
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "patch_size": 16,
        "position_embedding_size": 1024,
        "default_output_length": PICTURE_TOKENS,
    }
    config = EmbeddingGemma2Config(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image|>"],
        boi_token_id=ids["<|image>"],
        eoi_token_id=ids["<image|>"],
        video_token_id=ids["<|video|>"],
        audio_token_id=ids["<|audio|>"],
        boa_token_id=ids["<|audio>"],
        eoa_token_index=ids["<audio|>"],
    )
    randomize_weights(EmbeddingGemma2Model(config)).save_pretrained(folder)
    EmbeddingGemma2Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessor(max_soft_tokens=PICTURE_TOKENS),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        video_processor=EmbeddingGemma2VideoProcessor(),
    ).save_pretrained(folder)
    return folder
