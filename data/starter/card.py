"""Write the card of the second model: the template with counts from the material and figures.

    python card.py MATERIAL [--results FILE] [--out README.md]

MATERIAL is described in photo_sets.py; credits.json.gz in it, if it is there, gives the credit of
each photo. --results: a table that compare.py printed. Without --out, the card is printed.
card-template.md contains the text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from photo_sets import Sources, get_set_name, is_held_back

TEMPLATE_FILE = Path(__file__).with_name("card-template.md")
FLICKR30K_CAPTIONS = 144_898  # the first of captions-only.json.gz; the others are of CC3M
# Words of a credit that name a license, or an owner whose works are free.
LICENSE_WORDS = re.compile(
    r"CC[ -]?BY|CC0|public domain|Creative Commons|Unsplash|Pexels|Pixabay|licen[sc]e|NASA|NOAA",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SetNote:
    """What is known of a set that more.json does not describe."""

    what: str
    license: str


FIRST_SETS = {
    "flickr8k": SetNote(
        "Flickr8k, training split, five captions a photo",
        "for research and education only (Hodosh, Young and Hockenmaier, 2013); the photos belong "
        "to their Flickr authors",
    ),
    "inet": SetNote(
        "sample photos of ImageNet classes, with class name and WordNet gloss",
        "ImageNet's terms: non-commercial research and education",
    ),
    "cmini": SetNote(
        "COCO train photos with captions",
        "captions CC BY 4.0; photos under the terms of their Flickr authors",
    ),
    "c128": SetNote(
        "COCO train photos without captions", "photos under the terms of their Flickr authors"
    ),
}


# What more.json states less plainly.
LICENSES = {"cal101": "CC BY 4.0 in CaltechDATA's record; the copy that was used states none"}


@dataclass(frozen=True)
class SetCount:
    """The photos of one set that are trained on and held back."""

    name: str
    what: str
    license: str
    trained: int
    held_back: int
    captions: int


def count_sets(sources: Sources) -> list[SetCount]:
    """Count the photos and captions of each set, from the files on disk."""
    training = sources.list_training_files()
    captions = sources.list_training_captions()
    root = sources.folder / "photos"
    on_disk = [f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file()]
    held_back = Counter(get_set_name(file) for file in on_disk if is_held_back(file))
    trained = Counter(get_set_name(file) for file in training)
    texts = Counter(get_set_name(f) for f in training for _ in captions.get(f, ()))
    counts = []
    for name in sorted(trained, key=lambda each: (each in sources.more["sets"], -trained[each])):
        new = sources.more["sets"].get(name)
        note = SetNote(new["what"], new["licence"]) if new else FIRST_SETS[name]
        terms = LICENSES.get(name, note.license).replace("licence", "license")
        what = note.what.replace("licence", "license")
        kept = held_back[name] if new else 0
        counts.append(SetCount(name, what, terms, trained[name], kept, texts[name]))
    return counts


def format_sets(counts: list[SetCount]) -> str:
    """Return the Markdown table of the sets."""
    lines = [
        "| set | photos trained on | held back | captions or names | what | license |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in counts:
        numbers = f"{each.trained:,} | {each.held_back:,} | {each.captions:,}"
        lines.append(f"| `{each.name}` | {numbers} | {each.what} | {each.license} |")
    trained, held_back = sum(c.trained for c in counts), sum(c.held_back for c in counts)
    captions = sum(c.captions for c in counts)
    lines.append(f"| all | {trained:,} | {held_back:,} | {captions:,} | | |")
    return "\n".join(lines)


def format_credits(sources: Sources) -> str:
    """Return how many photos of each set have a credit, and a license in the credit."""
    file = sources.folder / "credits.json.gz"
    if not file.exists():
        return "The material has no list of credits."
    credits: dict[str, str] = json.loads(gzip.decompress(file.read_bytes()))
    used = {f: c for f, c in credits.items() if sources.is_trained_on(f) and _is_known(sources, f)}
    by_set: dict[str, Counter[str]] = {}
    for photo, credit in used.items():
        own = credit.split("|")[0]  # The part after "|" names the book.
        kind = "none" if "no credit" in own else "name"
        by_set.setdefault(get_set_name(photo), Counter())[
            "license" if LICENSE_WORDS.search(own) else kind
        ] += 1
    lines = ["| set | credit with a license | credit with a name only | no credit |",
             "| --- | --- | --- | --- |"]  # fmt: skip
    for name, kinds in sorted(by_set.items()):
        lines.append(f"| `{name}` | {kinds['license']} | {kinds['name']} | {kinds['none']} |")
    return "\n".join(lines)


def _is_known(sources: Sources, file: str) -> bool:
    return get_set_name(file) in sources.more["sets"]


def count_texts(sources: Sources) -> Iterator[tuple[str, str, int]]:
    """Yield (material, license, count) of the texts without photos."""
    used = set(sources.list_loose_captions())
    flickr30k = sources.loose_captions[:FLICKR30K_CAPTIONS]
    others = sources.loose_captions[FLICKR30K_CAPTIONS:]
    coco = sources.first["sentences"]
    yield "COCO captions", "CC BY 4.0", sum(text in used for text in coco)
    yield (
        "Flickr30k captions, without those of held-back photos",
        "for research and education only (Young et al., 2014)",
        sum(text in used for text in flickr30k),
    )
    yield (
        "Conceptual Captions",
        "Google's terms: free for any purpose, with attribution appreciated",
        sum(text in used for text in others),
    )
    yield (
        "WordNet, LVIS and Objects365 phrases",
        "WordNet license, CC BY 4.0, CC BY 4.0",
        len(sources.first["phrases"]),
    )


def format_texts(sources: Sources) -> str:
    """Return the Markdown table of the texts without photos."""
    lines = ["| texts without photos | amount | license |", "| --- | --- | --- |"]
    lines += [f"| {what} | {count:,} | {terms} |" for what, terms, count in count_texts(sources)]
    return "\n".join(lines)


def write_card(sources: Sources, results: str, side: int) -> str:
    """Return the card: the template with the tables of the material and of the results."""
    counts = count_sets(sources)
    scenes = json.loads((sources.folder / "scenes" / "captions.json").read_text())
    values = {
        "sets": format_sets(counts),
        "credits": format_credits(sources),
        "texts": format_texts(sources),
        "scenes": f"{len(scenes):,}",
        "photos": f"{sum(count.trained for count in counts):,}",
        "left_out": f"{len(sources.left_out)}",
        "results": results.strip(),
        "side": str(side),
    }
    card = TEMPLATE_FILE.read_text()
    for name, value in values.items():
        card = card.replace(f"[[{name}]]", value)
    return card


def main() -> None:
    """Parse the arguments, and write the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("material", type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--side", type=int, default=182, help="of the model's input, in pixels")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = arguments.results.read_text() if arguments.results else "(not measured yet)"
    card = write_card(Sources.read(arguments.material), results, arguments.side)
    if arguments.out:
        arguments.out.write_text(card)
    else:
        print(card)


if __name__ == "__main__":
    main()
