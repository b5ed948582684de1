"""Second stage: let the teachers describe random views of all pictures, round by round."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Photos, choose_held_back, choose_scenes, load_files, load_training_photos
from photo_sets import Sources
from progress import TimeBudget, log_progress, save_atomically
from sizes import TrainingSizes
from teachers import (
    FEATURE_WIDTHS,
    FINE_SIDE_PX,
    FINE_WIDTHS,
    FIRST_SENTENCE_WIDTH,
    TEACHER_SIDE_PX,
    ImageTeachers,
    embed_sentences,
)
from torch import Tensor
from views import Views, draw_view_recipes, render_views

KINDS = ("photos", "scenes", "mixed")  # the order determines the seeds of the views


@dataclass(frozen=True)
class Pictures:
    """All pictures in memory, on the CPU."""

    photos: Photos
    scenes: Photos
    held_back: dict[str, Photos]  # photos and scenes that are not trained on, by name

    @classmethod
    def load(cls, sources: Sources, sizes: TrainingSizes) -> Pictures:
        """Decode the pictures of a material folder."""
        photos = load_training_photos(sources, sizes.limit)
        all_scenes, count = [*choose_scenes(sources, sizes.limit).items()], sizes.held_out_scenes
        scenes = load_files(sources.folder / "scenes", dict(all_scenes[count:]))
        held_back = {
            name: load_files(sources.folder / "photos", captions)
            for name, captions in choose_held_back(sources, sizes.limit).items()
        }
        held_back["scenes"] = load_files(sources.folder / "scenes", dict(all_scenes[:count]))
        counts = ", ".join(f"{len(each)} of {name}" for name, each in held_back.items())
        log_progress(f"{len(photos)} photos, {len(scenes)} scenes; held back: {counts}")
        return cls(photos, scenes, held_back)

    def get_kind(self, kind: str) -> Photos:
        """Return the pictures that views of a kind show."""
        return self.scenes if kind == "scenes" else self.photos


def count_rounds(sizes: TrainingSizes) -> dict[str, int]:
    """Return the number of rounds of views of each kind."""
    return {"photos": sizes.views, "scenes": sizes.scene_views, "mixed": sizes.mixed_views}


def draw_round(
    kind: str, round_number: int, photos: int, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Return the recipes of a round of views; the first shows photos and scenes unchanged."""
    return draw_view_recipes(
        photos,
        seed * 1_000_003 + KINDS.index(kind) * 1000 + round_number,
        mixed=kind == "mixed",
        unchanged=round_number == 0 and kind != "mixed",
    )


def _get_round_file(work: Path, kind: str, round_number: int) -> Path:
    return work / "features" / f"{kind}-{round_number:02}.pt"


class FeatureMaker:
    """Describe views of pictures with the teachers."""

    def __init__(
        self, teachers: ImageTeachers, classes: Tensor, *, is_fine: bool, batch: int
    ) -> None:
        self._teachers, self._classes = teachers, classes
        self._is_fine, self._batch = is_fine, batch

    def describe(self, pixels: Tensor, recipes: Tensor, blends: Tensor | None) -> Tensor:
        """Return the features of one round of views, half [photos, features], on the CPU."""
        views = Views(pixels, recipes[None], None if blends is None else blends[None], pixels)
        parts = []
        for rows in torch.arange(len(pixels), device=pixels.device).split(self._batch):
            where = torch.zeros_like(rows), rows
            rendered = render_views([(views, where)], TEACHER_SIDE_PX)
            fine = render_views([(views, where)], FINE_SIDE_PX) if self._is_fine else None
            parts.append(self._teachers.extract_features(rendered, fine, self._classes))
        return torch.cat(parts).cpu()


def embed_class_names(sources: Sources, device: torch.device) -> Tensor:
    """Return the first sentence encoder's vectors of ImageNet's class names, [1000, 384]."""
    names = ["a photo of a " + label.split(",")[0] for label in sources.first["imagenet_labels"]]
    vectors = embed_sentences(names, sources.folder / "teachers", device)
    return vectors[:, :FIRST_SENTENCE_WIDTH].float().to(device)


@torch.no_grad()
def make_features(
    sources: Sources,
    work: Path,
    sizes: TrainingSizes,
    seed: int,
    device: torch.device,
    budget: TimeBudget,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Write the features that are missing to the folder `work`, until the time is over.

    share: number of this call, and count of the calls that divide the rounds among them. A round is
    one file, so a later call continues after the last complete round. The rounds of all kinds are
    interleaved, so that a part of them can be used as well.
    """
    rounds = count_rounds(sizes)
    planned = [
        (kind, number)
        for number in range(max(rounds.values()))
        for kind in KINDS
        if number < rounds[kind]
    ]
    wanted = [
        each for each in planned[share[0] :: share[1]] if not _get_round_file(work, *each).exists()
    ]
    held_back_file = work / "features" / "held-back.pt"
    is_first = share[0] == 0  # it describes the held-back pictures
    if not wanted and (held_back_file.exists() or not is_first):
        log_progress("the features are there already")
        return
    pictures = Pictures.load(sources, sizes)
    maker = FeatureMaker(
        ImageTeachers(sources.folder / "teachers", device),
        embed_class_names(sources, device),
        is_fine=sizes.has_fine_features,
        batch=1024 if device.type == "cuda" else 32,
    )
    if is_first and not held_back_file.exists():
        saved = {
            name: maker.describe(photos.pixels.to(device),
                                 draw_round("photos", 0, len(photos), seed)[0].to(device), None)
            for name, photos in pictures.held_back.items()
        }  # fmt: skip
        save_atomically(saved, held_back_file)
    pixels = {
        "photos": pictures.photos.pixels.to(device), "scenes": pictures.scenes.pixels.to(device),
    }  # fmt: skip
    pixels["mixed"] = pixels["photos"]
    slowest_s = 0.0
    for kind, number in wanted:
        if not budget.has_time(1.2 * slowest_s):
            log_progress("the time for features is over; another call makes the other rounds")
            return
        started_at = time.monotonic()
        recipes, blends = draw_round(kind, number, len(pixels[kind]), seed)
        features = maker.describe(
            pixels[kind], recipes.to(device), None if blends is None else blends.to(device)
        )
        save_atomically(features, _get_round_file(work, kind, number))
        seconds = time.monotonic() - started_at
        slowest_s = max(slowest_s, seconds)
        log_progress(f"features: {kind} {number}, {len(features) / seconds:.0f} views/s")


def load_views(work: Path, kind: str, pixels: Tensor, sizes: TrainingSizes, seed: int) -> Views:
    """Return the views of a kind with the features that exist, on the device of the pixels."""
    features, recipes, blends = [], [], []
    for number in range(count_rounds(sizes)[kind]):
        file = _get_round_file(work, kind, number)
        if file.exists():
            features.append(torch.load(file).to(pixels.device))
            recipe, blend = draw_round(kind, number, len(pixels), seed)
            recipes.append(recipe)
            if blend is not None:
                blends.append(blend)
    return Views(
        pixels,
        torch.stack(recipes).to(pixels.device),
        torch.stack(blends).to(pixels.device) if blends else None,
        torch.stack(features),
    )


def count_feature_columns(*, is_fine: bool) -> int:
    """Return the number of features of a view."""
    return sum(FEATURE_WIDTHS) + (sum(FINE_WIDTHS) if is_fine else 0)
