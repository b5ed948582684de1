"""The requests of RemoteEngine are valid for the real vLLM's protocol."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image
from support.real_vllm import VLLM_MARKS
from support.vllm_server import FakeVllmServer

from searchapp.engines import EngineInput
from searchapp.engines.remote import RemoteEngine
from searchapp.models import ModelSpec

pytestmark = VLLM_MARKS
VLM = {"placeholder": "<image>", "engine_arguments": {"mm_processor_kwargs": {"num_crops": 4}}}


@pytest.mark.parametrize("change", [{}, {"pad_text": True}, VLM], ids=["clip", "siglip", "vlm"])
def test_the_real_vllm_knows_each_field(
    spec: ModelSpec, server: FakeVllmServer, change: dict[str, object]
) -> None:
    """Requests with one and with several texts and pictures parse, and have no unknown field."""
    from pydantic import TypeAdapter
    from vllm.entrypoints.pooling.embed.protocol import EmbeddingRequest

    engine = RemoteEngine(replace(spec, **change), server.url)
    pictures = [EngineInput("a dog", Image.new("RGB", (32, 32), color)) for color in ("red", "tan")]
    texts = [EngineInput("red"), EngineInput("blue boat")]
    for inputs in (texts[:1], texts, pictures[:1], pictures):
        engine.embed(inputs)
    engine.close()
    assert len(server.request_bodies) >= 5
    for body in server.request_bodies:
        request = TypeAdapter(EmbeddingRequest).validate_python(body)
        assert not request.model_extra
        assert request.model_fields_set >= body.keys() - {"model"}
