"""Check that a release of vLLM has the interfaces that searchapp uses, without importing it.

python tests/support/vllm_interfaces.py FOLDER    # the folder `vllm` of an unpacked wheel
"""

import ast
import sys
from pathlib import Path

# Modules, and the names that searchapp uses in each: functions, classes, fields and methods.
INTERFACES = {
    "__init__.py": ("LLM", "PoolingParams"),
    "config/pooler.py": ("PoolerConfig", "seq_pooling_type"),
    "distributed/parallel_state.py": ("cleanup_dist_env_and_memory",),
    "engine/arg_utils.py": (
        "dtype", "enable_prefix_caching", "enforce_eager", "gpu_memory_utilization", "hf_overrides",
        "kv_cache_memory_bytes", "limit_mm_per_prompt", "load_format", "max_model_len",
        "max_num_seqs", "mm_processor_cache_gb", "mm_processor_kwargs", "pooler_config", "runner",
        "seed", "trust_remote_code",
    ),
    # Loads the reranker as a classifier with the weights of its two answers.
    "model_executor/models/adapters.py": ("load_weights_using_from_2_way_softmax",),
    "model_executor/models/registry.py": ("_run_in_subprocess",),
    "model_executor/layers/attention/encoder_only_attention.py": ("EncoderOnlyAttention",),
    "v1/worker/gpu_model_runner.py": (
        "may_add_encoder_only_layers_to_kv_cache_config", "runner_only_attn_layers",
    ),
    "pooling_params.py": ("PoolingParams", "task"),
    "renderers/base.py": ("default_cmpl_tok_params", "render_cmpl"),
    "renderers/inputs/preprocess.py": ("parse_model_prompt",),
    "renderers/params.py": ("with_kwargs",),
    "v1/engine/llm_engine.py": (
        "abort_request", "add_request", "has_unfinished_requests", "renderer", "step",
    ),
}  # fmt: skip


def list_missing_interfaces(folder: Path) -> list[str]:
    """Return the interfaces that a release lacks, as FILE: NAME. folder: its package vllm."""
    missing = []
    for file, names in INTERFACES.items():
        path = folder / file
        defined = _list_names(path.read_text(encoding="utf-8")) if path.is_file() else set()
        missing += [f"{file}: {name}" for name in names if name not in defined]
    return missing


def list_architectures(folder: Path) -> set[str]:
    """Return the architectures in the model registry of a release."""
    tree = ast.parse((folder / "model_executor/models/registry.py").read_text(encoding="utf-8"))
    return {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _list_names(source: str) -> set[str]:
    """Return all names that a module defines, at any depth, and those that it exports lazily."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


if __name__ == "__main__":
    print("\n".join(list_missing_interfaces(Path(sys.argv[1]))) or "nothing is missing")
