"""First stage: collect the texts, train the tokenizer, and embed the texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from corpus import (
    Texts,
    choose_held_back,
    choose_scenes,
    choose_training_captions,
    compose_object_texts,
    cut_spans,
    recombine_captions,
)
from photo_sets import Captions, Sources
from progress import log_progress, save_atomically
from sizes import TrainingSizes
from student import MAX_TOKENS, tokenize_texts, train_tokenizer
from teachers import embed_sentences
from tokenizers import Tokenizer
from torch import Tensor

TEXTS_FILE, TOKENIZER_FILE = "texts.pt", "tokenizer.json"


@dataclass(frozen=True)
class TrainingTexts:
    """All texts, with what the stages after this one need to know of them."""

    tokens: Tensor  # int16 [texts, MAX_TOKENS]
    sentences: Tensor  # half [texts, sum(SENTENCE_WIDTHS)]
    rows_by_kind: dict[str, list[int]]
    rows_by_caption: dict[str, int]  # of photos, scenes and held-back pictures
    tokenizer: Tokenizer

    @classmethod
    def load(cls, work: Path) -> TrainingTexts:
        """Read the texts that prepare_texts wrote."""
        saved: dict[str, Any] = torch.load(work / TEXTS_FILE)
        return cls(**saved, tokenizer=Tokenizer.from_file(str(work / TOKENIZER_FILE)))


def prepare_texts(
    sources: Sources,
    work: Path,
    sizes: TrainingSizes,
    seed: int,
    device: torch.device,
    tokenizer_file: Path | None,
) -> None:
    """Write the texts of a material folder to the folder `work`, unless they are there.

    tokenizer_file: use this tokenizer instead of training one.
    """
    if (work / TEXTS_FILE).exists():
        log_progress("the texts are prepared already")
        return
    held_back = choose_held_back(sources, sizes.limit)
    captions = {
        "photos": _flatten(choose_training_captions(sources, sizes.limit)),
        "scenes": list(dict.fromkeys(_flatten(choose_scenes(sources, sizes.limit)))),
        "held back": [text for own in held_back.values() for text in _flatten(own)],
    }
    loose = sources.list_loose_captions()[: sizes.limit]
    phrases = sources.first["phrases"][: sizes.limit]
    known = [*captions["photos"], *loose, *captions["scenes"]]
    texts = Texts()
    all_captions = [caption for kind in captions.values() for caption in kind]
    rows_by_caption = dict(zip(all_captions, texts.add_texts(all_captions), strict=True))
    objects = compose_object_texts(phrases, known, sizes.object_texts, seed)
    kinds = {
        "sentences": texts.add_texts(loose),
        "recombined": texts.add_texts(recombine_captions(known, sizes.recombined_texts, seed)),
        "spans": texts.add_texts(cut_spans(known, seed)),
        "phrases": texts.add_texts(phrases),
        "objects": texts.add_texts(objects),
    }
    if tokenizer_file:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    else:
        tokenizer = train_tokenizer([*known, *sources.first["phrases"]])
    tokenizer.save(str(work / TOKENIZER_FILE))
    log_progress(len(texts.texts), "texts; the tokenizer is ready")
    vectors = embed_sentences(texts.texts, sources.folder / "teachers", device)
    count = len(texts.texts)
    tokens = tokenize_texts(tokenizer, texts.texts, torch.device("cpu"))
    assert tokens.shape == (count, MAX_TOKENS)
    saved = {
        "tokens": tokens.to(torch.int16),
        "sentences": vectors.cpu(),
        "rows_by_kind": kinds,
        "rows_by_caption": rows_by_caption,
    }
    save_atomically(saved, work / TEXTS_FILE)
    log_progress(count, "texts are embedded")


def _flatten(captions: Captions) -> list[str]:
    return [text for texts in captions.values() for text in texts]
