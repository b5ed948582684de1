"""Measure one or two models on all held-back pictures, and print a table.

    python compare.py MATERIAL MODEL [--first FILE] [--out FILE] [--good-matches]

MATERIAL is described in photo_sets.py. The measures are the recall on Flickr8k dev, on data/photos
and on the held-back tenth of each new set, and, with --good-matches, the decisions of good matches
(needs searchapp). Sets with names of classes: every photo with the name is a right answer. --out
writes the measures as JSON. --first reads such a file of another model, for the left column.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from evaluate import (
    Embedder,
    Recall,
    mark_classes,
    mark_own_pictures,
    mark_twins,
    measure_recall,
)
from good_matches import measure_decisions
from photo_sets import Captions, Sources, has_class_names
from torch import Tensor

DRAWN_FOLDER = Path(__file__).parents[1] / "photos"
ALL_CAPTIONED, ALL_CLASSES = "all sets with captions", "all sets with names of classes"


@dataclass(frozen=True)
class Row:
    """A line of the table: a measure by its name, in % and for one model."""

    name: str
    count: str
    value: str


class ModelMeasure:
    """Measure one model; the vectors of each picture are computed once."""

    def __init__(self, sources: Sources, model: Path) -> None:
        self._photos, self._embedder = sources.folder / "photos", Embedder(model)
        self._vectors: dict[str, Tensor] = {}
        self._held_back = sources.list_held_back()

    def _embed_photos(self, files: list[str]) -> Tensor:
        missing = [file for file in files if file not in self._vectors]
        if missing:
            vectors = self._embedder.embed_pictures([self._photos / file for file in missing])
            self._vectors.update(zip(missing, vectors, strict=True))
        return torch.stack([self._vectors[file] for file in files])

    def _measure_set(self, name: str, captions: Captions, *, by_class: bool) -> Row:
        mark = mark_classes if by_class else mark_own_pictures
        texts, is_right = mark(list(captions.values()))
        recall = measure_recall(
            self._embed_photos(list(captions)), self._embedder.embed_texts(texts), is_right
        )
        words = "names" if by_class else "captions"
        return Row(name, f"{len(captions)} photos, {len(texts)} {words}", format_recall(recall))

    def measure_sets(self) -> Iterator[Row]:
        """Yield the recall on dev, on each new set, and on all new sets of a kind together."""
        new_sets = {name: c for name, c in self._held_back.items() if name != "dev"}
        yield self._measure_set("Flickr8k dev", self._held_back["dev"], by_class=False)
        for by_class, name in ((False, ALL_CAPTIONED), (True, ALL_CLASSES)):
            chosen = {s: c for s, c in new_sets.items() if has_class_names(s) == by_class}
            for set_name, captions in chosen.items():
                yield self._measure_set(set_name, captions, by_class=by_class)
            together = {f: texts for captions in chosen.values() for f, texts in captions.items()}
            yield self._measure_set(name, together, by_class=by_class)

    def measure_drawn(self, *, good_matches: bool) -> Iterator[Row]:
        """Yield the recall on data/photos, and the decisions of good matches."""
        entries = json.loads((DRAWN_FOLDER / "captions.json").read_text())
        pictures = self._embedder.embed_pictures([DRAWN_FOLDER / e["file"] for e in entries])
        texts, is_right = mark_twins([entry["captions"] for entry in entries])
        recall = measure_recall(pictures, self._embedder.embed_texts(texts), is_right)
        count = f"{len(entries)} pictures, {len(texts)} captions"
        yield Row("data/photos, near duplicates right", count, format_recall(recall))
        if not good_matches:
            return
        dev = self._held_back["dev"]
        dev_texts = [text for own in dev.values() for text in own]
        for decision in measure_decisions(
            (pictures, texts), (self._embed_photos(list(dev)), dev_texts),
            self._embedder.embed_texts,
        ):  # fmt: skip
            verb = "have a good match" if decision.should_match else "have none"
            yield Row(
                f"{decision.queries} in {decision.collection} {verb}",
                f"{decision.count} queries",
                f"{decision.correct_percent}",
            )


def format_recall(recall: Recall) -> str:
    """Return R@1 / 5 / 10 of text to image, and of image to text."""
    parts = (recall.text_to_image, recall.image_to_text)
    return "; ".join(f"{p.r1} / {p.r5} / {p.r10}" for p in parts)


def format_table(rows: list[Row], first: list[Row] | None) -> str:
    """Return a Markdown table of the rows of one or two models."""
    first_values = {row.name: row.value for row in first or ()}
    headings = ["first model", "second model"] if first else ["model"]
    lines = [
        "Recall: R@1 / 5 / 10 of text to image; of image to text, in %. The other numbers: %.",
        "",
        "| " + " | ".join(["measure", "amount", *headings]) + " |",
        "| " + " | ".join(["---"] * (2 + len(headings))) + " |",
    ]
    for row in rows:
        values = [first_values.get(row.name, ""), row.value] if first else [row.value]
        lines.append("| " + " | ".join([row.name, row.count, *values]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure a model, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("material", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--first", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--good-matches", action="store_true")
    arguments = parser.parse_args()
    measure = ModelMeasure(Sources.read(arguments.material), arguments.model)
    rows = [
        *measure.measure_sets(),
        *measure.measure_drawn(good_matches=arguments.good_matches),
    ]
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    first = None
    if arguments.first:
        first = [Row(**row) for row in json.loads(arguments.first.read_text())]
    print(format_table(rows, first))


if __name__ == "__main__":
    main()
