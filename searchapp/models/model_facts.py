"""What is published about the models with a name: languages of texts, and benchmark scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MTEB = "https://github.com/embeddings-benchmark/mteb"
MTEB_MODELS = f"{MTEB}/tree/a905523d/mteb/models/model_implementations"
QWEN_README = "https://github.com/QwenLM/Qwen3-VL-Embedding/blob/8ce3aab1/README.md"
LEADERBOARD = "https://huggingface.co/spaces/TIGER-Lab/MMEB-Leaderboard"
BENCHMARK_NAME = "MMEB-V2 image"


@dataclass(frozen=True, slots=True)
class Score:
    """A published result of MMEB-V2: the mean of its 36 data sets of pictures, from 0 to 100."""

    value: float
    source: str
    date: str  # of the source: YYYY-MM-DD


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Published facts about a model."""

    languages: str  # that texts can have
    languages_source: str
    is_multilingual: bool | None  # understands more than English; None: not stated
    score: Score | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        score = self.score
        return {
            "languages": self.languages,
            "languages_source": self.languages_source,
            "multilingual": self.is_multilingual,
            "benchmark": None
            if score is None
            else {
                "name": BENCHMARK_NAME,
                "score": score.value,
                "source": score.source,
                "date": score.date,
            },
        }


def _score(value: float) -> Score:
    return Score(value, QWEN_README, "2026-01-19")


def _english(file: str, score: Score | None = None) -> ModelFacts:
    return ModelFacts("English", f"{MTEB_MODELS}/{file}", is_multilingual=False, score=score)


def _siglip2() -> ModelFacts:
    return ModelFacts("many", "https://arxiv.org/abs/2502.14786", is_multilingual=True)


def _qwen3(score: Score | None = None) -> ModelFacts:
    return ModelFacts("more than 30", QWEN_README, is_multilingual=True, score=score)


def _gme(score: Score) -> ModelFacts:
    source = f"{MTEB_MODELS}/gme_v_models.py"
    return ModelFacts("English, Chinese", source, is_multilingual=True, score=score)


def _ops(score: Score) -> ModelFacts:
    return ModelFacts("many", f"{MTEB} (ops_mm_embedding_v1_2b)", is_multilingual=True, score=score)


FACTS = {
    "starter": ModelFacts("English", "data/starter/README.md", is_multilingual=False),
    "clip-vit-b-32": _english("clip_models.py"),
    "clip-vit-l-14": _english("clip_models.py"),
    "siglip2-base": _siglip2(),
    "siglip2-so400m": _siglip2(),
    "e5-v": _english("e5_v.py"),
    "vlm2vec": _english("vlm2vec_models.py"),
    "qwen3-vl-embedding-2b": _qwen3(_score(75.0)),
    "qwen3-vl-embedding-8b": _qwen3(_score(80.1)),
    "qwen3-vl-reranker-2b": _qwen3(),
    "qwen3-vl-reranker-8b": _qwen3(),
    "embeddinggemma-2": ModelFacts(
        "more than 100",
        "https://ai.google.dev/gemma/docs/embeddinggemma/model_card_2",
        is_multilingual=True,
    ),
    "vlm2vec-qwen2vl-2b": _english("vlm2vec_models.py", _score(59.7)),
    "vlm2vec-v2": _english("vlm2vec_models.py", _score(64.9)),
    "gme-qwen2-vl-2b": _gme(_score(51.9)),
    "gme-qwen2-vl-7b": _gme(_score(56.0)),
    "dse-qwen2-2b": ModelFacts("not stated", "", is_multilingual=None),
    "ops-mm-v1-2b": _ops(Score(69.0, LEADERBOARD, "2025-09-29")),
    "ops-mm-v1-7b": _ops(_score(72.7)),
}


def get_facts(name: str) -> ModelFacts:
    """Return the facts about a model with a name."""
    return FACTS[name]
