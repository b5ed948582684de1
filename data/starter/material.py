"""What training draws from, on the device: captioned views, scenes, mixed pictures, and texts."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Photos, Texts, load_photos, load_scenes, recombine, spans
from evaluate import twins
from student import encode, train_tokenizer
from targets import take_views
from teachers import Teachers, sentence_vectors
from tokenizers import Tokenizer
from torch import Tensor
from views import Views

START = time.monotonic()


@dataclass(frozen=True)
class Sources:
    """Where the material lies; see train.py's docstring."""

    photos: Path
    captions: Path
    scenes: Path
    teachers: Path


@dataclass(frozen=True)
class Sizes:
    """How much of everything: a smoke test on a CPU takes less."""

    # Views of each, taken once:
    views: int = 20
    scene_views: int = 5
    mixed_views: int = 12
    held_scenes: int = 300  # not trained on
    recombined: int = 120_000
    # The heads of the space that the student learns:
    heads: int = 6
    head_steps: int = 900
    head_batch: int = 2048
    # A step's pictures, of which the first two are paired with captions, and its further texts:
    pairs: int = 640
    scenes: int = 160
    plain: int = 224
    mixed: int = 512
    texts: int = 1024
    limit: int | None = None


SMOKE = Sizes(views=2, scene_views=2, mixed_views=1, held_scenes=8, recombined=50, heads=2,
              head_steps=4, head_batch=16, pairs=8, scenes=4, plain=2, mixed=2, texts=16,
              limit=48)  # fmt: skip


@dataclass(frozen=True)
class Captioned:
    """Views of captioned pictures, and each one's captions as rows of the texts."""

    views: Views
    photos: Tensor  # [captioned], rows of the views
    captions: Tensor  # [captioned, most captions], repeated to that width

    @classmethod
    def of(cls, photos: Photos, views: Views, texts: Texts) -> Captioned:
        """Gather the captioned ones among photos."""
        device, rows = views.pixels.device, photos.captioned()
        # Repeated to a common multiple's worth of columns, so that each caption is as likely.
        width = 12 * max(len(photos.captions[i]) for i in rows)
        captions = [(texts.add(photos.captions[i]) * width)[:width] for i in rows]
        return cls(views, torch.tensor(rows, device=device), torch.tensor(captions, device=device))

    def draw(self, count: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Choose pictures and a caption of each: (where among the views, rows of the texts)."""
        device = self.photos.device
        chosen = torch.randperm(len(self.photos), device=device)[:count]
        column = torch.randint(0, self.captions.shape[1], chosen.shape, device=device)
        return self.views.pick(self.photos[chosen]), self.captions[chosen, column]


@dataclass(frozen=True)
class Exam:
    """Pictures and captions that are never trained on, to measure the recall with."""

    pixels: Tensor  # as in Photos
    features: Tensor  # what the teachers see in them
    tokens: Tensor  # [captions, LENGTH]
    sentences: Tensor  # [captions, 384]
    truth: Tensor  # [captions], each one's picture
    group: Tensor  # [pictures], equal for those with a caption in common


@dataclass(frozen=True)
class Material:
    """All that training draws from, on the device."""

    photos: Captioned
    scenes: Captioned
    plain: Tensor  # rows of the photos' views without captions
    mixed: Views
    exams: dict[str, Exam]
    tokens: Tensor  # [texts, LENGTH]
    sentences: Tensor  # [texts, 384], MiniLM's
    kinds: dict[str, Tensor]  # rows of the texts
    tokenizer: Tokenizer


@dataclass
class Batch:
    """One step's pictures (the paired ones first) and texts (likewise)."""

    pixels: Tensor
    features: Tensor
    rows: Tensor
    pairs: int


def say(*words: object) -> None:
    """Print with the seconds since the start."""
    print(f"[{time.monotonic() - START:.0f}]", *words, flush=True)


def prepare(sources: Sources, sizes: Sizes, seed: int, device: torch.device) -> Material:
    """Read everything, embed the texts, and take the views."""
    listed = json.loads(sources.captions.read_text())
    photos, dev = load_photos(sources.photos, listed, sizes.limit)
    scenes, held = load_scenes(sources.scenes, sizes.held_scenes, sizes.limit)
    say(len(photos), "photos,", len(dev), "dev photos,", len(scenes), "scenes")

    texts = Texts()
    own = [c for captions in photos.captions for c in captions]
    rendered = [c for captions in scenes.captions for c in captions]
    texts.add(own + rendered)
    sentences, phrases = listed["sentences"][: sizes.limit], listed["phrases"][: sizes.limit]
    whole = [*own, *sentences, *dict.fromkeys(rendered)]
    kinds = {
        "sentences": texts.add(sentences),
        "recombined": texts.add(recombine(whole, sizes.recombined, seed)),
        "spans": texts.add(spans(whole, seed)),
        "phrases": texts.add(phrases),
    }
    tokenizer = train_tokenizer([*own, *rendered, *sentences, *listed["phrases"]])
    labels = ["a photo of a " + label.split(",")[0] for label in listed["imagenet_labels"]]
    vectors = sentence_vectors(texts.all + labels, sources.teachers, device)
    tokens = encode(tokenizer, texts.all, device)
    say(len(texts.all), "texts")

    teachers, classes = Teachers(sources.teachers, device), vectors[-len(labels) :]

    def exam(pictures: Photos) -> Exam:
        captions = [c for several in pictures.captions for c in several]
        truth = [i for i, several in enumerate(pictures.captions) for _ in several]
        views = take_views(pictures, 1, teachers, classes)
        return Exam(
            pixels=views.pixels,
            features=views.features[0],
            tokens=encode(tokenizer, captions, device),
            sentences=sentence_vectors(captions, sources.teachers, device),
            truth=torch.tensor(truth, device=device),
            group=torch.tensor(twins(pictures.captions), device=device),
        )

    exams = {"dev": exam(dev), "held-out scenes": exam(held)}
    views = take_views(photos, sizes.views, teachers, classes)
    say("views of the photos taken")
    mixed = take_views(photos, sizes.mixed_views, teachers, classes, mixed=True)
    scene_views = take_views(scenes, sizes.scene_views, teachers, classes)
    say("all views taken")
    uncaptioned = sorted(set(range(len(photos))) - set(photos.captioned()))
    return Material(
        photos=Captioned.of(photos, views, texts),
        scenes=Captioned.of(scenes, scene_views, texts),
        plain=torch.tensor(uncaptioned, device=device),
        mixed=mixed,
        exams=exams,
        tokens=tokens,
        sentences=vectors[: len(texts.all)],
        kinds={kind: torch.tensor(rows, device=device) for kind, rows in kinds.items()},
        tokenizer=tokenizer,
    )


def draw_batch(material: Material, sizes: Sizes, side: int) -> Batch:
    """Draw pairs of photos and of scenes, then photos without captions, and further texts."""
    device = material.plain.device

    def some(rows: Tensor, count: int) -> Tensor:
        return rows[torch.randint(0, len(rows), (count,), device=device)]

    photos, rows = material.photos.draw(sizes.pairs)
    scenes, more = material.scenes.draw(sizes.scenes)
    everything = torch.arange(len(material.mixed.pixels), device=device)
    drawn = [
        (material.photos.views, photos),
        (material.scenes.views, scenes),
        (material.photos.views, material.photos.views.pick(some(material.plain, sizes.plain))),
        (material.mixed, material.mixed.pick(some(everything, sizes.mixed))),
    ]
    shares = {"sentences": 0.3, "recombined": 0.3, "spans": 0.2, "phrases": 0.2}
    further = [some(material.kinds[k], int(share * sizes.texts)) for k, share in shares.items()]
    return Batch(
        pixels=torch.cat([views.render(where, side) for views, where in drawn]),
        features=torch.cat([views.features[where] for views, where in drawn]),
        rows=torch.cat([rows, more, *further]),
        pairs=len(rows) + len(more),
    )
