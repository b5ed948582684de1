"""Measure how long reranking takes, and how much memory: a model of true size, random weights.

    python tests/bench/rerank.py FOLDER              on a GPU: qwen3-vl-reranker-2b
    python tests/bench/rerank.py FOLDER --tiny       a tiny model, to check the script on a CPU

Writes the folder of the model, 20 photos of 12 megapixels and a library into FOLDER, and prints a
JSON object. A fake engine embeds: a text needs a color. The seconds are those of a search that
reranks all photos, with reading and decoding, minus those of the same search without a reranker.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from searchapp.engines.torchvision_stub import patch_torchvision  # noqa: E402

patch_torchvision()

import numpy as np  # noqa: E402
from full_size_models import FULL_SIZE_MODELS, write_full_size  # noqa: E402
from PIL import Image  # noqa: E402
from support.library import FakeEngines, index_folder, write_fake_clip  # noqa: E402
from support.tiny_vlm_checkpoints import make_qwen3_vl  # noqa: E402

from searchapp.engines import machine, start_reranker  # noqa: E402
from searchapp.engines.local_reranker import LocalReranker  # noqa: E402
from searchapp.library import Library  # noqa: E402
from searchapp.models import ModelSpec  # noqa: E402
from searchapp.models.qwen3_vl_reranker import (  # noqa: E402
    DEFAULT_RERANKER,
    RERANKERS,
    resolve_reranker,
)
from searchapp.types import Query, SearchOptions, Term  # noqa: E402

PHOTO_SIZE_PX = (4032, 3024)


def write_reranker(folder: Path, *, tiny: bool) -> ModelSpec:
    """Write the folder of the default reranker, without its weights; return its spec."""
    # The reranker has the sizes of the embedding model. Its answers have the weights of the input
    # tokens.
    _, config, processor = FULL_SIZE_MODELS["qwen3-vl-embedding-2b"]
    config = {**config, "tie_word_embeddings": True}
    if tiny:
        config = {"text_config": {"max_position_embeddings": 8192}}  # for photos of full size
    if not folder.exists():
        make = partial(make_qwen3_vl, words=("no", "yes"))
        write_full_size(folder, make, config, processor, RERANKERS[DEFAULT_RERANKER].weights_mb)
    return resolve_reranker(str(folder)).with_dummy_weights()


def write_photos(folder: Path, count: int) -> None:
    """Write different JPEG photos, with structure at every scale."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize(PHOTO_SIZE_PX, Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:03}.jpg", quality=90)


def read_used_mib(free_before: list[machine.Gpu]) -> int:
    """Return the memory that the model takes: of the GPU, or at most of this process."""
    if free_before:
        return free_before[0].free_mib - machine.list_gpus()[0].free_mib
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure_seconds(library: Library, terms: list[Term], count: int) -> list[float]:
    """Return the seconds of reranking in the first search of a kind, and in two more."""
    plain = SearchOptions(count=count, by="vector")
    seconds = []
    for _ in range(3):
        moments = [time.perf_counter()]
        library.find(terms, plain)
        moments.append(time.perf_counter())
        result = library.find(terms, SearchOptions(count=count, by="vector", rerank=count))
        moments.append(time.perf_counter())
        without, with_reranker = np.diff(moments)
        seconds.append(round(float(with_reranker - without), 2))
        scores = [hit.rerank_score for hit in result.hits]
        if None in scores or len(scores) != count:
            raise SystemExit(f"not all photos were reranked: {scores}; {result.warnings}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(options.folder / "library", ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    name = "tiny-reranker" if options.tiny else DEFAULT_RERANKER
    spec = write_reranker(options.folder / name, tiny=options.tiny)
    write_photos(options.folder / "photos", options.photos)
    embedder = options.folder / "embedder"
    if not embedder.exists():
        write_fake_clip(embedder)
    free_before = machine.list_gpus()
    started_at = time.perf_counter()
    running = LocalReranker(spec)
    figures: dict[str, Any] = {"model": name, "photos": options.photos}
    figures["start_s"] = round(time.perf_counter() - started_at, 1)
    example = Query(image=str(options.folder / "photos" / "000.jpg"))
    questions = {
        "text_s": [Term(Query("a red boat at sunset"))],
        "image_s": [Term(example)],
        "text_image_s": [Term(Query("a red sunset")), Term(example)],
    }
    with Library.open(
        options.folder / "library", create=True, start=FakeEngines(),
        start_reranker=lambda name: running,
    ) as library:  # fmt: skip
        index_folder(library, options.folder / "photos", embedder)
        for kind, terms in questions.items():
            figures[kind] = measure_seconds(library, terms, options.photos)
    figures["used_mib"] = read_used_mib(free_before)
    figures["required_mib"] = spec.weights_mib + (
        start_reranker.GPU_MIB if free_before else start_reranker.CPU_MIB
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
