"""Third stage: compare designs of the joint space on held-back pictures, and train the best one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from evaluate import Recall, measure_recall
from joint_space import JointSpace, SpaceDesign, train_head_pair
from material import HeldOutSet, TrainingMaterial, choose_pictures
from progress import log_progress, save_atomically
from sizes import TrainingSizes
from torch import Tensor

SPACE_FILE = "space.pt"
FIRST = SpaceDesign(is_fine=False, uses_all_encoders=False, uses_new_sets=False, class_share=0.14)
DESIGNS: Mapping[str, SpaceDesign] = {
    "first": FIRST,  # that of the first model, without doduc/
    "pairs": replace(FIRST, uses_new_sets=True, class_share=0.25),
    "fine": SpaceDesign(uses_all_encoders=False),
    "encoders": SpaceDesign(),
    "few-classes": SpaceDesign(class_share=0.1),
    "dropout": SpaceDesign(dropout=0.55),
    "negatives": SpaceDesign(negatives=4096),
}


def train_space(
    material: TrainingMaterial, sizes: TrainingSizes, design: SpaceDesign, heads: int
) -> JointSpace:
    """Train a joint space with so many pairs of heads."""
    space = JointSpace(heads, design).to(material.tokens.device)
    photos, scenes, sentences = material.photos, material.scenes, material.sentences
    pools = photos.list_pools(with_new=design.uses_new_sets)
    scene_pools = scenes.list_pools()
    space.fit_inputs(
        photos.views.features[0], sentences[photos.captions[torch.cat(pools), 0]].float()
    )

    def draw_head_batch() -> tuple[Tensor, Tensor]:
        scene_count = sizes.head_batch // 6
        numbers = choose_pictures(pools, sizes.head_batch - scene_count, design.class_share)
        where, rows = photos.draw_pairs(numbers)
        scene_numbers = choose_pictures(scene_pools, scene_count, 0)
        where_scenes, scene_rows = scenes.draw_pairs(scene_numbers)
        features = photos.views.features[where], scenes.views.features[where_scenes]
        return torch.cat(features), torch.cat([rows, scene_rows])

    negatives = material.rows_by_text_kind["sentences"]
    for index in range(heads):
        loss = train_head_pair(space, index, sentences, draw_head_batch, negatives,
                               sizes.head_steps)  # fmt: skip
        log_progress(f"heads {index}: loss {loss:.3f}")
    space.fit_reduction(*_sample_both_kinds(material))
    return space.eval()


def _sample_both_kinds(material: TrainingMaterial) -> tuple[Tensor, Tensor]:
    """Return features of pictures, and sentence vectors of texts, that cover the material."""
    photos = material.photos
    view_sets = (photos.views, material.scenes.views, material.mixed_views)
    rows = torch.cat([*photos.captions[:, :2].T, material.rows_by_text_kind["sentences"]])
    return (
        torch.cat([views.features[0] for views in view_sets]), material.sentences[rows].float()
    )  # fmt: skip


def measure_space(space: JointSpace, held_out: HeldOutSet) -> Recall:
    """Return the recall of the space itself on a held-out set."""
    return measure_recall(
        space.embed_pictures(held_out.features),
        space.embed_texts(held_out.sentences.float()),
        held_out.is_right,
    )


def average_recall(recalls: Mapping[str, Recall]) -> float:
    """Return the figure to choose by: dev counts twice, captions and classes of new sets once."""
    total = 0.0
    weights = {"dev": 2, "new captions": 1, "new classes": 1}
    for name, weight in weights.items():
        for part in (recalls[name].text_to_image, recalls[name].image_to_text):
            total += weight * (part.r1 + part.r5 + part.r10) / 6
    return total / sum(weights.values())


def choose_space(
    material: TrainingMaterial,
    sizes: TrainingSizes,
    names: list[str],
    work: Path,
    align: Callable[[JointSpace], None] | None,
) -> None:
    """Compare designs with one pair of heads each; train and save the best with all heads.

    align: called with the trained space before it is saved.
    """
    if (work / SPACE_FILE).exists():
        log_progress("the space is trained already")
        return
    has_fine = material.photos.views.features.shape[-1] == sum(SpaceDesign().widths)
    designs = {name: DESIGNS[name] for name in names if has_fine or not DESIGNS[name].is_fine}
    figures = dict.fromkeys(designs, 0.0)
    for name, design in designs.items() if len(designs) > 1 else ():
        space = train_space(material, sizes, design, heads=1)
        figures[name] = _log_recalls(f"one pair of heads, {name}", space, material)
    best = max(figures, key=lambda name: figures[name])
    space = train_space(material, sizes, designs[best], heads=sizes.heads)
    if align is not None:
        align(space)
    _log_recalls(f"the space, {best}", space, material)
    save_atomically(space.save_state(), work / SPACE_FILE)


def _log_recalls(title: str, space: JointSpace, material: TrainingMaterial) -> float:
    recalls = {name: measure_space(space, each) for name, each in material.held_out_sets.items()}
    for name, recall in recalls.items():
        log_progress(f"{title}: {name}: {recall}")
    figure = average_recall(recalls)
    log_progress(f"{title}: average {figure:.2f}")
    return figure


def find_neighbors(space: JointSpace, material: TrainingMaterial, count: int) -> Tensor:
    """Return the numbers of the captioned photos whose captions fit each photo best, [n, count].

    The photo itself and photos with the same first caption are left out.
    """
    photos = material.photos
    pictures = space.embed_pictures(photos.views.features[0, photos.photos])
    texts = space.embed_texts(material.sentences[photos.captions[:, 0]].float())
    scores = pictures @ texts.T
    scores[photos.captions[:, :1] == photos.captions[None, :, 0]] = -1
    return scores.topk(min(count, len(scores) - 1)).indices
