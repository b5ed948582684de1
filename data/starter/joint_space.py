"""Train the joint space that the student learns, from frozen teachers.

Heads map the features of the image teachers and the vectors of a sentence encoder into one space.
They are trained on captions. The vectors of several pairs of heads are concatenated and reduced
to 384 dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from teachers import FEATURE_WIDTHS, FINE_WIDTHS, FIRST_SENTENCE_WIDTH, SENTENCE_WIDTHS
from torch import Tensor, nn

SPACE_DIMENSIONS = 384
# Texts this near to the right text are not used as wrong answers: they may be right as well.
MAX_NEGATIVE_COSINE = 0.75


@dataclass(frozen=True)
class SpaceDesign:
    """What a joint space is made of; choose_space.py compares several designs."""

    is_fine: bool = True  # use the features of larger pictures too
    uses_all_encoders: bool = True  # of sentences, not only the first
    uses_new_sets: bool = True  # train on the pairs of the new sets
    class_share: float = 0.25  # of the pairs, photos with names of classes
    dropout: float = 0.7
    negatives: int = 0  # texts without pictures that are wrong answers for all pictures of a batch

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the widths of the groups of features."""
        return (*FEATURE_WIDTHS, *(FINE_WIDTHS if self.is_fine else ()))

    @property
    def sentence_width(self) -> int:
        """Return how many numbers of a sentence's vector are used."""
        return sum(SENTENCE_WIDTHS.values()) if self.uses_all_encoders else FIRST_SENTENCE_WIDTH


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

    def __init__(self, heads: int, design: SpaceDesign) -> None:
        super().__init__()
        self.design = design
        widths, total = design.widths, sum(design.widths)
        self.register_buffer("mean", torch.zeros(total))
        self.register_buffer("deviation", torch.ones(total))
        self.register_buffer("text_mean", torch.zeros(design.sentence_width))
        self.register_buffer("reduction", torch.zeros(512 * heads, SPACE_DIMENSIONS))
        energy = torch.cat([torch.full((w,), math.sqrt(total / len(widths) / w)) for w in widths])
        self.register_buffer("energy", energy, persistent=False)
        self.picture_heads = nn.ModuleList(
            ProjectionHead(total, 2048, design.dropout) for _ in range(heads)
        )
        self.text_heads = nn.ModuleList(
            ProjectionHead(design.sentence_width, 1024, 0.4 * design.dropout) for _ in range(heads)
        )

    def save_state(self) -> dict[str, Any]:
        """Return what load_state needs."""
        return {"design": asdict(self.design), "heads": len(self.picture_heads),
                "weights": self.state_dict()}  # fmt: skip

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> JointSpace:
        """Create a space from the output of save_state."""
        space = cls(state["heads"], SpaceDesign(**state["design"]))
        space.load_state_dict(state["weights"])
        return space.eval()

    def standardize(self, features: Tensor) -> Tensor:
        """Return the features that the space uses, with mean 0 and standard deviation 1."""
        return (features[..., : len(self.mean)].float() - self.mean) / self.deviation

    def make_picture_input(self, features: Tensor) -> Tensor:
        """Return standardized features, scaled so that all teachers have the same weight."""
        return self.standardize(features) * self.energy

    def make_text_input(self, sentences: Tensor) -> Tensor:
        """Return centered sentence vectors, scaled to the size of the pictures' input."""
        return (sentences[..., : len(self.text_mean)].float() - self.text_mean) * 20

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
        used = features[:, : len(self.mean)].float()
        self.mean.copy_(used.mean(0))
        self.deviation.copy_(used.std(0) + 1e-3)
        self.text_mean.copy_(sentences[:, : len(self.text_mean)].float().mean(0))

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
    negatives: Tensor,
    steps: int,
) -> float:
    """Train one pair of heads, and return the last loss.

    draw: returns a batch of teacher features, and rows of sentences. negatives: rows of sentences
    to draw design.negatives wrong answers from.
    """
    device = sentences.device
    picture, text = space.picture_heads[index], space.text_heads[index]
    scale = nn.Parameter(torch.tensor(math.log(15.0), device=device))
    weights = [*picture.parameters(), *text.parameters()]
    groups = [{"params": weights}, {"params": [scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.5, betas=(0.9, 0.98))
    count = space.design.negatives
    space.train()
    for step in range(steps):
        rate = min(1, (step + 1) / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate
        features, rows = draw()
        extra = negatives[torch.randint(0, len(negatives), (count,), device=device)]
        used = sentences[torch.cat([rows, extra])].float()
        words = space.make_text_input(used)
        words = words + 0.5 * words.std() * torch.randn_like(words)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            p, t = picture(space.make_picture_input(features)), text(words)
        scores = scale.exp().clamp(max=60) * p.float() @ t.float().T
        n = len(rows)
        first = used[:, :FIRST_SENTENCE_WIDTH]
        is_near = first[:n] @ first[n:].T > MAX_NEGATIVE_COSINE
        wrong = scores[:, n:].masked_fill(is_near, -1e4)
        loss = contrastive_loss(scores[:, :n], rows, smoothing=0.05, wrong_scores=wrong)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    space.eval()
    return loss.item()


def contrastive_loss(
    scores: Tensor,
    text_rows: Tensor,
    picture_numbers: Tensor | None = None,
    smoothing: float = 0.0,
    wrong_scores: Tensor | None = None,
) -> Tensor:
    """Return the cross entropy in both directions, for scores [n, n] of pairs.

    Pairs with the same text row or picture number are not counted as wrong answers for each other.
    wrong_scores: [n, m], the scores of the n pictures for m more texts that are wrong answers.
    """
    is_twin = text_rows[:, None] == text_rows[None]
    if picture_numbers is not None:
        is_twin = is_twin | (picture_numbers[:, None] == picture_numbers[None])
    is_twin.fill_diagonal_(False)
    scores = torch.where(is_twin, scores.detach().min(), scores)
    targets = torch.arange(len(scores), device=scores.device)
    text_loss = F.cross_entropy(scores.T, targets, label_smoothing=smoothing)
    picture_loss = F.cross_entropy(scores, targets, label_smoothing=smoothing)
    if wrong_scores is not None and wrong_scores.shape[1]:
        # As the cross entropy over all texts, without smoothing over the additional ones.
        more = wrong_scores.logsumexp(1) - scores.logsumexp(1)
        picture_loss = picture_loss + F.softplus(more).mean()
    return (text_loss + picture_loss) / 2
