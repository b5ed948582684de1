"""Prepare the training material on the device, and draw the batches of the training steps."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Photos, Texts, cut_spans, load_photos, load_scenes, recombine_captions
from evaluate import group_twins
from joint_space import make_views
from student import tokenize_texts, train_tokenizer
from teachers import ImageTeachers, embed_sentences
from tokenizers import Tokenizer
from torch import Tensor
from views import Views

STARTED_AT = time.monotonic()


@dataclass(frozen=True)
class SourcePaths:
    """Folders and files of the training material; train.py's docstring describes them."""

    photos: Path
    captions: Path
    scenes: Path
    teachers: Path


@dataclass(frozen=True)
class TrainingSizes:
    """Amounts of training material; SMOKE_TEST_SIZES is for a quick test on a CPU."""

    # Views per picture, rendered once:
    views: int = 20
    scene_views: int = 5
    mixed_views: int = 12
    held_out_scenes: int = 300  # not trained on
    recombined_texts: int = 120_000
    # Heads of the joint space that the student learns:
    heads: int = 6
    head_steps: int = 900
    head_batch: int = 2048
    # Contents of a batch:
    pairs: int = 640  # photos with a caption each
    scenes: int = 160  # rendered scenes with a caption each
    uncaptioned_photos: int = 224
    mixed: int = 512
    texts: int = 1024  # additional texts
    limit: int | None = None  # of files and texts that are read


SMOKE_TEST_SIZES = TrainingSizes(
    views=2,
    scene_views=2,
    mixed_views=1,
    held_out_scenes=8,
    recombined_texts=50,
    heads=2,
    head_steps=4,
    head_batch=16,
    pairs=8,
    scenes=4,
    uncaptioned_photos=2,
    mixed=2,
    texts=16,
    limit=48,
)


@dataclass(frozen=True)
class CaptionedViews:
    """Views of captioned pictures, and the captions of each as rows of the texts."""

    views: Views
    photos: Tensor  # [captioned], rows of the views
    captions: Tensor  # [captioned, columns], rows of the texts, repeated to fill the columns

    @classmethod
    def from_photos(cls, photos: Photos, views: Views, texts: Texts) -> CaptionedViews:
        """Select the captioned photos; their captions are added to texts."""
        device, rows = views.pixels.device, photos.list_captioned_rows()
        # 12 is a multiple of 1, 2, 3 and 4, so that the captions of a photo are equally probable.
        width = 12 * max(len(photos.captions[i]) for i in rows)
        captions = [(texts.add_texts(photos.captions[i]) * width)[:width] for i in rows]
        return cls(views, torch.tensor(rows, device=device), torch.tensor(captions, device=device))

    def draw_pairs(self, count: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return random pictures as indexes of views, and a caption of each as rows of texts."""
        device = self.photos.device
        chosen = torch.randperm(len(self.photos), device=device)[:count]
        column = torch.randint(0, self.captions.shape[1], chosen.shape, device=device)
        return self.views.pick_random(self.photos[chosen]), self.captions[chosen, column]


@dataclass(frozen=True)
class HeldOutSet:
    """Pictures and captions that are not trained on, to measure recall."""

    pixels: Tensor  # as in Photos
    features: Tensor  # features of the teachers, half [pictures, features]
    tokens: Tensor  # [captions, MAX_TOKENS]
    sentences: Tensor  # [captions, 384], sentence vectors
    picture_indexes: Tensor  # [captions], the picture of each caption
    group: Tensor  # [pictures], equal for pictures that share a caption


@dataclass(frozen=True)
class TrainingMaterial:
    """The training material, on the device."""

    photos: CaptionedViews
    scenes: CaptionedViews
    uncaptioned_rows: Tensor  # photos without captions, as rows of photos.views
    mixed_views: Views
    held_out_sets: dict[str, HeldOutSet]
    tokens: Tensor  # [texts, MAX_TOKENS]
    sentences: Tensor  # [texts, 384], sentence vectors of MiniLM
    rows_by_text_kind: dict[str, Tensor]  # rows of tokens and sentences
    tokenizer: Tokenizer


@dataclass
class TrainingBatch:
    """Pictures and texts of one training step; the first pair_count of each are pairs."""

    pixels: Tensor
    teacher_features: Tensor
    text_rows: Tensor
    pair_count: int


def log_progress(*words: object) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED_AT:.0f}]", *words, flush=True)


def prepare_material(
    sources: SourcePaths, sizes: TrainingSizes, seed: int, device: torch.device
) -> TrainingMaterial:
    """Read photos, scenes and texts, embed the texts, and compute the teachers' features."""
    captions_data = json.loads(sources.captions.read_text())
    photos, dev = load_photos(sources.photos, captions_data, sizes.limit)
    scenes, held_out_scenes = load_scenes(sources.scenes, sizes.held_out_scenes, sizes.limit)
    log_progress(len(photos), "photos,", len(dev), "dev photos,", len(scenes), "scenes")

    texts = Texts()
    photo_captions = [c for captions in photos.captions for c in captions]
    scene_captions = [c for captions in scenes.captions for c in captions]
    texts.add_texts(photo_captions + scene_captions)
    sentences, phrases = (
        captions_data["sentences"][: sizes.limit],
        captions_data["phrases"][: sizes.limit],
    )
    all_captions = [*photo_captions, *sentences, *dict.fromkeys(scene_captions)]
    kinds = {
        "sentences": texts.add_texts(sentences),
        "recombined": texts.add_texts(
            recombine_captions(all_captions, sizes.recombined_texts, seed)
        ),
        "spans": texts.add_texts(cut_spans(all_captions, seed)),
        "phrases": texts.add_texts(phrases),
    }
    tokenizer = train_tokenizer(
        [*photo_captions, *scene_captions, *sentences, *captions_data["phrases"]]
    )
    labels = ["a photo of a " + label.split(",")[0] for label in captions_data["imagenet_labels"]]
    vectors = embed_sentences(texts.texts + labels, sources.teachers, device)
    tokens = tokenize_texts(tokenizer, texts.texts, device)
    log_progress(len(texts.texts), "texts")

    teachers, classes = ImageTeachers(sources.teachers, device), vectors[-len(labels) :]

    def make_held_out_set(pictures: Photos) -> HeldOutSet:
        captions = [c for picture_captions in pictures.captions for c in picture_captions]
        indexes = [i for i, texts in enumerate(pictures.captions) for _ in texts]
        views = make_views(pictures, 1, teachers, classes)
        return HeldOutSet(
            pixels=views.pixels,
            features=views.features[0],
            tokens=tokenize_texts(tokenizer, captions, device),
            sentences=embed_sentences(captions, sources.teachers, device),
            picture_indexes=torch.tensor(indexes, device=device),
            group=torch.tensor(group_twins(pictures.captions), device=device),
        )

    held_out_sets = {
        "dev": make_held_out_set(dev),
        "held-out scenes": make_held_out_set(held_out_scenes),
    }
    views = make_views(photos, sizes.views, teachers, classes)
    log_progress("teachers have embedded the photos")
    mixed = make_views(photos, sizes.mixed_views, teachers, classes, mixed=True)
    scene_views = make_views(scenes, sizes.scene_views, teachers, classes)
    log_progress("teachers have embedded all pictures")
    uncaptioned = sorted(set(range(len(photos))) - set(photos.list_captioned_rows()))
    return TrainingMaterial(
        photos=CaptionedViews.from_photos(photos, views, texts),
        scenes=CaptionedViews.from_photos(scenes, scene_views, texts),
        uncaptioned_rows=torch.tensor(uncaptioned, device=device),
        mixed_views=mixed,
        held_out_sets=held_out_sets,
        tokens=tokens,
        sentences=vectors[: len(texts.texts)],
        rows_by_text_kind={kind: torch.tensor(rows, device=device) for kind, rows in kinds.items()},
        tokenizer=tokenizer,
    )


def draw_batch(material: TrainingMaterial, sizes: TrainingSizes, side: int) -> TrainingBatch:
    """Draw a batch: pairs of photos and scenes, uncaptioned and mixed photos, and texts."""
    device = material.uncaptioned_rows.device

    def sample_rows(rows: Tensor, count: int) -> Tensor:
        return rows[torch.randint(0, len(rows), (count,), device=device)]

    photos, rows = material.photos.draw_pairs(sizes.pairs)
    scenes, scene_rows = material.scenes.draw_pairs(sizes.scenes)
    mixed_rows = torch.arange(len(material.mixed_views.pixels), device=device)
    views_and_positions = [
        (material.photos.views, photos),
        (material.scenes.views, scenes),
        (
            material.photos.views,
            material.photos.views.pick_random(
                sample_rows(material.uncaptioned_rows, sizes.uncaptioned_photos)
            ),
        ),
        (
            material.mixed_views,
            material.mixed_views.pick_random(sample_rows(mixed_rows, sizes.mixed)),
        ),
    ]
    shares = {"sentences": 0.3, "recombined": 0.3, "spans": 0.2, "phrases": 0.2}
    text_rows = [
        sample_rows(material.rows_by_text_kind[k], int(share * sizes.texts))
        for k, share in shares.items()
    ]
    return TrainingBatch(
        pixels=torch.cat([views.render_views(where, side) for views, where in views_and_positions]),
        teacher_features=torch.cat([views.features[where] for views, where in views_and_positions]),
        text_rows=torch.cat([rows, scene_rows, *text_rows]),
        pair_count=len(rows) + len(scene_rows),
    )
