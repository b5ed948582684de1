"""Measure the decisions of searchapp's good matches with a model's vectors.

Needs searchapp. A query "has a good match" if one of its first ten pictures is one. Not having one
is right for things that are not there, and for captions of other pictures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

SHOWN_HITS = 10
QUERIES_FILE = Path(__file__).with_name("queries.toml")


@dataclass(frozen=True)
class Decisions:
    """The share of queries with a good match in one collection."""

    queries: str
    collection: str
    count: int
    should_match: bool
    correct_percent: float


def measure_decisions(
    drawn: tuple[Tensor, Sequence[str]],
    photos: tuple[Tensor, Sequence[str]],
    embed_texts: Callable[[Sequence[str]], Tensor],
) -> list[Decisions]:
    """Judge queries in two collections: the pictures of data/photos, and photos of Flickr8k.

    drawn, photos: vectors of the pictures, [n, d], and their captions.
    """
    from searchapp.search.good_match import Judge
    from searchapp.search.sentences import CALIBRATION_SENTENCES

    queries = tomllib.loads(QUERIES_FILE.read_text())
    calibration = embed_texts(CALIBRATION_SENTENCES).numpy()

    def judge_queries(
        collection: str, pictures: Tensor, name: str, texts: Sequence[str], *, should_match: bool
    ) -> Decisions:
        vectors = pictures.numpy()
        judge = Judge.from_samples(calibration, vectors)
        if judge is None:
            raise ValueError(f"{collection}: too few pictures to judge matches")
        has_match = []
        for scores in embed_texts(texts).numpy() @ vectors.T:
            shown = np.argsort(-scores)[:SHOWN_HITS]
            good = judge.find_good_matches(scores[shown], vectors[shown], len(vectors))
            has_match.append(bool(good.any()))
        share = float(np.mean(np.array(has_match) == should_match))
        return Decisions(name, collection, len(texts), should_match, round(100 * share, 1))

    drawn_name, photos_name = "data/photos", "Flickr8k dev"
    return [
        judge_queries(drawn_name, drawn[0], "its captions", drawn[1], should_match=True),
        judge_queries(photos_name, photos[0], "its captions", photos[1], should_match=True),
        judge_queries(drawn_name, drawn[0], "single words", queries["words"], should_match=True),
        judge_queries(drawn_name, drawn[0], "missing things", queries["missing"],
                      should_match=False),
        judge_queries(photos_name, photos[0], "missing things", queries["missing"],
                      should_match=False),
        judge_queries(photos_name, photos[0], "captions of data/photos", drawn[1],
                      should_match=False),
        judge_queries(drawn_name, drawn[0], "captions of Flickr8k dev", photos[1],
                      should_match=False),
    ]  # fmt: skip
