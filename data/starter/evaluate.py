"""Measure the recall of a SigLIP model: pictures by their captions, and captions by pictures.

    python evaluate.py MODEL --captions FILE --images FOLDER [--part dev] [--twins]

FILE is a JSON list of {"file", "captions"}, or the captions file of train.py; then --part names
one of its lists of pairs. --twins: pictures that share a caption are equally right answers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class RecallRanks:
    """Recall at 1, 5 and 10 in %, and the median rank."""

    r1: float
    r5: float
    r10: float
    median_rank: float

    @classmethod
    def from_ranks(cls, ranks: Tensor) -> RecallRanks:
        """Summarize ranks; 0 is the best rank."""
        recall_percent = [round(100 * (ranks < k).float().mean().item(), 1) for k in (1, 5, 10)]
        return cls(
            recall_percent[0],
            recall_percent[1],
            recall_percent[2],
            ranks.float().median().item() + 1,
        )


@dataclass(frozen=True)
class Recall:
    """Recall in both directions."""

    text_to_image: RecallRanks
    image_to_text: RecallRanks

    def __str__(self) -> str:
        rows = (("text to image", self.text_to_image), ("image to text", self.image_to_text))
        return "; ".join(f"{n} R@1 {r.r1} R@5 {r.r5} R@10 {r.r10}" for n, r in rows)


def measure_recall(pictures: Tensor, texts: Tensor, is_right: Tensor) -> Recall:
    """Rank the pictures for each text, and the texts for each picture.

    pictures: [n, d]. texts: [m, d]. is_right: bool [m, n], whether a picture is a right answer for
    a text. The best right answer counts. Pictures without a right text are not ranked.
    """
    scores = F.normalize(texts, dim=-1) @ F.normalize(pictures, dim=-1).T
    wrong_scores = scores.masked_fill(is_right, -2.0)
    right_scores = scores.masked_fill(~is_right, -2.0)
    by_text = (wrong_scores > right_scores.max(1, keepdim=True).values).sum(1)
    by_picture = (wrong_scores > right_scores.max(0, keepdim=True).values).sum(0)
    return Recall(
        RecallRanks.from_ranks(by_text), RecallRanks.from_ranks(by_picture[is_right.any(0)])
    )


def mark_own_pictures(captions: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Return all captions, and is_right of measure_recall: only the picture of a caption is right.

    captions: the captions of each picture.
    """
    owners = torch.tensor([i for i, own in enumerate(captions) for _ in own])
    texts = [text for own in captions for text in own]
    return texts, owners[:, None] == torch.arange(len(captions))[None]


def mark_classes(captions: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Return the distinct texts, and is_right: every picture with this text is right."""
    rows = {text: row for row, text in enumerate(dict.fromkeys(t for own in captions for t in own))}
    is_right = torch.zeros(len(rows), len(captions), dtype=torch.bool)
    for column, own in enumerate(captions):
        is_right[[rows[text] for text in own], column] = True
    return list(rows), is_right


def mark_twins(captions: Sequence[Sequence[str]]) -> tuple[list[str], Tensor]:
    """Return all captions, and is_right: pictures that share a caption are equally right."""
    texts, is_own = mark_own_pictures(captions)
    group = torch.tensor(_group_twins(captions))
    return texts, group[is_own.long().argmax(1)][:, None] == group[None]


def _group_twins(captions: Sequence[Sequence[str]]) -> list[int]:
    """Return a group number for each picture, equal for pictures that share a caption."""
    group = list(range(len(captions)))
    first: dict[str, int] = {}
    for i, picture_captions in enumerate(captions):
        for caption in picture_captions:
            twin_group = group[first.setdefault(caption, i)]
            own_group = group[i]
            if twin_group != own_group:
                group = [twin_group if g == own_group else g for g in group]
    return group


class Embedder:
    """Embed pictures and texts with a model folder, with transformers alone."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoProcessor, SiglipModel

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = SiglipModel.from_pretrained(folder).float().eval().to(self._device)
        self._processor = AutoProcessor.from_pretrained(folder)
        self._text_vectors: dict[str, Tensor] = {}

    @torch.inference_mode()
    def embed_pictures(self, files: Sequence[Path]) -> Tensor:
        """Return unit vectors of picture files, on the CPU."""
        from PIL import Image, ImageOps

        vectors = []
        for start in range(0, len(files), 32):
            images = [
                ImageOps.exif_transpose(Image.open(file)).convert("RGB")
                for file in files[start : start + 32]
            ]
            inputs = self._processor(images=images, return_tensors="pt").to(self._device)
            vectors.append(self._model.vision_model(**inputs).pooler_output)
        return F.normalize(torch.cat(vectors), dim=-1).cpu()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors of texts, on the CPU; each text is embedded once."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._text_vectors]
        for start in range(0, len(missing), 256):
            part = missing[start : start + 256]
            inputs = self._processor(text=part, padding="max_length", truncation=True,
                                     return_tensors="pt")  # fmt: skip
            ids = inputs["input_ids"].to(self._device)
            vectors = F.normalize(self._model.text_model(input_ids=ids).pooler_output, dim=-1)
            self._text_vectors.update(zip(part, vectors.cpu(), strict=True))
        return torch.stack([self._text_vectors[text] for text in texts])


def main() -> None:
    """Embed pictures and captions with transformers, and print the recall as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--part")
    parser.add_argument("--twins", action="store_true")
    arguments = parser.parse_args()
    captions_data = json.loads(arguments.captions.read_text())
    if arguments.part:
        pairs = captions_data["pairs"][arguments.part]
    else:
        pairs = [(entry["file"], entry["captions"]) for entry in captions_data]
    embedder = Embedder(arguments.model)
    mark = mark_twins if arguments.twins else mark_own_pictures
    texts, is_right = mark([captions for _, captions in pairs])
    pictures = embedder.embed_pictures([arguments.images / name for name, _ in pairs])
    result = measure_recall(pictures, embedder.embed_texts(texts), is_right)
    print(json.dumps({"images": len(pairs), "captions": len(texts)} | asdict(result), indent=2))


if __name__ == "__main__":
    main()
