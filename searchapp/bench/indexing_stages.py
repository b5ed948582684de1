"""Measurements that each run in a subprocess; their arguments and results are JSON values.

The parameter `dummy` selects random weights, so that the weights of a model need not be downloaded.
The parameters `width` and `height` are the size of a picture in pixels.
"""

from __future__ import annotations

import time
from typing import Any

from searchapp.bench.synthetic_photos import draw_photo
from searchapp.engines import Refusal
from searchapp.errors import EngineError
from searchapp.models import (
    EngineInput,
    ModelSpec,
    has_gpu,
    make_document_prompt,
    make_query_prompt,
    make_text_input,
    resolve_model,
)
from searchapp.pictures import model_size
from searchapp.types import ModelOptions, Precision

SCENE_COUNT = 16


def resolve_spec(model: str, dummy: bool, precision: Precision | None = None) -> ModelSpec:
    """Return the spec of a model; dummy: with random weights."""
    spec = resolve_model(model, ModelOptions(precision=precision, trust_remote_code=True))
    return spec.with_dummy_weights() if dummy else spec


def measure_plain_call(
    model: str, dummy: bool, pictures: int, width: int, height: int
) -> dict[str, Any]:
    """Embed decoded pictures with one call of LLM.embed; return images_per_s."""
    from searchapp.engines.local import LocalEngine

    spec = resolve_spec(model, dummy)
    engine = LocalEngine(spec)
    prompt = make_document_prompt(spec)
    scenes = [draw_photo(number, width, height) for number in range(SCENE_COUNT)]
    prompts = [
        {"prompt": prompt, "multi_modal_data": {"image": scenes[number % SCENE_COUNT]}}
        for number in range(pictures)
    ]
    engine.llm.embed(prompts[: min(64, pictures)], use_tqdm=False)
    begun = time.monotonic()
    engine.llm.embed(prompts, use_tqdm=False)
    return {"images_per_s": pictures / (time.monotonic() - begun)}


def measure_plain_call_from_files(
    model: str, dummy: bool, folder: str, pictures: int
) -> dict[str, Any]:
    """Decode picture files in a folder with Pillow, and embed them with one call of LLM.embed.

    Return images_per_s.
    """
    from pathlib import Path

    from PIL import Image

    from searchapp.engines.local import LocalEngine

    spec = resolve_spec(model, dummy)
    engine = LocalEngine(spec)
    prompt = make_document_prompt(spec)
    files = sorted(file for file in Path(folder).rglob("*") if file.is_file())[:pictures]

    def load(file: Path) -> dict[str, Any]:
        with Image.open(file) as image:
            return {"prompt": prompt, "multi_modal_data": {"image": image.convert("RGB")}}

    engine.llm.embed([load(file) for file in files[:16]], use_tqdm=False)
    begun = time.monotonic()
    engine.llm.embed([load(file) for file in files], use_tqdm=False)
    return {"images_per_s": len(files) / (time.monotonic() - begun)}


def measure_pytorch_ceiling(model: str, dummy: bool, width: int, height: int) -> dict[str, Any]:
    """Run the model in plain PyTorch on prepared tensors; return images_per_s and batch."""
    from searchapp.engines.torchvision_stub import patch_torchvision
    from searchapp.models import hub

    patch_torchvision()
    import torch
    from transformers import AutoConfig, AutoModel, AutoProcessor

    spec = resolve_spec(model, dummy)
    folder = str(hub.fetch_model(spec))
    device = "cuda" if has_gpu() else "cpu"
    config = AutoConfig.from_pretrained(folder)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        network = AutoModel.from_config(config).eval().to(torch.bfloat16)
    torch.set_default_dtype(torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    scenes = [
        model_size.fit_to_model(draw_photo(n, width, height), spec.image)
        for n in range(SCENE_COUNT)
    ]
    batch = (16 if spec.pooling else 256) if has_gpu() else 16
    pictures = [scenes[number % SCENE_COUNT] for number in range(batch)]
    if spec.pooling is None:
        inputs = processor(images=pictures, return_tensors="pt")
        run = network.get_image_features
    else:
        prompt = make_document_prompt(spec)
        inputs = processor(
            text=[prompt] * batch, images=pictures, return_tensors="pt", padding=True
        )
        run = network
    tensors = {
        name: value.to(device, torch.bfloat16 if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }
    with torch.inference_mode():
        for _ in range(3):
            run(**tensors)
        _synchronize(device)
        begun, rounds = time.monotonic(), 0
        while rounds < 5 or time.monotonic() - begun < 5:
            run(**tensors)
            rounds += 1
            if rounds % 4 == 0:
                _synchronize(device)
        _synchronize(device)
    return {"images_per_s": rounds * batch / (time.monotonic() - begun), "batch": batch}


def _synchronize(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def measure_model_cost(
    model: str, dummy: bool, pictures: int, width: int, height: int
) -> dict[str, Any]:
    """Start a model in one engine, and embed pictures, texts, and pictures with text.

    Return start_s, rates per second, tokens_an_image and memory_mb.
    """
    from searchapp.engines.local import LocalEngine

    spec = resolve_spec(model, dummy)
    begun = time.monotonic()
    engine = LocalEngine(spec)
    start_s = time.monotonic() - begun
    scenes = [
        model_size.fit_to_model(draw_photo(n, width, height), spec.image)
        for n in range(SCENE_COUNT)
    ]
    documents = [
        EngineInput(make_document_prompt(spec), scenes[number % SCENE_COUNT])
        for number in range(pictures)
    ]
    texts = [
        make_text_input(
            spec, make_query_prompt(spec, "text", f"a red boat at sunset, number {number}")
        )
        for number in range(pictures)
    ]
    both = (
        [
            EngineInput(make_query_prompt(spec, "text+image", "the same at night"), item.image)
            for item in documents
        ]
        if "text+image" in spec.modalities
        else []
    )
    rates: dict[str, float | None] = {}
    for name, inputs in (("images", documents), ("texts", texts), ("both", both)):
        if not inputs:
            rates[name] = None
            continue
        engine.embed(inputs[:32])
        begun = time.monotonic()
        vectors = engine.embed(inputs)
        rates[name] = round(len(inputs) / (time.monotonic() - begun), 1)
        refused = [vector.reason for vector in vectors if isinstance(vector, Refusal)]
        if refused:
            raise EngineError(
                f"the engine refused {len(refused)} of {len(inputs)} inputs ({name}): {refused[0]}"
            )
    return {
        "start_s": round(start_s, 1),
        "images_per_s": rates["images"],
        "texts_per_s": rates["texts"],
        "text_images_per_s": rates["both"],
        "tokens_an_image": engine.count_image_tokens(scenes[0]),
        "memory_mb": _read_memory_mb(),
    }


def _read_memory_mb() -> int:
    """Return the memory in use on the GPU; without a GPU, the peak memory of this process."""
    if has_gpu():
        import torch

        free, total = torch.cuda.mem_get_info()
        return int(total - free) >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
