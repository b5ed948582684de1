"""How well a model finds pictures by their captions, and captions by their pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchapp.bench.captions import Captioned, CaptionsError
from searchapp.engines import Engine, EngineInput, Vector
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.models import document_prompt, prompt_for
from searchapp.pictures import decode
from searchapp.search import query_vector
from searchapp.types import Progress

BATCH = 64
READERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The share of questions whose answer is among the best 1, 5, 10, in %, and its median rank."""

    r1: float
    r5: float
    r10: float
    median_rank: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Both directions over all captions and images."""

    images: int
    captions: int
    text_to_image: Ranks
    image_to_text: Ranks


def evaluate(
    engine: Engine, pictures: Sequence[Captioned], folder: Path
) -> Iterator[Progress | Evaluation]:
    """Embed pictures and captions, and yield progress; the Evaluation is the last.

    Raise CaptionsError where a picture is missing or broken: figures over fewer pictures than the
    data set has would be wrong.
    """
    missing = [picture.file for picture in pictures if not (folder / picture.file).is_file()]
    if missing:
        raise CaptionsError(
            f"{len(missing)} of {len(pictures)} pictures are not in {folder}, such as {missing[0]}"
        )
    texts = [
        EngineInput(prompt_for(engine.spec, "text", caption))
        for picture in pictures
        for caption in picture.captions
    ]
    owner = np.repeat(np.arange(len(pictures)), [len(p.captions) for p in pictures])
    total, done = len(pictures) + len(texts), 0
    seen: list[Vector] = []
    read: list[Vector] = []
    for batch in _prepared(engine, pictures, folder):
        seen += query_vector.embed(engine, batch)
        done += len(batch)
        yield Progress(done, total, 0.0)
    for start in range(0, len(texts), BATCH):
        read += query_vector.embed(engine, texts[start : start + BATCH])
        yield Progress(min(total, done + start + BATCH), total, 0.0)
    text_to_image, image_to_text = ranks(np.stack(read) @ np.stack(seen).T, owner)
    yield Evaluation(len(pictures), len(texts), _summed(text_to_image), _summed(image_to_text))


def ranks(scores: Vector, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each text's picture, [texts], and of each picture's best text, [pictures].

    scores: [texts, pictures], higher is nearer; owner: [texts], each text's picture, of which
    every one has a text. A rank is 1 plus the number of wrong ones that score strictly higher.
    """
    own = scores[np.arange(len(owner)), owner]
    by_text = 1 + (scores > own[:, None]).sum(axis=1)
    best = np.full(scores.shape[1], -np.inf, dtype=scores.dtype)
    np.maximum.at(best, owner, own)
    by_picture = 1 + (scores > best[None, :]).sum(axis=0)
    return by_text, by_picture


def _summed(found: np.ndarray) -> Ranks:
    shares = [round(100 * float((found <= k).mean()), 1) for k in (1, 5, 10)]
    return Ranks(shares[0], shares[1], shares[2], float(np.median(found)))


def _prepared(
    engine: Engine, pictures: Sequence[Captioned], folder: Path
) -> Iterator[list[EngineInput]]:
    """Yield batches of pictures, the next one being read while one is embedded."""
    prompt, target = document_prompt(engine.spec), engine.spec.image

    def prepare(picture: Captioned) -> EngineInput:
        file = folder / picture.file
        try:
            data, _ = storage.read(str(file))
            return EngineInput(prompt, decode.prepare(data, target).image)
        except PictureError as error:
            raise CaptionsError(f"{file}: {error}") from error

    with ThreadPoolExecutor(READERS) as readers:
        parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
        waiting = [readers.submit(prepare, picture) for picture in parts[0]] if parts else []
        for following in [*parts[1:], []]:
            current = waiting
            waiting = [readers.submit(prepare, picture) for picture in following]
            yield [future.result() for future in current]
