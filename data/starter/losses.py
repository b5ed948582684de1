"""The loss of the student: what it learns from pairs, from the joint space, and from teachers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from joint_space import JointSpace, contrastive_loss
from material import TrainingBatch, TrainingMaterial
from teachers import FEATURE_WIDTHS, standardize_pixels
from torch import Tensor, nn
from transformers import SiglipModel
from views import erase_parts

FLIP_PROBABILITY, ERASE_PROBABILITY, WORD_DROP_PROBABILITY = 0.5, 0.35, 0.06
PREDICTED_WIDTHS = FEATURE_WIDTHS[:4]  # features that are predicted from the student's mean token
FEATURE_LOSS_WEIGHTS = (1.0, 0.5, 0.5, 0.5)


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
    ids = material.tokens[batch.text_rows].int()
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
    text_target = space.embed_texts(material.sentences[batch.text_rows].float())

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
            model.logit_scale.exp().clamp(max=80) * similarity,
            batch.text_rows[:n],
            batch.picture_numbers,
        ),
        "picture": (1 - (picture * picture_target).sum(-1)).mean(),
        "text": (1 - (text * text_target).sum(-1)).mean(),
        "relations": (text_loss + picture_loss) / 2,
        "features": torch.stack(features).sum(),
    }
    weights = {"picture": 6.0, "text": 6.0}
    return torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum(), parts
