"""Words that the starter model does not know."""

import json
from pathlib import Path

import pytest
from support.library import RunCommand
from support.paths import ROOT

from searchapp.models import resolve_model, starter_words
from searchapp.models.starter_words import explain_unknown_words

STARTER = resolve_model("starter")
CAPTIONS = json.loads((ROOT / "data" / "photos" / "captions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ein Hund im Schnee", "3 of the 4 words (ein, hund, schnee)"),
        ("deux enfants jouent sur la plage", "5 of the 6 words (deux, enfants, jouent)"),
        ("собака в снегу", "any of the 3 words (собака, в, снегу)"),
        ("雪地里的狗", "the word (雪地里的狗)"),
    ],
)
def test_a_question_in_another_language_gets_a_note(text: str, words: str) -> None:
    """The note states which words are unknown; it does not guess the language."""
    note = explain_unknown_words(STARTER, text)
    assert note is not None
    assert note.startswith(f"the model starter does not know {words}. It understands English only;")


def test_english_questions_get_no_note() -> None:
    """Of the captions of the demo, fewer than 1 in 50 get one, for a rare word."""
    captions = [caption for entry in CAPTIONS for caption in entry["captions"]]
    noted = [each for each in captions if explain_unknown_words(STARTER, each)]
    assert len(noted) < len(captions) / 50, noted
    for text in ("", "  ", "2019", "A dog in the snow!", "birthday cake with 12 candles"):
        assert explain_unknown_words(STARTER, text) is None


def test_other_models_get_no_note() -> None:
    """Only the vocabulary of the starter is known to hold English words only."""
    assert explain_unknown_words(resolve_model("clip-vit-b-32"), "ein Hund im Schnee") is None


def test_a_query_prints_the_note(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the hits, unless the words occur in the name of the best hit."""
    monkeypatch.setattr(starter_words, "STARTER_NAME", str(model))
    vocabulary = {"model": {"vocab": {"red</w>": 0, "boat</w>": 1, "ein": 2}}}
    (model / "tokenizer.json").write_text(json.dumps(vocabulary))
    assert run("index", photos, "--model", model).exit_code == 0
    result = run("query", "blue hund schnee", "-k", "1", "--by", "vector")
    note = "the model starter does not know any of the 3 words (blue, hund, schnee)"
    assert note in result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert "does not know" not in run("query", "red boat", "--by", "vector").stderr
    assert "does not know" in run("query", "blue", "--by", "vector").stderr
    assert "does not know" not in run("query", "blue").stderr  # It finds the name blue.jpg.
