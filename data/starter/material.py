"""Put the training material on the device, and draw the batches of the training steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Photos
from evaluate import mark_classes, mark_own_pictures, mark_twins
from photo_sets import Sources, is_class_photo
from prepare_texts import TrainingTexts
from progress import log_progress
from sizes import TrainingSizes
from teacher_features import Pictures, load_views
from tokenizers import Tokenizer
from torch import Tensor
from views import Render, Selection, Views, render_views

Pools = tuple[Tensor, Tensor]  # numbers of pictures with captions, and with names of classes
TEXT_SHARES = {"sentences": 0.35, "recombined": 0.2, "spans": 0.2, "phrases": 0.1, "objects": 0.15}


@dataclass(frozen=True)
class CaptionedViews:
    """Views of captioned pictures, and the captions of each as rows of the texts."""

    views: Views
    photos: Tensor  # [captioned], rows of the views
    captions: Tensor  # [captioned, columns], rows of the texts, repeated to fill the columns
    is_class: Tensor  # bool [captioned], whether the texts are names of classes
    is_new: Tensor  # bool [captioned], whether the photo is of a new set

    @classmethod
    def from_photos(
        cls, photos: Photos, views: Views, texts: TrainingTexts, new_sets: Sequence[str] = ()
    ) -> CaptionedViews:
        """Select the captioned photos."""
        device = views.pixels.device
        rows = [i for i, captions in enumerate(photos.captions) if captions]
        # 12 is a multiple of 1, 2, 3 and 4, so that the captions of a photo are equally probable.
        width = 12 * max(len(photos.captions[i]) for i in rows)
        captions = [
            ([texts.rows_by_caption[c] for c in photos.captions[i]] * width)[:width] for i in rows
        ]
        files = [photos.files[i] for i in rows]
        new = tuple(f"{name}/" for name in new_sets)
        return cls(
            views,
            torch.tensor(rows, device=device),
            torch.tensor(captions, device=device),
            torch.tensor(["/" in f and is_class_photo(f) for f in files], device=device),
            torch.tensor([f.startswith(new) if new else False for f in files], device=device),
        )

    def list_pools(self, *, with_new: bool = True) -> Pools:
        """Return the numbers of the pictures with captions, and with names of classes."""
        used = torch.ones_like(self.is_new) if with_new else ~self.is_new
        return torch.nonzero(used & ~self.is_class)[:, 0], torch.nonzero(used & self.is_class)[:, 0]

    def draw_pairs(self, numbers: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return `where` for a random view of each picture, and the row of a random caption."""
        column = torch.randint(0, self.captions.shape[1], numbers.shape, device=numbers.device)
        return self.views.pick_random(self.photos[numbers]), self.captions[numbers, column]


def choose_pictures(pools: Pools, count: int, class_share: float) -> Tensor:
    """Return numbers of random captioned pictures, each once if there are enough."""
    class_count = int(class_share * count) if len(pools[1]) else 0
    return torch.cat(
        [sample_rows(pools[0], count - class_count), sample_rows(pools[1], class_count)]
    )


def sample_rows(rows: Tensor, count: int) -> Tensor:
    """Return random rows; no row twice if there are enough."""
    if count > len(rows):
        return rows[torch.randint(0, len(rows), (count,), device=rows.device)]
    return rows[torch.randperm(len(rows), device=rows.device)[:count]]


@dataclass(frozen=True)
class HeldOutSet:
    """Pictures and captions that are not trained on, to measure recall."""

    pixels: Tensor  # as in Photos
    features: Tensor  # features of the teachers, half [pictures, features]
    tokens: Tensor  # [texts, MAX_TOKENS]
    sentences: Tensor  # half [texts, sum(SENTENCE_WIDTHS)]
    is_right: Tensor  # bool [texts, pictures]

    @classmethod
    def from_photos(
        cls, name: str, photos: Photos, features: Tensor, texts: TrainingTexts, device: torch.device
    ) -> HeldOutSet:
        """Collect the texts of held-back pictures; name: as in Pictures.held_back."""
        mark = {"new classes": mark_classes, "scenes": mark_twins}.get(name, mark_own_pictures)
        captions, is_right = mark(photos.captions)
        rows = torch.tensor([texts.rows_by_caption[caption] for caption in captions])
        return cls(
            photos.pixels.to(device), features.to(device), texts.tokens[rows].int().to(device),
            texts.sentences[rows].to(device), is_right.to(device),
        )  # fmt: skip


@dataclass(frozen=True)
class TrainingMaterial:
    """The training material, on the device."""

    photos: CaptionedViews
    scenes: CaptionedViews
    mixed_views: Views
    held_out_sets: dict[str, HeldOutSet]
    tokens: Tensor  # int16 [texts, MAX_TOKENS]
    sentences: Tensor  # half [texts, sum(SENTENCE_WIDTHS)]
    rows_by_text_kind: dict[str, Tensor]  # rows of tokens and sentences
    tokenizer: Tokenizer


@dataclass
class TrainingBatch:
    """Pictures and texts of one training step; the first pair_count of each are pairs."""

    pixels: Tensor
    teacher_features: Tensor
    text_rows: Tensor
    picture_numbers: Tensor  # [pair_count], equal for views of the same picture
    pair_count: int


def load_material(
    sources: Sources, work: Path, sizes: TrainingSizes, seed: int, device: torch.device
) -> TrainingMaterial:
    """Load what the stages before wrote, and decode the pictures."""
    texts = TrainingTexts.load(work)
    pictures = Pictures.load(sources, sizes)
    held_back = torch.load(work / "features" / "held-back.pt")
    pixels, scene_pixels = pictures.photos.pixels.to(device), pictures.scenes.pixels.to(device)
    views = load_views(work, "photos", pixels, sizes, seed)
    scene_views = load_views(work, "scenes", scene_pixels, sizes, seed)
    mixed = load_views(work, "mixed", pixels, sizes, seed)
    log_progress(f"{len(views.features)} rounds of views of photos, {len(scene_views.features)} "
                 f"of scenes, {len(mixed.features)} of mixed photos")  # fmt: skip
    return TrainingMaterial(
        photos=CaptionedViews.from_photos(
            pictures.photos, views, texts, list(sources.more["sets"])
        ),
        scenes=CaptionedViews.from_photos(pictures.scenes, scene_views, texts),
        mixed_views=mixed,
        held_out_sets={
            name: HeldOutSet.from_photos(name, photos, held_back[name], texts, device)
            for name, photos in pictures.held_back.items()
        },
        tokens=texts.tokens.to(device),
        sentences=texts.sentences.to(device),
        rows_by_text_kind={
            kind: torch.tensor(rows, device=device) for kind, rows in texts.rows_by_kind.items()
        },
        tokenizer=texts.tokenizer,
    )


class BatchDrawer:
    """Draw the batches of the student: pairs, photos without captions, mixed photos, and texts."""

    def __init__(
        self,
        material: TrainingMaterial,
        sizes: TrainingSizes,
        neighbors: Tensor | None,
        render: Render | None = None,
    ) -> None:
        """neighbors: numbers of the nearest other photos of each captioned photo."""
        self._material, self._sizes, self._neighbors = material, sizes, neighbors
        self._render = render
        self._photo_pools = material.photos.list_pools()
        self._scene_pools = material.scenes.list_pools()

    def draw(self) -> TrainingBatch:
        """Return a random batch."""
        material, sizes = self._material, self._sizes
        numbers = self._choose_photos()
        photos, rows = material.photos.draw_pairs(numbers)
        scene_numbers = choose_pictures(self._scene_pools, sizes.scenes, 0)
        scenes, scene_rows = material.scenes.draw_pairs(scene_numbers)
        all_photos = torch.arange(len(material.mixed_views.pixels), device=numbers.device)
        loose = material.photos.views.pick_random(sample_rows(all_photos, sizes.loose_photos))
        mixed = material.mixed_views.pick_random(sample_rows(all_photos, sizes.mixed))
        selections: list[Selection] = [
            (material.photos.views, photos),
            (material.scenes.views, scenes),
            (material.photos.views, loose),
            (material.mixed_views, mixed),
        ]
        text_rows = [
            self._draw_texts(kind, int(share * sizes.texts)) for kind, share in TEXT_SHARES.items()
        ]
        return TrainingBatch(
            pixels=render_views(selections, sizes.side, self._render),
            teacher_features=torch.cat([views.features[where] for views, where in selections]),
            text_rows=torch.cat([rows, scene_rows, *text_rows]),
            picture_numbers=torch.cat([numbers, -1 - scene_numbers]),
            pair_count=len(rows) + len(scene_rows),
        )

    def _draw_texts(self, kind: str, count: int) -> Tensor:
        rows = self._material.rows_by_text_kind[kind]
        return rows[torch.randint(0, len(rows), (count,), device=rows.device)]

    def _choose_photos(self) -> Tensor:
        """Choose captioned photos; a share of them are neighbors of other ones of the batch."""
        sizes = self._sizes
        hard_count = int(sizes.hard_negatives * sizes.pairs) if self._neighbors is not None else 0
        numbers = choose_pictures(self._photo_pools, sizes.pairs - hard_count, sizes.class_share)
        if self._neighbors is None or not hard_count:
            return numbers
        near = self._neighbors[sample_rows(numbers, hard_count)]
        column = torch.randint(0, near.shape[1], (hard_count, 1), device=near.device)
        return torch.cat([numbers, near.gather(1, column)[:, 0]])
