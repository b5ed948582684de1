"""How many pictures a batch has."""

from __future__ import annotations

import pytest

from searchapp.indexing.embedding import batches
from searchapp.models import resolve_model


@pytest.mark.parametrize(("model", "has_gpu", "pictures"), [
    ("clip-vit-l-14", True, 128), ("qwen3-vl-embedding-2b", True, 126), ("vlm2vec", True, 83),
    ("e5-v", True, 32), ("qwen3-vl-embedding-2b", False, 16), ("clip-vit-l-14", False, 16),
])  # fmt: skip
def test_a_batch_has_fewer_pictures_of_many_tokens(
    monkeypatch: pytest.MonkeyPatch, model: str, has_gpu: bool, pictures: int
) -> None:
    monkeypatch.setattr(batches, "has_gpu", lambda: has_gpu)
    assert batches.choose_batch_size(resolve_model(model)) == pictures
