"""Write tiny checkpoints of CLIP and SigLIP with random weights, for the real vLLM."""

import json
from pathlib import Path

TRAINING_TEXT = (
    "a an the red blue green white black boat dog cat sheep house tree on in at of with two three"
)
IMAGE_SIDE_PX = 64
MAX_TEXT_TOKENS = 32


def make_clip(folder: Path, *, seed: int = 0) -> Path:
    """Write a CLIP folder that transformers and vLLM load: 64 px, 64 dimensions, 32 tokens."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(seed)
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 2, "projection_dim": 64}  # fmt: skip
    size, end = _write_tokenizer(folder)
    text = tower | {
        "vocab_size": size,
        "max_position_embeddings": MAX_TEXT_TOKENS,
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = tower | {"image_size": IMAGE_SIDE_PX, "patch_size": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)
    CLIPModel(config).eval().save_pretrained(folder)
    processor = CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIDE_PX},
        crop_size={"height": IMAGE_SIDE_PX, "width": IMAGE_SIDE_PX},
    )
    processor.save_pretrained(folder)
    return folder


def make_siglip(folder: Path, *, seed: int = 0) -> Path:
    """Write a SigLIP folder that transformers and vLLM load: 64 px, 64 dimensions, 32 tokens."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(seed)
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    size, end = _write_tokenizer(folder)
    text = tower | {
        "vocab_size": size,
        "max_position_embeddings": MAX_TEXT_TOKENS,
        "projection_size": 64,
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = tower | {"image_size": IMAGE_SIDE_PX, "patch_size": 16}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()
    with torch.no_grad():  # With transformers' initialization all texts have the same vector.
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    model.save_pretrained(folder)
    processor = SiglipImageProcessor(size={"height": IMAGE_SIDE_PX, "width": IMAGE_SIDE_PX})
    processor.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> tuple[int, int]:
    """Train a small byte-level tokenizer; return its size and the id of its end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TRAINING_TEXT] * 4, trainer)
    # CLIP uses the vector of the end token, which it finds by its id: it is the highest.
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    start, end = (tokenizer.token_to_id(t) for t in ("<|startoftext|>", "<|endoftext|>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", start), ("<|endoftext|>", end)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "model_max_length": MAX_TEXT_TOKENS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    return tokenizer.get_vocab_size(), end
