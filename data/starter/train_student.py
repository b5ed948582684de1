"""Fourth stage: train the student, and continue from a checkpoint."""

from __future__ import annotations

import copy
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from choose_space import SPACE_FILE, find_neighbors
from evaluate import Recall, measure_recall
from joint_space import SPACE_DIMENSIONS, JointSpace
from losses import PREDICTED_WIDTHS, compute_loss
from material import BatchDrawer, HeldOutSet, TrainingMaterial
from photo_sets import Sources
from progress import TimeBudget, log_progress, save_atomically
from sizes import TrainingSizes
from student import VISION_LAYERS, build_student, initialize_from_dino, save_student
from teachers import standardize_pixels
from torch import Tensor, nn
from transformers import SiglipModel
from views import render_recipes, resize_pixels

PRETRAINED_LEARNING_RATE, FRESH_LEARNING_RATE, LAYER_DECAY = 2.5e-4, 1e-3, 0.92
CHECKPOINT_FILE, MODEL_FOLDER = "checkpoint.pt", "model"
WARM_UP_STEPS, FREE_STEPS = 200, 3  # steps that compile are free: the clock starts after them
NEIGHBOR_COUNT = 32
LOGGED_STEPS = (1, 2, 3, 10, 50)


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
def embed_pixels(model: SiglipModel, pixels: Tensor) -> Tensor:
    """Return the model's vectors of stored photos, uint8 [n, 3, side, side]."""
    side = model.config.vision_config.image_size
    vectors = []
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        for part in pixels.split(256):
            x = standardize_pixels(resize_pixels(part.to(model.device).float() / 255, side))
            vectors.append(model.vision_model(pixel_values=x).pooler_output.float())
    return torch.cat(vectors)


@torch.no_grad()
def embed_tokens(model: SiglipModel, tokens: Tensor) -> Tensor:
    """Return the model's vectors of tokens."""
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        return torch.cat(
            [model.text_model(input_ids=part.int()).pooler_output.float()
             for part in tokens.split(1024)]
        )  # fmt: skip


def measure_model_recall(model: SiglipModel, held_out: HeldOutSet) -> Recall:
    """Embed a held-out set with the model, and return the recall."""
    return measure_recall(
        embed_pixels(model, held_out.pixels), embed_tokens(model, held_out.tokens),
        held_out.is_right,
    )  # fmt: skip


@torch.no_grad()
def align_to_model(space: JointSpace, material: TrainingMaterial, folder: Path) -> None:
    """Turn a new space so that the vectors of a model folder fit it as well as possible.

    A model that begins from the folder then need not learn another space.
    """
    device = material.tokens.device
    model = SiglipModel.from_pretrained(folder).float().to(device).eval()
    photos = material.photos
    chosen = torch.arange(0, len(photos.photos), max(1, len(photos.photos) // 4000), device=device)
    pictures, rows = photos.photos[chosen], photos.captions[chosen, 0]
    vectors = torch.cat(
        [embed_pixels(model, photos.views.pixels[pictures]),
         embed_tokens(model, material.tokens[rows])]
    )  # fmt: skip
    space.align_to_vectors(
        photos.views.features[0, pictures],
        material.sentences[rows].float(),
        nn.functional.normalize(vectors, dim=-1),
    )


class StudentTrainer:
    """The student with all that a checkpoint holds."""

    def __init__(
        self,
        sources: Sources,
        work: Path,
        sizes: TrainingSizes,
        material: TrainingMaterial,
        seed: int,
        begin: Path | None,
    ) -> None:
        """Create the student, or load the checkpoint of an earlier call.

        begin: model folder to begin with, instead of DINOv2's weights.
        """
        self._work, self._material = work, material
        device = material.tokens.device
        torch.manual_seed(seed)
        self.model = build_student(sizes.side)
        if begin:
            self.model.load_state_dict(SiglipModel.from_pretrained(begin).float().state_dict())
        else:
            sample = material.photos.views.pixels[::200].float() / 255
            initialize_from_dino(
                self.model, sources.folder / "teachers" / "dino.pt",
                resize_pixels(sample, sizes.side),
            )  # fmt: skip
        self.model = self.model.to(device).train()
        self.space = JointSpace.load_state(torch.load(work / SPACE_FILE)).to(device)
        predictors = [nn.Linear(SPACE_DIMENSIONS, width) for width in PREDICTED_WIDTHS]
        self.feature_predictors = nn.ModuleList(predictors).to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = make_optimizer(self.model, self.feature_predictors)
        self.step, self.elapsed_s = 0, 0.0
        self.losses: list[float] = []
        neighbors = None
        if sizes.hard_negatives:
            neighbors = find_neighbors(self.space, material, NEIGHBOR_COUNT)
        render = torch.compile(render_recipes, dynamic=False) if device.type == "cuda" else None
        self._drawer = BatchDrawer(material, sizes, neighbors, render)
        if (work / CHECKPOINT_FILE).exists():
            self._load_state(torch.load(work / CHECKPOINT_FILE, map_location=device))
            log_progress(f"continuing at step {self.step}, after {self.elapsed_s:.0f} s")
        if device.type == "cuda":
            torch._dynamo.config.suppress_errors = True
            for layer in [*self.model.vision_model.encoder.layers,
                          *self.model.text_model.encoder.layers]:  # fmt: skip
                layer.compile(dynamic=False)

    def _list_parts(self) -> dict[str, Any]:
        return {"model": self.model, "average": self.average, "optimizer": self.optimizer,
                "feature_predictors": self.feature_predictors}  # fmt: skip

    def get_state(self) -> dict[str, Any]:
        """Return the state of a checkpoint."""
        state = {name: part.state_dict() for name, part in self._list_parts().items()}
        state |= {"step": self.step, "elapsed_s": self.elapsed_s, "rng": torch.get_rng_state()}
        if torch.cuda.is_available():
            state["cuda_rng"] = torch.cuda.get_rng_state()
        return state

    def _load_state(self, state: dict[str, Any]) -> None:
        for name, part in self._list_parts().items():
            part.load_state_dict(state[name])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        torch.set_rng_state(state["rng"].cpu())
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())

    def save(self) -> None:
        """Save the model and the checkpoint, and log the recall."""
        folder, partial = self._work / MODEL_FOLDER, self._work / "model.partial"
        with torch.random.fork_rng(devices=[]):  # A new model draws random numbers.
            save_student(self.average, self._material.tokenizer, partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        save_atomically(self.get_state(), self._work / CHECKPOINT_FILE)
        for name, held_out in self._material.held_out_sets.items():
            recall = measure_model_recall(self.average, held_out)
            log_progress(f"step {self.step}, {self.elapsed_s:.0f} s, {name}: {recall}")

    def train(
        self, budget: TimeBudget, *, total_s: float, steps: int | None, checkpoint_s: float
    ) -> None:
        """Train until the schedule ends or the call's time is over; save then and in between.

        The schedule ends after so many steps, or else after so many seconds of all calls.
        """
        elapsed_before, done, started_at = self.elapsed_s, 0, time.monotonic()
        saved_at = started_at
        while True:
            if done <= FREE_STEPS:
                started_at = time.monotonic()
            self.elapsed_s = elapsed_before + time.monotonic() - started_at
            progress = self.step / steps if steps else self.elapsed_s / total_s
            is_over = progress >= 1 or not budget.has_time(15)
            if is_over or time.monotonic() - saved_at > checkpoint_s:
                self.save()
                saved_at = time.monotonic()
            if is_over:
                break
            parts = self.train_step(progress)
            done += 1
            if self.step in LOGGED_STEPS or self.step % 200 == 0:
                text = ", ".join(f"{name} {value.item():.3f}" for name, value in parts.items())
                log_progress(f"step {self.step} at {progress:.3f}: {text}")
                if done > FREE_STEPS:
                    speed = (done - FREE_STEPS) / (time.monotonic() - started_at)
                    log_progress(f"{speed:.2f} steps/s")
        log_progress("the student is finished" if progress >= 1 else "call again to continue")

    def train_step(self, progress: float) -> dict[str, Tensor]:
        """Make one step; progress: share of the schedule that is over. Return the losses."""
        rate = min(1, (self.step + 1) / WARM_UP_STEPS)
        rate *= max(0.005, (1 + math.cos(math.pi * min(1, progress))) / 2)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        loss, parts = compute_loss(
            self.model, self.feature_predictors, self.space, self._material, self._drawer.draw()
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 3.0)
        self.optimizer.step()
        self.step += 1
        decay = min(0.999, self.step / (self.step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - decay
            )
        return {"total": loss.detach(), **parts}
