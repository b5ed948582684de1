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


def measure_recall(
    pictures: Tensor, texts: Tensor, picture_indexes: Tensor, group: Tensor | None = None
) -> Recall:
    """Rank the pictures for each text, and the texts for each picture.

    pictures: [n, d]. texts: [m, d]. picture_indexes: [m], the picture of each text. group: [n],
    equal for pictures that are equally right answers.
    """
    scores = F.normalize(texts, dim=-1) @ F.normalize(pictures, dim=-1).T
    if group is None:
        group = torch.arange(len(pictures), device=pictures.device)
    is_right = group[picture_indexes][:, None] == group[None]  # [m, n]
    wrong_scores = scores.masked_fill(is_right, -2.0)
    right_scores = scores.masked_fill(~is_right, -2.0)
    by_text = (wrong_scores > right_scores.max(1, keepdim=True).values).sum(1)
    is_captioned = is_right.any(0)
    by_picture = (wrong_scores > right_scores.max(0, keepdim=True).values).sum(0)[is_captioned]
    return Recall(RecallRanks.from_ranks(by_text), RecallRanks.from_ranks(by_picture))


def group_twins(captions: Sequence[Sequence[str]]) -> list[int]:
    """Return a group number for each picture, equal for pictures that share a caption."""
    group = list(range(len(captions)))
    first: dict[str, int] = {}
    for i, picture_captions in enumerate(captions):
        for caption in picture_captions:
            twin_group = group[first.setdefault(caption, i)]
            own_group = group[i]
            group = [twin_group if g == own_group else g for g in group]
    return group


@torch.inference_mode()
def main() -> None:
    """Embed pictures and captions with transformers, and print the recall as JSON."""
    from PIL import Image, ImageOps
    from transformers import AutoProcessor, SiglipModel

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
    model = SiglipModel.from_pretrained(arguments.model).float().eval()
    processor = AutoProcessor.from_pretrained(arguments.model)

    pictures = []
    for start in range(0, len(pairs), 32):
        files = [arguments.images / name for name, _ in pairs[start : start + 32]]
        images = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
        inputs = processor(images=images, return_tensors="pt")
        pictures.append(model.vision_model(**inputs).pooler_output)
    captions = [caption for _, picture_captions in pairs for caption in picture_captions]
    texts = []
    for start in range(0, len(captions), 256):
        inputs = processor(text=captions[start : start + 256], padding="max_length",
                           truncation=True, return_tensors="pt")  # fmt: skip
        texts.append(model.text_model(**inputs).pooler_output)
    indexes = [i for i, (_, picture_captions) in enumerate(pairs) for _ in picture_captions]
    group = (
        torch.tensor(group_twins([picture_captions for _, picture_captions in pairs]))
        if arguments.twins
        else None
    )
    result = measure_recall(torch.cat(pictures), torch.cat(texts), torch.tensor(indexes), group)
    counts = {"images": len(pairs), "captions": len(captions)}
    print(json.dumps(counts | asdict(result), indent=2))


if __name__ == "__main__":
    main()
