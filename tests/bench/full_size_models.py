"""Measure real models in their full size with random weights, without downloading them.

    python tests/bench/full_size_models.py FOLDER
        write the folders of the models, and a file for each that describes it (for --model)
    python tests/bench/full_size_models.py FOLDER --measure OUT
        also measure each model (on a GPU), and write the figures to OUT as JSON
    python tests/bench/full_size_models.py --table OUT
        write the rows of OUT into the table in searchapp/docs/measurements.md

A folder is a tiny checkpoint of the tests with the configuration of the full model. Its weights
file has the full size and no content: `--dummy-weights` never reads it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from searchapp.engines.torchvision_stub import patch_torchvision  # noqa: E402

patch_torchvision()

from support import tiny_checkpoints, tiny_qwen2_vl, tiny_vlm_checkpoints  # noqa: E402

from searchapp.models import MODELS  # noqa: E402

DEFAULT_MODELS = (
    "clip-vit-l-14", "siglip2-so400m", "qwen3-vl-embedding-2b", "gme-qwen2-vl-2b",
    "gme-qwen2-vl-7b", "vlm2vec", "e5-v",
)  # fmt: skip
MEASUREMENTS = ROOT / "searchapp" / "docs" / "measurements.md"
TILE_GRIDS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def make_tower(hidden: int, inner: int, layers: int, heads: int, **more: Any) -> dict[str, Any]:
    return {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, **more}  # fmt: skip


def make_qwen2_vl(
    hidden: int, inner: int, heads: int, key_value_heads: int, **more: Any
) -> dict[str, Any]:
    return {
        "text_config": make_tower(hidden, inner, 28, heads, num_key_value_heads=key_value_heads,
                             max_position_embeddings=32768, layer_types=["full_attention"] * 28,
                             rope_parameters={"rope_type": "default", "rope_theta": 1_000_000,
                                              "mrope_section": [16, 24, 24]}, **more),
        "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": hidden, "num_heads": 16,
                          "mlp_ratio": 4, "patch_size": 14},
    }  # fmt: skip


FULL_SIZE_MODELS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "clip-vit-b-32": (
        tiny_checkpoints.make_clip,
        {
            "projection_dim": 512,
            "text_config": make_tower(512, 2048, 12, 8, projection_dim=512, vocab_size=49408,
                                 max_position_embeddings=77),
            "vision_config": make_tower(768, 3072, 12, 12, projection_dim=512, image_size=224,
                                   patch_size=32),
        },
        {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}},
    ),
    "clip-vit-l-14": (
        tiny_checkpoints.make_clip,
        {
            "projection_dim": 768,
            "text_config": make_tower(768, 3072, 12, 12, projection_dim=768, vocab_size=49408,
                                 max_position_embeddings=77),
            "vision_config": make_tower(1024, 4096, 24, 16, projection_dim=768, image_size=224,
                                   patch_size=14),
        },
        {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}},
    ),
    "siglip2-so400m": (
        tiny_checkpoints.make_siglip,
        {
            "text_config": make_tower(1152, 4304, 27, 16, projection_size=1152, vocab_size=256000,
                                 max_position_embeddings=64),
            "vision_config": make_tower(1152, 4304, 27, 16, image_size=384, patch_size=14),
        },
        {"size": {"height": 384, "width": 384}},
    ),
    "qwen3-vl-embedding-2b": (
        tiny_vlm_checkpoints.make_qwen3_vl,
        {
            "text_config": make_tower(2048, 6144, 28, 16, num_key_value_heads=8, head_dim=128,
                                 vocab_size=151936, max_position_embeddings=262144,
                                 rope_parameters={"rope_type": "default", "rope_theta": 5_000_000,
                                                  "mrope_section": [24, 20, 20],
                                                  "mrope_interleaved": True}),
            "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "depth": 24,
                              "num_heads": 16, "patch_size": 16, "out_hidden_size": 2048,
                              "deepstack_visual_indexes": [5, 11, 17],
                              "num_position_embeddings": 2304},
        },
        {},
    ),
    "gme-qwen2-vl-2b": (
        tiny_qwen2_vl.make_qwen2_vl, make_qwen2_vl(1536, 8960, 12, 2, vocab_size=151936), {},
    ),
    "gme-qwen2-vl-7b": (
        tiny_qwen2_vl.make_qwen2_vl, make_qwen2_vl(3584, 18944, 28, 4, vocab_size=152064), {},
    ),
    "vlm2vec": (
        tiny_vlm_checkpoints.make_phi3_v,
        {
            **make_tower(3072, 8192, 32, 32, num_key_value_heads=32,
                                max_position_embeddings=4096),
            "img_processor": {"layer_idx": -2, "image_dim_out": 1024, "num_img_tokens": 144,
                              "type_feature": "patch"},
        },
        {},
    ),
    "e5-v": (
        tiny_vlm_checkpoints.make_llava_next,
        {
            "text_config": make_tower(4096, 14336, 32, 32, num_key_value_heads=8, head_dim=128,
                                 vocab_size=128320, max_position_embeddings=8192),
            "vision_config": make_tower(1024, 4096, 24, 16, image_size=336, patch_size=14,
                                   projection_dim=768),
            "vision_feature_layer": -2,
            "image_grid_pinpoints": TILE_GRIDS,
        },
        {"image_grid_pinpoints": TILE_GRIDS, "size": {"shortest_edge": 336},
         "crop_size": {"height": 336, "width": 336}},
    ),
}  # fmt: skip


def write_model(name: str, parent: Path) -> Path:
    """Write a model in its full size, if it does not exist; return the file that describes it."""
    folder, description = parent / name, parent / f"{name}.toml"
    if not description.exists():
        write_full_size(folder, *FULL_SIZE_MODELS[name], MODELS[name].weights_mb)
        description.write_text(f"source = {json.dumps(str(folder))}\nlike = {json.dumps(name)}\n")
    return description


def write_full_size(
    folder: Path, make: Any, config: dict[str, Any], processor: dict[str, Any], weights_mb: int
) -> None:
    """Write the folder of a model. make: writes the tiny checkpoint."""
    make(folder)
    _update_json(folder / "config.json", {"dtype": "bfloat16", **config})
    _update_json(folder / "preprocessor_config.json", processor)
    text = config.get("text_config", config)
    _update_json(
        folder / "tokenizer_config.json", {"model_max_length": text["max_position_embeddings"]}
    )
    weights = folder / "model.safetensors"
    weights.unlink()
    with weights.open("wb") as file:
        file.truncate(weights_mb * 1_000_000)


def _update_json(file: Path, values: dict[str, Any]) -> None:
    content = json.loads(file.read_text())
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            content[key] |= value
        else:
            content[key] = value
    file.write_text(json.dumps(content, indent=2))


def measure_models(parent: Path, output_file: Path, names: list[str]) -> None:
    """Measure each model, and write all figures to the file after each model."""
    rows: list[dict[str, Any]] = []
    for name in names:
        description = str(write_model(name, parent))
        command = [sys.executable, "-m", "searchapp", "bench", "models", description,
                   "--dummy-weights", "--json"]  # fmt: skip
        process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        figures = json.loads(process.stdout)[0] if process.stdout else {"error": process.stderr}
        rows.append(figures | {"model": name})
        output_file.write_text(json.dumps(rows, indent=2))
        print(rows[-1], flush=True)


def write_table(measurements_file: Path) -> None:
    """Write the rows of the measured models into the table in docs/measurements.md."""
    text = MEASUREMENTS.read_text()
    table = re.search(r"<!-- models: .*? -->\n(.*?)<!-- end of models -->", text, flags=re.S)
    if table is None:
        raise SystemExit(f"{MEASUREMENTS} has no marks for the table of models")
    head, rule, *old_rows = table[1].splitlines()
    rows = {row.split("`")[1]: row for row in old_rows}
    for row in json.loads(measurements_file.read_text()):
        if "error" in row:
            raise SystemExit(f"measuring {row['model']} failed: {row['error']}")
        rows[row["model"]] = format_row(row)
    names = sorted(rows, key=list(FULL_SIZE_MODELS).index)
    lines = [head, rule, *(rows[name] for name in names), ""]
    MEASUREMENTS.write_text(text[: table.start(1)] + "\n".join(lines) + text[table.end(1) :])


def format_row(row: dict[str, Any]) -> str:
    both = row["text_images_per_s"]
    cells = (
        f"`{row['model']}`", MODELS[row["model"]].dimensions, f"{row['start_s']:.0f} s",
        f"{row['images_per_s']:,.0f}", f"{row['texts_per_s']:,.0f}",
        "no" if both is None else f"{both:,.0f}", f"{row['tokens_an_image']:,}",
        f"{row['memory_mb'] / 1000:.1f} GB",
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--measure", type=Path, metavar="OUT")
    parser.add_argument("--table", type=Path, metavar="OUT")
    parser.add_argument(
        "--models", nargs="+", choices=list(FULL_SIZE_MODELS), default=list(DEFAULT_MODELS)
    )
    options = parser.parse_args()
    if options.folder:
        for name in options.models:
            print(write_model(name, options.folder))
    if options.measure:
        measure_models(options.folder, options.measure, options.models)
    if options.table:
        write_table(options.table)


if __name__ == "__main__":
    main()
