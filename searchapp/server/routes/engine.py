"""Routes that embed for other processes of the user; they work only through the Unix socket."""

from __future__ import annotations

from base64 import b64encode

from fastapi import APIRouter, Request

from searchapp.engines import Refusal
from searchapp.server.app_state import UNIX_SOCKET_ONLY, ServiceDep
from searchapp.server.engine_models import CountAnswer, CountRequest, EmbedAnswer, EmbedRequest
from searchapp.server.parse_request import parse_request
from searchapp.server.unix_http import API_PREFIX

router = APIRouter(include_in_schema=False, dependencies=UNIX_SOCKET_ONLY)


@router.post(f"{API_PREFIX}/embed")
async def embed_inputs(request: Request, service: ServiceDep) -> EmbedAnswer:
    """Embed prepared inputs of another process, so that both processes share one engine."""
    body, pictures = await parse_request(request, EmbedRequest)
    inputs = [(item.prompt, pictures.get(item.image or "")) for item in body.inputs]
    outputs = await service.embed(body.model, body.revision, body.space, inputs)
    refusals = [output.reason if isinstance(output, Refusal) else None for output in outputs]
    vectors = [
        None if isinstance(output, Refusal) else b64encode(output.astype("<f4").tobytes()).decode()
        for output in outputs
    ]
    return EmbedAnswer(vectors=vectors, refusals=refusals)


@router.post(f"{API_PREFIX}/count")
async def count_tokens(request: Request, service: ServiceDep) -> CountAnswer:
    """Count the tokens of a prompt."""
    body, _ = await parse_request(request, CountRequest)
    tokens = await service.count_tokens(body.model, body.revision, body.space, body.prompt)
    return CountAnswer(tokens=tokens)
