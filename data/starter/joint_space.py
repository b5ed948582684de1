"""Train the joint space that the student learns, from frozen teachers.

Heads map the features of the image teachers and the vectors of a sentence encoder into one space.
They are trained on captions. The vectors of several pairs of heads are concatenated and reduced
to 384 dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from corpus import Photos
from teachers import FEATURE_WIDTHS, ImageTeachers
from torch import Tensor, nn
from views import Views, draw_view_recipes

SPACE_DIMENSIONS = 384
TEACHER_SIDE_PX = 224  # side of the teachers' input


@torch.no_grad()
def make_views(
    photos: Photos, rounds: int, teachers: ImageTeachers, classes: Tensor, *, mixed: bool = False
) -> Views:
    """Draw random views of photos, and compute the teachers' features of each.

    classes: class vectors for ImageTeachers.extract_features.
    """
    device, count = classes.device, len(photos)
    views = draw_view_recipes(photos.pixels.to(device), rounds, sum(FEATURE_WIDTHS), mixed=mixed)
    step = 768 if device.type == "cuda" else 32
    for round_number in range(rounds):
        for rows in torch.arange(count, device=device).split(step):
            where = torch.full_like(rows, round_number), rows
            views.features[where] = teachers.extract_features(
                views.render_views(where, TEACHER_SIDE_PX), classes
            )
    return views


class ProjectionHead(nn.Module):
    """A linear map plus a small network; the output has length one."""

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 512)
        self.network = nn.Sequential(
            nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 512)
        )
        self.dropout = nn.Dropout(dropout / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return unit vectors [n, 512] for x [n, inputs]."""
        x = self.dropout(x)
        return F.normalize(self.linear(x) + self.network(x), dim=-1)


class JointSpace(nn.Module):
    """Heads for pictures and texts, and the statistics that standardize their inputs."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        total = sum(FEATURE_WIDTHS)
        self.register_buffer("mean", torch.zeros(total))
        self.register_buffer("deviation", torch.ones(total))
        self.register_buffer("text_mean", torch.zeros(384))
        self.register_buffer("reduction", torch.zeros(512 * heads, SPACE_DIMENSIONS))
        energy = torch.cat(
            [torch.full((w,), math.sqrt(total / len(FEATURE_WIDTHS) / w)) for w in FEATURE_WIDTHS]
        )
        self.register_buffer("energy", energy, persistent=False)
        self.picture_heads = nn.ModuleList(ProjectionHead(total, 2048, 0.7) for _ in range(heads))
        self.text_heads = nn.ModuleList(ProjectionHead(384, 1024, 0.28) for _ in range(heads))

    def standardize(self, features: Tensor) -> Tensor:
        """Return features with mean 0 and standard deviation 1."""
        return (features.float() - self.mean) / self.deviation

    def make_picture_input(self, features: Tensor) -> Tensor:
        """Return standardized features, scaled so that all teachers have the same weight."""
        return self.standardize(features) * self.energy

    def make_text_input(self, sentences: Tensor) -> Tensor:
        """Return centered sentence vectors, scaled to the size of the pictures' input."""
        return (sentences - self.text_mean) * 20

    def _apply_heads(self, heads: nn.ModuleList, x: Tensor) -> Tensor:
        return F.normalize(torch.cat([head(x) for head in heads], -1), dim=-1)

    @torch.no_grad()
    def embed_pictures(self, features: Tensor) -> Tensor:
        """Return unit vectors [n, SPACE_DIMENSIONS] for teacher features."""
        joined = self._apply_heads(self.picture_heads, self.make_picture_input(features))
        return F.normalize(joined @ self.reduction, dim=-1)

    @torch.no_grad()
    def embed_texts(self, sentences: Tensor) -> Tensor:
        """Return unit vectors [n, SPACE_DIMENSIONS] for sentence vectors."""
        joined = self._apply_heads(self.text_heads, self.make_text_input(sentences))
        return F.normalize(joined @ self.reduction, dim=-1)

    @torch.no_grad()
    def fit_inputs(self, features: Tensor, sentences: Tensor) -> None:
        """Compute the statistics that standardize the inputs."""
        self.mean.copy_(features.float().mean(0))
        self.deviation.copy_(features.float().std(0) + 1e-3)
        self.text_mean.copy_(sentences.mean(0))

    @torch.no_grad()
    def fit_reduction(self, features: Tensor, sentences: Tensor) -> None:
        """Compute the reduction to the principal axes of pictures and texts (PCA)."""
        joined = self._apply_all_heads(features, sentences)
        _, directions = torch.linalg.eigh(joined.T @ joined / len(joined))
        self.reduction.copy_(directions[:, -SPACE_DIMENSIONS:])

    @torch.no_grad()
    def align_to_vectors(self, features: Tensor, sentences: Tensor, vectors: Tensor) -> None:
        """Align the space with a model's vectors of the same pictures and texts (Procrustes)."""
        joined = self._apply_all_heads(features, sentences)
        left, _, right = torch.linalg.svd(joined.T @ vectors, full_matrices=False)
        self.reduction.copy_(left @ right)

    def _apply_all_heads(self, features: Tensor, sentences: Tensor) -> Tensor:
        pictures = self._apply_heads(self.picture_heads, self.make_picture_input(features))
        return torch.cat(
            [pictures, self._apply_heads(self.text_heads, self.make_text_input(sentences))]
        )


def train_head_pair(
    space: JointSpace,
    index: int,
    sentences: Tensor,
    draw: Callable[[], tuple[Tensor, Tensor]],
    steps: int,
) -> float:
    """Train one pair of heads, and return the last loss.

    draw: returns a batch of teacher features, and rows of sentences.
    """
    device = sentences.device
    picture, text = space.picture_heads[index], space.text_heads[index]
    scale = nn.Parameter(torch.tensor(math.log(15.0), device=device))
    weights = [*picture.parameters(), *text.parameters()]
    groups = [{"params": weights}, {"params": [scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.5, betas=(0.9, 0.98))
    space.train()
    for step in range(steps):
        rate = min(1, (step + 1) / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate
        features, rows = draw()
        words = space.make_text_input(sentences[rows])
        words = words + 0.5 * words.std() * torch.randn_like(words)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            p, t = picture(space.make_picture_input(features)), text(words)
        scores = scale.exp().clamp(max=60) * p.float() @ t.float().T
        loss = contrastive_loss(scores, rows, smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    space.eval()
    return loss.item()


def contrastive_loss(scores: Tensor, text_rows: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy in both directions, for scores [n, n] of pairs.

    Pairs with the same text row are not counted as wrong answers for each other.
    """
    is_twin = (text_rows[:, None] == text_rows[None]).fill_diagonal_(False)
    scores = torch.where(is_twin, scores.detach().min(), scores)
    targets = torch.arange(len(scores), device=scores.device)
    text_loss = F.cross_entropy(scores, targets, label_smoothing=smoothing)
    picture_loss = F.cross_entropy(scores.T, targets, label_smoothing=smoothing)
    return (text_loss + picture_loss) / 2
