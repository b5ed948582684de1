"""Measure how often `searchapp tag` is right, on pictures with captions.

    python tests/bench/tag_quality.py [PHOTOS] [WORDS] [MODEL]

Indexes PHOTOS (data/photos), tags them with WORDS, and compares the tags with captions.json. A tag
is right if a caption of the picture has the word or a synonym. Prints precision, recall, and the
wrong tags. A picture can show more than its captions say, so the true precision is higher.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from searchapp.library import Library
from searchapp.search.tags.word_list import read_word_list
from searchapp.types import IndexOptions, TagOptions, TagWord

PHOTOS = Path(__file__).parents[2] / "data/photos"
WORDS = Path(__file__).with_name("tag_words.txt")


def has_word(captions: list[str], word: TagWord) -> bool:
    """Return whether a caption has a phrase of a word, in the singular or in the plural."""
    for phrase in word.phrases:
        stem = re.escape(phrase.lower().removesuffix("y"))
        if any(re.search(rf"\b{stem}(?:s|es|y|ies)?\b", text.lower()) for text in captions):
            return True
    return False


def main(photos: Path = PHOTOS, words_file: Path = WORDS, model: str = "starter") -> None:
    """Print the measurement."""
    words = read_word_list(words_file)
    entries = json.loads((photos / "captions.json").read_text())
    captions = {entry["file"]: entry["captions"] for entry in entries}
    expected = {
        (file, word.path)
        for file, texts in captions.items()
        for word in words
        if has_word(texts, word)
    }
    with tempfile.TemporaryDirectory() as folder, Library.open(folder, create=True) as library:
        list(library.index([photos], IndexOptions(model=model)))
        started = time.perf_counter()
        tagged = library.find_tags(words, TagOptions(max_tags=5))
        seconds = time.perf_counter() - started
    found = {
        (str(Path(path).relative_to(photos)), tag.path)
        for picture in tagged
        for path in (picture.hit.path, *picture.hit.also)
        for tag in picture.tags
    }
    found = {pair for pair in found if pair[0] in captions}
    right = found & expected
    for file, path in sorted(found - expected):
        print(f"wrong: {file}: {path}  ({captions[file][0]})")
    missed = Counter(path for _, path in expected - found)
    print("missed most:", ", ".join(f"{path} {count}" for path, count in missed.most_common(12)))
    tagged_count = len({file for file, _ in found})
    print(f"{len(words)} words, {seconds:.1f} s; {tagged_count} of {len(captions)} pictures tagged")
    print(f"precision {len(right) / max(1, len(found)):.3f} ({len(right)} of {len(found)})")
    print(f"recall {len(right) / len(expected):.3f} ({len(right)} of {len(expected)})")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*map(Path, arguments[:2]), *arguments[2:])
