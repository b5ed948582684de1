"""Run the frozen teachers in PyTorch: DINOv2, TinyViT, EfficientNet-Lite2, MiniLM and MPNet.

extract_teachers.py extracts their weights.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# TinyViT's pool, DINOv2's mean patch and class token, EfficientNet's pool, ConSE.
FEATURE_WIDTHS = (320, 384, 384, 1280, 384)
# The same without TinyViT, from larger pictures. TinyViT's graph has a fixed size.
FINE_WIDTHS = (384, 384, 1280, 384)
TEACHER_SIDE_PX, FINE_SIDE_PX = 224, 308
# Sentence encoders and the widths of their vectors; a vector of a text joins all of them.
SENTENCE_WIDTHS = {"minilm": 384, "mpnet": 768}
FIRST_SENTENCE_WIDTH = SENTENCE_WIDTHS["minilm"]
SENTENCES_PER_BATCH, TOKENIZER_THREADS = 2048, 4
Node = tuple[str, list[str], list[str], dict[str, Any]]


def standardize_pixels(pixels: Tensor) -> Tensor:
    """Normalize pixels, 0 to 1, [n, 3, height, width], by the mean and deviation of ImageNet."""
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device).view(1, 3, 1, 1)
    return (pixels - mean) / torch.tensor(IMAGENET_STD, device=pixels.device).view(1, 3, 1, 1)


class Dino:
    """DINOv2 ViT-S/14: pixels [n, 3, 14 g, 14 g] to tokens [n, 1 + g * g, 384], class first."""

    def __init__(self, file: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.weights = {k: v.to(device, dtype) for k, v in torch.load(file).items()}

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the tokens of standardized pixels."""
        w = self.weights
        x = pixels.to(w["pos"].dtype)
        x = F.conv2d(x, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=14)
        batch, width, grid, _ = x.shape
        pos = w["pos"].float().view(1, 37, 37, width).permute(0, 3, 1, 2)
        # DINOv2 adds 0.1 to avoid rounding errors, and the ONNX export keeps the resulting shift.
        pos = F.interpolate(pos, scale_factor=(grid + 0.1) / 37, mode="bilinear").to(x.dtype)
        x = (x + pos).flatten(2).transpose(1, 2)
        # The ONNX export adds the class token instead of its position embedding, hence the 2.
        x = torch.cat([2 * w["cls_token"].expand(batch, -1, -1), x], 1)
        for i in range(12):
            x = self._block(f"blocks.{i}.", x)
        return self._norm("norm", x)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        w = self.weights
        return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-6)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _block(self, name: str, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self._linear(name + "attn.qkv", self._norm(name + "norm1", x))
        q, k, v = qkv.view(batch, tokens, 3, 6, width // 6).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + self.weights[name + "ls1.gamma"] * self._linear(name + "attn.proj", y)
        y = F.gelu(self._linear(name + "mlp.fc1", self._norm(name + "norm2", x)))
        return x + self.weights[name + "ls2.gamma"] * self._linear(name + "mlp.fc2", y)


class TinyVit:
    """TinyViT-5M (ImageNet-22k), an ONNX graph run node by node: [n, 3, 224, 224] to [n, 320]."""

    def __init__(self, file: Path, device: torch.device, dtype: torch.dtype) -> None:
        saved = torch.load(file, weights_only=False)
        self.nodes: list[Node] = saved["nodes"]
        self.device, self.dtype = device, dtype
        # Integers are shapes: they stay on the CPU, where reading them needs no synchronization.
        self.constants = {
            k: v.to(device, dtype) if v.is_floating_point() else v
            for k, v in saved["tensors"].items()
        }
        for kind, names, _, _ in self.nodes:
            if kind == "Conv":  # Depthwise convolutions are faster with channels last.
                weights = self.constants[names[1]]
                self.constants[names[1]] = weights.contiguous(memory_format=torch.channels_last)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the features of standardized pixels."""
        values = dict(self.constants)
        values["input"] = pixels.to(self.dtype).contiguous(memory_format=torch.channels_last)
        for kind, names, outputs, attributes in self.nodes:
            result = self._run_node(kind, [values[n] for n in names if n], attributes)
            values.update(zip(outputs, result if kind == "Split" else [result], strict=False))
        return values["output"]

    def _run_node(self, kind: str, x: list[Tensor], a: dict[str, Any]) -> Any:
        match kind:
            case "Gelu":
                return F.gelu(x[0])
            case "LayerNorm":
                return F.layer_norm(x[0], x[0].shape[-1:], x[1], x[2], a["eps"])
            case "Conv":
                p, groups = a["pads"], a["group"]
                bias = x[2] if len(x) > 2 else None
                return F.conv2d(x[0], x[1], bias, a["strides"], p[:2], a["dilations"], groups)
            case "MatMul":
                return x[0] @ x[1]
            case "Add" | "Sub" | "Mul" | "Div" | "Mod":
                return _apply_arithmetic(kind, x[0], x[1])
            case "Sqrt":
                return x[0].sqrt()
            case "Shape":
                return torch.tensor(x[0].shape)
            case "Gather":
                axis = a.get("axis", 0)
                if x[1].ndim == 0:
                    return x[0].select(axis, int(x[1]))
                picked = x[0].index_select(axis, x[1].flatten().to(x[0].device))
                return picked.unflatten(axis, x[1].shape)
            case "Unsqueeze":
                result = x[0]
                for axis in sorted(x[1].tolist() if len(x) > 1 else a["axes"]):
                    result = result.unsqueeze(axis)
                return result
            case "Concat":
                return torch.cat(x, a["axis"])
            case "Reshape":
                sizes = [x[0].shape[i] if n == 0 else n for i, n in enumerate(x[1].tolist())]
                return x[0].reshape(sizes)
            case "Transpose":
                return x[0].permute(a["perm"])
            case "Cast":
                on_device = self.dtype if x[0].device.type == self.device.type else torch.float32
                return x[0].to({1: on_device, 6: torch.int32, 7: torch.int64}[a["to"]])
            case "Split":
                return x[0].split(x[1].tolist() if len(x) > 1 else a["split"], a.get("axis", 0))
            case "Slice":
                return _slice_tensor(*x)
            case "Softmax":
                return x[0].softmax(a.get("axis", -1))
            case "GlobalAveragePool":
                return x[0].mean((2, 3), keepdim=True)
            case "Flatten":
                return x[0].flatten(1)
        raise NotImplementedError(kind)


def _apply_arithmetic(kind: str, left: Tensor, right: Tensor) -> Tensor:
    if left.device != right.device:
        left, right = (t if t.device.type != "cpu" else t.to(o.device, o.dtype)
                       for t, o in ((left, right), (right, left)))  # fmt: skip
    match kind:
        case "Add":
            return left + right
        case "Sub":
            return left - right
        case "Mul":
            return left * right
        case "Mod":
            return left.remainder(right)
    return left / right if left.is_floating_point() else left.div(right, rounding_mode="floor")


def _slice_tensor(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None,
           steps: Tensor | None = None) -> Tensor:  # fmt: skip
    dimensions = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for start, end, axis, step in zip(
        starts.tolist(), ends.tolist(), dimensions, strides, strict=True
    ):
        x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
    return x


class ImageTeachers:
    """The three image teachers: TinyViT, DINOv2 and EfficientNet-Lite2."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.dino = Dino(folder / "dino.pt", device, self.dtype)
        self.tiny = TinyVit(folder / "tiny.pt", device, self.dtype)
        network = EfficientNet.from_name("efficientnet-lite2")
        weights = torch.load(folder / "efficientnet.pt")
        network.load_state_dict({k: v.float() for k, v in weights.items()})
        self.efficientnet = network.eval().to(device, self.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def extract_features(
        self, pixels: Tensor, fine_pixels: Tensor | None, class_vectors: Tensor
    ) -> Tensor:
        """Return features, half [n, sum(FEATURE_WIDTHS)], and with fine_pixels also FINE_WIDTHS.

        pixels, fine_pixels: 0 to 1, [n, 3, side, side] of TEACHER_SIDE_PX and FINE_SIDE_PX.
        class_vectors: sentence vectors of ImageNet's class names, [1000, 384].
        """
        parts = [self.tiny(standardize_pixels(pixels)), *self._describe(pixels, class_vectors)]
        if fine_pixels is not None:
            parts += self._describe(fine_pixels, class_vectors)
        return torch.cat([p.float() for p in parts], -1).half()

    def _describe(self, pixels: Tensor, class_vectors: Tensor) -> tuple[Tensor, ...]:
        """Return DINOv2's mean patch and class token, EfficientNet's pool, and ConSE.

        ConSE is the mean of class vectors, weighted by EfficientNet's ten most probable classes
        (Norouzi et al., 2014).
        """
        tokens = self.dino(standardize_pixels(pixels)).float()
        bytes_centered = ((pixels * 255 - 127) / 128).to(self.dtype)
        efficientnet_features = self.efficientnet.extract_features(
            bytes_centered.contiguous(memory_format=torch.channels_last)
        ).mean((2, 3))
        probabilities, classes = (
            self.efficientnet._fc(efficientnet_features).float().softmax(-1).topk(10, -1)
        )
        conse = (probabilities[..., None] * class_vectors[classes]).sum(1)
        return tokens[:, 1:].mean(1), tokens[:, 0], efficientnet_features, conse


def embed_sentences(texts: list[str], folder: Path, device: torch.device) -> Tensor:
    """Return the vectors of texts by all sentence encoders side by side, half, on the device.

    [texts, sum(SENTENCE_WIDTHS)]; the part of each encoder has length one.
    """
    parts = [_embed_with(folder / name, texts, device) for name in SENTENCE_WIDTHS]
    return torch.cat(parts, -1)


@torch.inference_mode()
def _embed_with(folder: Path, texts: list[str], device: torch.device) -> Tensor:
    """Return unit vectors of texts: the mean token of an encoder, half [texts, width]."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = AutoModel.from_pretrained(folder).to(device, dtype).eval()
    vectors = torch.zeros(len(texts), model.config.hidden_size, device=device, dtype=torch.half)
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    batches = [by_length[start : start + SENTENCES_PER_BATCH]
               for start in range(0, len(texts), SENTENCES_PER_BATCH)]  # fmt: skip

    def tokenize(rows: list[int]) -> Any:
        return tokenizer([texts[i] for i in rows], padding=True, truncation=True, max_length=64,
                         return_tensors="pt")  # fmt: skip

    with ThreadPoolExecutor(TOKENIZER_THREADS) as pool:  # the next batches, beside the GPU
        for rows, tokens in zip(batches, pool.map(tokenize, batches), strict=True):
            on_device = tokens.to(device)
            hidden = model(**on_device).last_hidden_state.float()
            mask = on_device["attention_mask"][..., None]
            mean = (hidden * mask).sum(1) / mask.sum(1)
            vectors[torch.tensor(rows, device=device)] = F.normalize(mean, dim=-1).half()
    return vectors.clone()
