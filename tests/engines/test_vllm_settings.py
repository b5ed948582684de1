"""The start of vLLM: which imports it skips."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from support.processes import run_python

from searchapp.engines import vllm_settings
from searchapp.models import MODELS


def test_ray_is_hidden_only_in_the_block(tmp_path: Path) -> None:
    """Within the block Ray looks as if it were not installed; a Ray that is loaded stays."""
    (tmp_path / "ray.py").write_text("")
    result = run_python(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        from importlib.util import find_spec
        from searchapp.engines.vllm_settings import hide_ray
        try:
            with hide_ray():
                assert find_spec("ray") is None
                try:
                    import ray
                except ImportError:
                    print("hidden")
                raise KeyError
        except KeyError:
            import ray
        with hide_ray():
            assert sys.modules["ray"] is ray
        assert sys.modules["ray"] is ray
        """,
        tmp_path,
    )
    assert (result.stdout, result.stderr) == ("hidden\n", "")


@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_transformers_scans_its_models_once() -> None:
    """Its package of models uses the scan of the import; both name the same models."""
    result = run_python(
        """
        from transformers.utils import import_utils
        from searchapp.engines.vllm_settings import reuse_transformers_scan
        scan = import_utils.create_import_structure_from_path
        scanned = scan.cache_info().misses
        reuse_transformers_scan()
        reuse_transformers_scan()
        import transformers.models
        assert scan.cache_info().misses == scanned > 100, scan.cache_info()
        assert transformers.models.clip.CLIPConfig is transformers.CLIPConfig
        """
    )
    assert result.stderr == ""


def test_the_cache_on_the_cpu_is_as_large_as_the_model_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the start, vLLM fills it with zeros. A variable that users can set has precedence."""
    monkeypatch.setattr(vllm_settings, "has_gpu", lambda: False)
    cache_mib = {
        name: vllm_settings.make_device_arguments(MODELS[name], bulk=True)["kv_cache_memory_bytes"]
        >> 20
        for name in ("clip-vit-b-32", "qwen3-vl-embedding-2b")
    }
    assert cache_mib == {"clip-vit-b-32": 256, "qwen3-vl-embedding-2b": 1024}
    assert "VLLM_CPU_KVCACHE_SPACE" not in vllm_settings.VLLM_ENVIRONMENT
