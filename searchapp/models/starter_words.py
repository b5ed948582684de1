"""Tell which words of a text the starter model does not know.

The starter understands English only. Its vocabulary holds the words of its English training texts.
It splits any other word into pieces, which mean little to it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

from searchapp.models.spec import ModelSpec
from searchapp.models.starter import STARTER_NAME

WORD_END = "</w>"  # marks the last piece of a word in the vocabulary
MAX_SHOWN_WORDS = 3


def explain_unknown_words(spec: ModelSpec, text: str) -> str | None:
    """Return a note if the starter does not know at least half of the words of a text."""
    if spec.name != STARTER_NAME:
        return None
    words, known_words = _split_words(text), _read_words(Path(spec.source))
    unknown = [word for word in words if word not in known_words]
    if not known_words or not unknown or len(unknown) * 2 < len(words):
        return None
    shown = ", ".join(dict.fromkeys(unknown[:MAX_SHOWN_WORDS]))
    if len(words) == 1:
        count = "the word"
    elif len(unknown) == len(words):
        count = f"any of the {len(words)} words"
    else:
        count = f"{len(unknown)} of the {len(words)} words"
    return (
        f"the model starter does not know {count} ({shown}). It "
        "understands English only; for other languages, index with another model (`searchapp "
        "models` shows their languages)"
    )


def _split_words(text: str) -> list[str]:
    """Return the words of a text without accents, in lower case, as the model's tokenizer does."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(mark for mark in decomposed if not unicodedata.combining(mark)).lower()
    return re.findall(r"[^\W\d_]+", plain)


@cache
def _read_words(folder: Path) -> frozenset[str]:
    """Return the complete words in the vocabulary of the model's tokenizer; empty if unknown."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content.get("model", {}).get("vocab", ())
    return frozenset(word.removesuffix(WORD_END) for word in vocabulary if word.endswith(WORD_END))
