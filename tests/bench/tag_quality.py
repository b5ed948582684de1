"""Measure how often `searchapp tag` is right, on pictures with captions.

    python tests/bench/tag_quality.py [LIBRARY]

Tags data/photos with the words in tag_words.txt and the starter, and compares the tags with
captions.json. A tag is right if a caption of the picture has the word or a synonym. A picture can
show more than its captions say, so the true precision is higher.

Prints the wrong tags, and precision and recall of several rules on all pictures. The rule of
`tag` was chosen on these pictures, so the last line is the fair figure: it chooses a rule on one
half of the pictures, and judges it on the other half.

LIBRARY: a folder that keeps the library and the vectors of the phrases, so that the next call
needs no engine.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchapp.engines import Vector
from searchapp.library import Library
from searchapp.search.good_match import Judge
from searchapp.search.search import QueryPart, calibrate_collection, embed_parts
from searchapp.search.search_calls import DirectCalls, run_without_waiting
from searchapp.search.tags.find_tags import MIN_COMPARED_PHRASES, PHRASE_TEMPLATE, choose_tags
from searchapp.search.tags.word_list import read_word_list
from searchapp.types import IndexOptions, Query, SearchOptions, TagOptions, TagWord

PHOTOS = Path(__file__).parents[2] / "data/photos"
WORDS = Path(__file__).with_name("tag_words.txt")
TEMPLATES = (PHRASE_TEMPLATE, "a picture of a {}", "{}")
MAX_TAGS = TagOptions().max_tags
FACTORS = np.arange(0.7, 1.81, 0.05)  # of the threshold of `tag`
HALVINGS = 100
MIN_PRECISION = 0.85  # that a rule must have on the half on which it is chosen

Matrix = NDArray[np.bool_]  # [pictures, words]


@dataclass(frozen=True)
class Rule:
    """A template of phrases, and a threshold in standard deviations above the mean."""

    template: str
    threshold: float


@dataclass(frozen=True)
class Score:
    """Numbers of right, given and expected tags."""

    right: int
    given: int
    expected: int

    @classmethod
    def of_tags(cls, found: Matrix, expected: Matrix) -> Score:
        """Compare tags with the expected ones."""
        return cls(int((found & expected).sum()), int(found.sum()), int(expected.sum()))

    @property
    def precision(self) -> float:
        """Return the share of the given tags that are right."""
        return self.right / max(1, self.given)

    @property
    def recall(self) -> float:
        """Return the share of the expected tags that are given."""
        return self.right / max(1, self.expected)

    def __str__(self) -> str:
        """Return precision and recall, with the numbers behind them."""
        return (
            f"precision {self.precision:.3f} ({self.right} of {self.given}), "
            f"recall {self.recall:.3f} ({self.right} of {self.expected})"
        )


def has_word(captions: Sequence[str], word: TagWord) -> bool:
    """Return whether a caption has a phrase of a word, in the singular or in the plural."""
    for phrase in word.phrases:
        singular = phrase.lower()
        plurals = [f"{singular}s", f"{singular}es", f"{singular.removesuffix('y')}ies"]
        forms = "|".join(map(re.escape, [singular, *plurals]))
        if any(re.search(rf"\b(?:{forms})\b", text.lower()) for text in captions):
            return True
    return False


class TaggedPhotos:
    """The z-scores of all words for all captioned pictures, and the words of their captions."""

    def __init__(self, folder: Path) -> None:
        """Read or make the library and the vectors of the phrases in folder."""
        entries = json.loads((PHOTOS / "captions.json").read_text())
        self.words = read_word_list(WORDS)
        self.captions = {entry["file"]: entry["captions"] for entry in entries}
        self.files = list(self.captions)
        originals = [entry.get("duplicate_of", entry["file"]) for entry in entries]
        self.groups = np.unique(originals, return_inverse=True)[1]  # near duplicates are together
        self.expected: Matrix = np.array(
            [[has_word(texts, word) for word in self.words] for texts in self.captions.values()]
        )
        with Library.open(folder, create=True) as library:
            list(library.index([PHOTOS], IndexOptions(model="starter")))
            phrases = [(phrase, n) for n, word in enumerate(self.words) for phrase in word.phrases]
            vectors = {
                template: embed_phrases(library, folder, [template.format(p) for p, _ in phrases])
                for template in TEMPLATES
            }
            owners = np.array([n for _, n in phrases])
            collection, _ = library.reader.find_matching(SearchOptions())
            shipped = choose_tags(
                library.reader, collection, SearchOptions(), vectors[PHRASE_TEMPLATE], owners,
                [word.path for word in self.words], MAX_TAGS,
            )  # fmt: skip
            judge, pictures = read_judge_and_vectors(library, self.files)
        self.phrase_count = len(phrases)
        self.judge = judge
        self.z_scores = {
            template: compute_z_scores(judge, pictures, each, owners)
            for template, each in vectors.items()
        }
        numbers = {word.path: n for n, word in enumerate(self.words)}
        self.shipped = np.zeros_like(self.expected)
        for picture in shipped:
            for path in (picture.hit.path, *picture.hit.also):
                row = self.files.index(str(Path(path).relative_to(PHOTOS)))
                self.shipped[row, [numbers[tag.path] for tag in picture.tags]] = True

    def find(self, rule: Rule) -> Matrix:
        """Return the tags that a rule gives."""
        scores = self.z_scores[rule.template]
        ranks = (-scores).argsort(axis=1).argsort(axis=1)
        found: Matrix = (scores >= rule.threshold) & (ranks < MAX_TAGS)
        return found

    def count_compared(self) -> dict[str, int]:
        """Return the numbers from which a rule can compute how high a score chance explains."""
        count = len(self.files)
        return {
            "words": max(MIN_COMPARED_PHRASES, self.phrase_count),
            "pictures": count,
            "pairs of a word and a picture": count * self.phrase_count,
        }

    def split(self) -> Iterator[Matrix]:
        """Yield random halves of the pictures, each as a row of Booleans."""
        random = np.random.default_rng(26)
        for _ in range(HALVINGS):
            yield (random.permutation(self.groups.max() + 1) % 2 == 0)[self.groups]


def embed_phrases(library: Library, folder: Path, phrases: Sequence[str]) -> Vector:
    """Return the vectors of phrases [n, dimensions]; a file in folder keeps them."""
    digest = hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:16]
    file = folder / f"phrases-{digest}.npy"
    if not file.exists():
        collection, spec = library.reader.choose_collection(SearchOptions())
        calls = DirectCalls(library.reader, library._engines.get, library._rerankers)
        run_without_waiting(calibrate_collection(calls, collection, spec, on_the_side=False))
        parts = [QueryPart(Query(phrase)) for phrase in phrases]
        np.save(file, np.stack(run_without_waiting(embed_parts(calls, spec, parts, False))))
    vectors: Vector = np.load(file)
    return vectors


def read_judge_and_vectors(library: Library, files: Sequence[str]) -> tuple[Judge, Vector]:
    """Return the judge of the collection, and the vectors of files [n, dimensions]."""
    collection, ids = library.reader.find_matching(SearchOptions())
    judge = library.reader.judges.get_judge(collection, "text")
    assert judge is not None
    vectors = dict[str, Vector]()
    for page, rows in library.reader.read_vectors(collection, ids):
        located = library.reader.locate_images(page.tolist())
        for id, row in zip(page.tolist(), rows, strict=True):
            for path in located[id].paths:
                vectors[str(Path(path).relative_to(PHOTOS))] = row
    return judge, np.stack([vectors[file] for file in files])


def compute_z_scores(
    judge: Judge, pictures: Vector, phrases: Vector, owners: NDArray[np.int64]
) -> Vector:
    """Return the best score of each word's phrases, in standard deviations [pictures, words]."""
    # The minimum score is the mean plus the threshold times the standard deviation.
    minimum, threshold = judge.compute_min_scores(pictures, 128), judge.compute_threshold(128)
    other, other_threshold = judge.compute_min_scores(pictures, 2), judge.compute_threshold(2)
    deviations = (minimum - other) / (threshold - other_threshold)
    means = minimum - threshold * deviations
    z_scores = (pictures @ phrases.T - means[:, None]) / deviations[:, None]
    return np.stack([z_scores[:, owners == n].max(axis=1) for n in np.unique(owners)], axis=1)


def choose_rule(candidates: dict[Rule, Matrix], expected: Matrix, half: Matrix) -> Rule:
    """Return the rule with the most right tags on a half, of those that are precise enough."""
    scores = {
        rule: Score.of_tags(found[half], expected[half]) for rule, found in candidates.items()
    }
    precise = [rule for rule, score in scores.items() if score.precision >= MIN_PRECISION]
    return max(precise, key=lambda rule: scores[rule].right)


def main(folder: Path) -> None:
    """Print the measurement."""
    photos = TaggedPhotos(folder)
    expected = photos.expected
    compared = photos.count_compared()
    threshold = photos.judge.compute_threshold(compared["words"])
    shipped = photos.find(Rule(PHRASE_TEMPLATE, threshold))
    assert (shipped == photos.shipped).all(), "the script and `tag` give different tags"
    for row, column in np.argwhere(shipped & ~expected):
        file = photos.files[row]
        print(f"wrong: {file}: {photos.words[column].path}  ({photos.captions[file][0]})")
    missed = Counter(photos.words[n].path for _, n in np.argwhere(expected & ~shipped))
    print("missed most:", ", ".join(f"{path} {count}" for path, count in missed.most_common(12)))
    print(f"{len(photos.words)} words, {photos.phrase_count} phrases, {len(photos.files)} pictures")
    for template in TEMPLATES:
        for name, count in compared.items():
            rule = Rule(template, photos.judge.compute_threshold(count))
            print(f"{template!r}, {name}: {Score.of_tags(photos.find(rule), expected)}")
    candidates = {
        rule: photos.find(rule)
        for template in TEMPLATES
        for rule in (Rule(template, float(factor * threshold)) for factor in FACTORS)
    }
    judged = list[Score]()
    chosen = Counter[Rule]()
    for half in photos.split():
        for tuning, other in ((half, ~half), (~half, half)):
            rule = choose_rule(candidates, expected, tuning)
            chosen[rule] += 1
            judged.append(Score.of_tags(candidates[rule][other], expected[other]))
    for rule, count in chosen.most_common(5):
        print(f"chosen {count} times: {rule.template!r}, {rule.threshold / threshold:.2f} of `tag`")
    for name in ("precision", "recall"):
        values = [getattr(score, name) for score in judged]
        low, high = np.quantile(values, (0.05, 0.95))
        print(
            f"on the other half: {name} {np.mean(values):.3f} (90 % from {low:.3f} to {high:.3f})"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
