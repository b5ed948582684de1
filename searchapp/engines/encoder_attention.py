"""Let vLLM's CPU build run EmbeddingGemma 2, whose tokens attend to earlier and later tokens.

vLLM runs this model with its model runner V2. That needs Triton, which the CPU build lacks, so that
the CPU build uses the older runner. There the model fails in two ways (vLLM 0.32, and by its source
0.33):

- The runner refuses a model whose attention layers differ in size: "Only support one encoder-only
  attention spec now". EmbeddingGemma 2 has layers of two sizes.
- The model's layers are of the class Attention. Its CPU backend then hides later tokens, and the
  vectors are wrong without any error: tests measured a cosine of 0.65 to those of transformers. The
  class EncoderOnlyAttention, which vLLM's other encoders use, hides none.

tests/engines/test_vlm.py compares the vectors with those of transformers.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from typing import Any

ARCHITECTURE = "EmbeddingGemma2Model"


def patch_encoder_attention() -> None:
    """Correct vLLM's attention layers and model runner; call this before a model is loaded."""
    layers: Any = importlib.import_module(
        "vllm.model_executor.layers.attention.encoder_only_attention"
    )
    model: Any = importlib.import_module("vllm.model_executor.models.embedding_gemma2")
    model.Attention = layers.EncoderOnlyAttention
    runner: Any = importlib.import_module("vllm.v1.worker.gpu_model_runner")
    runner.GPUModelRunner.may_add_encoder_only_layers_to_kv_cache_config = _add_encoder_layers


def _add_encoder_layers(runner: Any) -> None:
    """Add the encoder layers to the runner's groups: one group for each size of layers."""
    module: Any = importlib.import_module("vllm.v1.worker.gpu_model_runner")
    names_by_spec: dict[Any, list[str]] = defaultdict(list)
    layers = module.get_layers_from_vllm_config(runner.vllm_config, module.Attention)
    for name, layer in layers.items():
        if layer.attn_type == module.AttentionType.ENCODER_ONLY:
            spec = module.EncoderOnlyAttentionSpec(
                block_size=runner.vllm_config.cache_config.block_size,
                num_kv_heads=layer.num_kv_heads,
                head_size=layer.head_size,
                dtype=runner.kv_cache_dtype,
            )
            names_by_spec[spec].append(name)
            runner.runner_only_attn_layers.add(name)
    runner.kv_cache_config.kv_cache_groups += [
        module.KVCacheGroupSpec(layer_names=names, kv_cache_spec=spec)
        for spec, names in names_by_spec.items()
    ]
