"""Evaluate retrieval quality: pictures by their captions, and captions by their pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchapp.bench.captions import CaptionedPicture, CaptionsError
from searchapp.engines import Engine, EngineInput, Vector
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.models import make_document_prompt, make_query_prompt, make_text_input
from searchapp.pictures import decode
from searchapp.search import query_vector
from searchapp.types import Progress, format_count

BATCH_SIZE = 64
READER_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class RankSummary:
    """Recall at 1, 5 and 10 in percent, and the median rank of the right answer."""

    r1: float
    r5: float
    r10: float
    median_rank: float  # 1 is the best


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Retrieval quality from captions to pictures, and from pictures to captions."""

    images: int
    captions: int
    text_to_image: RankSummary
    image_to_text: RankSummary


def evaluate_model(
    engine: Engine, pictures: Sequence[CaptionedPicture], folder: Path
) -> Iterator[Progress | Evaluation]:
    """Embed pictures and captions; yield progress events, then the Evaluation.

    folder: contains the files of the pictures.
    Errors: CaptionsError if a picture is missing or broken, because published results are for all
    pictures.
    """
    missing = [picture.file for picture in pictures if not os.path.isfile(folder / picture.file)]  # noqa: PTH113
    if missing:
        raise CaptionsError(
            f"{len(missing)} of {format_count(len(pictures), 'picture')} are not in {folder}, "
            f"for example {missing[0]}. Choose the folder that contains these pictures."
        )
    texts = [
        make_text_input(engine.spec, make_query_prompt(engine.spec, "text", caption))
        for picture in pictures
        for caption in picture.captions
    ]
    picture_indexes = np.repeat(np.arange(len(pictures)), [len(p.captions) for p in pictures])
    total, done_count = len(pictures) + len(texts), 0
    picture_vectors: list[Vector] = []
    text_vectors: list[Vector] = []
    for batch in _prepare_batches(engine, pictures, folder):
        picture_vectors += query_vector.embed_queries(engine, batch)
        done_count += len(batch)
        yield Progress(done_count, total, 0.0)
    for start in range(0, len(texts), BATCH_SIZE):
        text_vectors += query_vector.embed_queries(engine, texts[start : start + BATCH_SIZE])
        yield Progress(min(total, done_count + start + BATCH_SIZE), total, 0.0)
    text_to_image, image_to_text = compute_ranks(
        np.stack(text_vectors) @ np.stack(picture_vectors).T, picture_indexes
    )
    yield Evaluation(
        len(pictures), len(texts), _summarize_ranks(text_to_image), _summarize_ranks(image_to_text)
    )


def compute_ranks(scores: Vector, picture_indexes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each text's picture, [texts], and of each picture's best text, [pictures].

    scores: [texts, pictures], higher is nearer. picture_indexes: [texts], the picture of each
    text; every picture has a text. A rank is 1 + the number of wrong answers with higher scores.
    """
    own_scores = scores[np.arange(len(picture_indexes)), picture_indexes]
    by_text = 1 + (scores > own_scores[:, None]).sum(axis=1)
    best_own_scores = np.full(scores.shape[1], -np.inf, dtype=scores.dtype)
    np.maximum.at(best_own_scores, picture_indexes, own_scores)
    by_picture = 1 + (scores > best_own_scores[None, :]).sum(axis=0)
    return by_text, by_picture


def _summarize_ranks(ranks: np.ndarray) -> RankSummary:
    shares = [round(100 * float((ranks <= k).mean()), 1) for k in (1, 5, 10)]
    return RankSummary(shares[0], shares[1], shares[2], float(np.median(ranks)))


def _prepare_batches(
    engine: Engine, pictures: Sequence[CaptionedPicture], folder: Path
) -> Iterator[list[EngineInput]]:
    """Yield batches of decoded pictures; the next batch is decoded while one is embedded."""
    prompt, target = make_document_prompt(engine.spec), engine.spec.image

    def prepare(picture: CaptionedPicture) -> EngineInput:
        file = folder / picture.file
        try:
            data, _ = storage.read_file(str(file))
            return EngineInput(prompt, decode.prepare_picture(data, target).image)
        except PictureError as error:
            raise CaptionsError(f"{file}: {error}") from error

    with ThreadPoolExecutor(READER_THREADS) as readers:
        batches = [
            pictures[start : start + BATCH_SIZE] for start in range(0, len(pictures), BATCH_SIZE)
        ]
        pending = [readers.submit(prepare, picture) for picture in batches[0]] if batches else []
        for next_batch in [*batches[1:], []]:
            current = pending
            pending = [readers.submit(prepare, picture) for picture in next_batch]
            yield [future.result() for future in current]
