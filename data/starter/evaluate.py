"""Measure how well a SigLIP model finds pictures by their captions, and captions by pictures.

    python evaluate.py MODEL --captions FILE --images FOLDER [--part dev] [--twins]

FILE is a JSON list of {"file", "captions"}, or train.py's captions file with --part naming one of
its lists of pairs. --twins: pictures that share a caption count as one, either is right.
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
class Ranks:
    """Recall at 1, 5 and 10 in %, and the median rank."""

    r1: float
    r5: float
    r10: float
    median_rank: float

    @classmethod
    def of(cls, ranks: Tensor) -> Ranks:
        """Summarise ranks, of which 0 is the best."""
        at = [round(100 * (ranks < k).float().mean().item(), 1) for k in (1, 5, 10)]
        return cls(at[0], at[1], at[2], ranks.float().median().item() + 1)


@dataclass(frozen=True)
class Recall:
    """Both directions."""

    text_to_image: Ranks
    image_to_text: Ranks

    def __str__(self) -> str:
        rows = (("text to image", self.text_to_image), ("image to text", self.image_to_text))
        return "; ".join(f"{n} R@1 {r.r1} R@5 {r.r5} R@10 {r.r10}" for n, r in rows)


def recall(pictures: Tensor, texts: Tensor, truth: Tensor, group: Tensor | None = None) -> Recall:
    """Rank pictures for each text and the other way round.

    pictures: [n, d]; texts: [m, d]; truth: [m], each text's picture; group: [n], equal for pictures
    that are as right as one another.
    """
    scores = F.normalize(texts, dim=-1) @ F.normalize(pictures, dim=-1).T
    if group is None:
        group = torch.arange(len(pictures), device=pictures.device)
    right = group[truth][:, None] == group[None]  # [m, n]
    wrong = scores.masked_fill(right, -2.0)
    good = scores.masked_fill(~right, -2.0)
    by_text = (wrong > good.max(1, keepdim=True).values).sum(1)
    captioned = right.any(0)
    by_picture = (wrong > good.max(0, keepdim=True).values).sum(0)[captioned]
    return Recall(Ranks.of(by_text), Ranks.of(by_picture))


def twins(captions: Sequence[Sequence[str]]) -> list[int]:
    """Number pictures so that those with a caption in common share a number."""
    group = list(range(len(captions)))
    first: dict[str, int] = {}
    for i, several in enumerate(captions):
        for caption in several:
            other = group[first.setdefault(caption, i)]
            mine = group[i]
            group = [other if g == mine else g for g in group]
    return group


@torch.inference_mode()
def main() -> None:
    """Embed with transformers and print the recall as JSON."""
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
    listed = json.loads(arguments.captions.read_text())
    if arguments.part:
        pairs = listed["pairs"][arguments.part]
    else:
        pairs = [(entry["file"], entry["captions"]) for entry in listed]
    model = SiglipModel.from_pretrained(arguments.model).float().eval()
    processor = AutoProcessor.from_pretrained(arguments.model)

    pictures = []
    for start in range(0, len(pairs), 32):
        files = [arguments.images / name for name, _ in pairs[start : start + 32]]
        images = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
        inputs = processor(images=images, return_tensors="pt")
        pictures.append(model.vision_model(**inputs).pooler_output)
    captions = [caption for _, several in pairs for caption in several]
    texts = []
    for start in range(0, len(captions), 256):
        inputs = processor(text=captions[start : start + 256], padding="max_length",
                           truncation=True, return_tensors="pt")  # fmt: skip
        texts.append(model.text_model(**inputs).pooler_output)
    truth = torch.tensor([i for i, (_, several) in enumerate(pairs) for _ in several])
    group = torch.tensor(twins([several for _, several in pairs])) if arguments.twins else None
    result = recall(torch.cat(pictures), torch.cat(texts), truth, group)
    counts = {"images": len(pairs), "captions": len(captions)}
    print(json.dumps(counts | asdict(result), indent=2))


if __name__ == "__main__":
    main()
