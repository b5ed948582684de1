"""Compare a model in FP8 (--precision fp8) with its usual precision: vectors, and recall.

    python tests/bench/fp8_quality.py --model starter --captions CAPTIONS.json --images FOLDER

On a machine whose GPUs compute FP8, vLLM does it. On others, the rounding is imitated: a scale for
each output channel of the weights, and for each token of a layer's input, as vLLM chooses them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.bench.captions import CaptionedPicture, read_captions
from searchapp.bench.evaluation import compute_ranks
from searchapp.engines import EngineInput, Vector
from searchapp.engines.local import LocalEngine
from searchapp.models import (
    computes_fp8,
    make_document_prompt,
    make_query_prompt,
    make_text_input,
    resolve_model,
)
from searchapp.pictures import decode
from searchapp.search import query_vector
from searchapp.types import ModelOptions

MAX_FP8 = 448.0  # the largest number of the format E4M3
BATCH_SIZE = 64


class RoundedLinear:
    """A layer's method in vLLM that rounds weights and inputs to FP8, and multiplies as usual."""

    def __init__(self, weight: Any) -> None:
        self.weight = round_to_fp8(weight)

    def apply(self, layer: Any, inputs: Any, bias: Any = None) -> Any:
        import torch

        return torch.nn.functional.linear(round_to_fp8(inputs), self.weight, bias)


def round_to_fp8(values: Any) -> Any:
    """Return values as FP8 keeps them, with a scale for each row."""
    import torch

    scales = values.abs().amax(-1, keepdim=True).clamp(min=1e-12).float() / MAX_FP8
    rounded = (values.float() / scales).clamp(-MAX_FP8, MAX_FP8).to(torch.float8_e4m3fn)
    return (rounded.float() * scales).to(values.dtype)


def imitate_fp8(model: Any) -> int:
    """Round the linear layers of a loaded model; return their number."""
    import torch
    from vllm.model_executor.layers.linear import LinearBase

    dtype = next(model.parameters()).dtype
    layers = [each for each in model.modules() if isinstance(each, LinearBase)]
    for layer in layers:
        # On a CPU, vLLM has packed the weights in another form. A unit matrix reads them.
        unit = torch.eye(layer.input_size, dtype=dtype)
        layer.quant_method = RoundedLinear(layer.quant_method.apply(layer, unit).T.contiguous())
    return len(layers)


def embed_all(
    engine: LocalEngine, pictures: list[CaptionedPicture], folder: Path
) -> tuple[Vector, Vector]:
    """Return the vectors of pictures and of all their captions."""
    prompt = make_document_prompt(engine.spec)
    inputs = [
        EngineInput(prompt, decode.prepare_picture((folder / p.file).read_bytes(),
                                                   engine.spec.image).image)
        for p in pictures
    ]  # fmt: skip
    texts = [
        make_text_input(engine.spec, make_query_prompt(engine.spec, "text", caption))
        for p in pictures
        for caption in p.captions
    ]
    made = [
        [vector for start in range(0, len(items), BATCH_SIZE)
         for vector in query_vector.embed_queries(engine, items[start : start + BATCH_SIZE])]
        for items in (inputs, texts)
    ]  # fmt: skip
    return np.stack(made[0]), np.stack(made[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    options = parser.parse_args()
    pictures = read_captions(options.captions)
    indexes = np.repeat(np.arange(len(pictures)), [len(p.captions) for p in pictures])
    spec = resolve_model(options.model, ModelOptions(precision="fp8", trust_remote_code=True))
    engine = LocalEngine(replace(spec, precision=None))
    usual = embed_all(engine, pictures, options.images)
    if computes_fp8():
        engine.close()
        engine = LocalEngine(spec)
    else:
        print(f"imitated in {engine.llm.apply_model(imitate_fp8)[0]} layers")
    fp8 = embed_all(engine, pictures, options.images)
    for name, first, second in (("pictures", usual[0], fp8[0]), ("captions", usual[1], fp8[1])):
        cosines = (first * second).sum(1)
        print(f"cosine of {name}: mean {cosines.mean():.4f}, least {cosines.min():.4f}")
    for name, (vectors, _), (_, texts) in (
        ("usual precision", usual, usual),
        ("FP8", fp8, fp8),
        ("pictures in FP8, queries in the usual precision", fp8, usual),
    ):
        by_text, by_picture = compute_ranks(texts @ vectors.T, indexes)
        shares = "  ".join(
            f"{title} " + "/".join(f"{100 * (ranks <= k).mean():.1f}" for k in (1, 5, 10))
            for title, ranks in (("text to image", by_text), ("image to text", by_picture))
        )
        print(f"{name}: {shares}")


if __name__ == "__main__":
    main()
