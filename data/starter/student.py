"""Build the student, which becomes the starter model: architecture, tokenizer, initial weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from teachers import IMAGENET_MEAN, IMAGENET_STD, standardize_pixels
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers as tokenizer_trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel

PATCH_SIDE_PX, VISION_WIDTH, VISION_LAYERS, VISION_HEADS = 14, 384, 12, 6
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 256, 5, 8
VOCABULARY_SIZE, MAX_TOKENS = 8192, 64
UNKNOWN_ID, END_ID = 0, 1


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train a lower-case BPE tokenizer; its output is padded to MAX_TOKENS with the end token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[.!\s]+$"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    trainer = tokenizer_trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=["<unk>", "</s>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", END_ID)]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=END_ID, pad_token="</s>", length=MAX_TOKENS)
    return tokenizer


def tokenize_texts(tokenizer: Tokenizer, texts: Sequence[str], device: torch.device) -> Tensor:
    """Return token ids, int32 [texts, MAX_TOKENS]."""
    ids = [e.ids for e in tokenizer.encode_batch(list(texts))]
    return torch.tensor(ids, dtype=torch.int32, device=device)


def build_student(side: int) -> SiglipModel:
    """Return the model with random weights. side: of its square input, in pixels."""
    text = {
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": TEXT_HEADS,
        "max_position_embeddings": MAX_TOKENS,
        "projection_size": VISION_WIDTH,
        "hidden_act": "gelu",
        "bos_token_id": END_ID,
        "eos_token_id": END_ID,
        "pad_token_id": END_ID,
    }
    vision = {
        "hidden_size": VISION_WIDTH,
        "intermediate_size": 4 * VISION_WIDTH,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": VISION_HEADS,
        "image_size": side,
        "patch_size": PATCH_SIDE_PX,
        "hidden_act": "gelu",
    }
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "position_embedding" in name or "token_embedding" in name:
                weight.normal_(0, 0.02)
            elif weight.ndim == 2 and ".encoder." in name:
                torch.nn.init.trunc_normal_(weight, std=0.02)
        model.logit_scale.fill_(math.log(15.0))
        model.logit_bias.fill_(-8.0)
    return model


@torch.no_grad()
def initialize_from_dino(model: SiglipModel, file: Path, sample: Tensor) -> None:
    """Copy DINOv2's weights into the vision tower.

    sample: pixels of some photos, 0 to 1, of the size of the input. SigLIP has no LayerScale: it is
    folded into the preceding layers. SigLIP has no class token: the last patch
    replaces it, and its position embedding holds the token minus the mean patch. Training corrects
    the remaining difference.
    """
    dino_weights = {k: v.float() for k, v in torch.load(file).items()}
    vision = model.vision_model
    grid = model.config.vision_config.image_size // PATCH_SIDE_PX
    patch = vision.embeddings.patch_embedding
    patch.weight.copy_(dino_weights["patch_embed.proj.weight"])
    patch.bias.copy_(dino_weights["patch_embed.proj.bias"])
    position = dino_weights["pos"].view(1, 37, 37, VISION_WIDTH).permute(0, 3, 1, 2)
    position = F.interpolate(position, size=(grid, grid), mode="bicubic")[0].flatten(1).T
    mean_patch = patch(standardize_pixels(sample.float().cpu())).mean((0, 2, 3))
    vision.embeddings.position_embedding.weight.copy_(position)
    vision.embeddings.position_embedding.weight[-1] = (
        2 * dino_weights["cls_token"][0, 0] - mean_patch
    )
    for i, layer in enumerate(vision.encoder.layers):
        name, attention = f"blocks.{i}.", layer.self_attn
        for kind in ("weight", "bias"):
            parts = dino_weights[f"{name}attn.qkv.{kind}"].chunk(3)
            projections = (attention.q_proj, attention.k_proj, attention.v_proj)
            for projection, part in zip(projections, parts, strict=True):
                getattr(projection, kind).copy_(part)
            getattr(layer.layer_norm1, kind).copy_(dino_weights[f"{name}norm1.{kind}"])
            getattr(layer.layer_norm2, kind).copy_(dino_weights[f"{name}norm2.{kind}"])
            getattr(layer.mlp.fc1, kind).copy_(dino_weights[f"{name}mlp.fc1.{kind}"])
            _copy_scaled(getattr(attention.out_proj, kind), dino_weights[f"{name}attn.proj.{kind}"],
                         dino_weights[f"{name}ls1.gamma"])  # fmt: skip
            _copy_scaled(getattr(layer.mlp.fc2, kind), dino_weights[f"{name}mlp.fc2.{kind}"],
                         dino_weights[f"{name}ls2.gamma"])  # fmt: skip
    vision.post_layernorm.weight.copy_(dino_weights["norm.weight"])
    vision.post_layernorm.bias.copy_(dino_weights["norm.bias"])


def _copy_scaled(target: Tensor, source: Tensor, rows: Tensor) -> None:
    target.copy_(source * (rows[:, None] if source.ndim == 2 else rows))


def save_student(model: SiglipModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a folder that transformers and vLLM can load, with weights in fp16."""
    folder.mkdir(parents=True, exist_ok=True)
    side = model.config.vision_config.image_size
    copy = SiglipModel(model.config)
    copy.load_state_dict({k: v.detach().float().cpu() for k, v in model.state_dict().items()})
    copy.half().save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        eos_token="</s>",
        pad_token="</s>",
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids"],
    ).save_pretrained(folder)
    _update_json(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast",
            processor_class="SiglipProcessor")  # fmt: skip
    preprocessor = {
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "SiglipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")


def _update_json(file: Path, **values: str) -> None:
    content = json.loads(file.read_text()) | values
    file.write_text(json.dumps(content, indent=2) + "\n")
