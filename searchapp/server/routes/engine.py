"""Routes that lend the engine to other processes of the user; only by the Unix socket."""

from __future__ import annotations

from base64 import b64encode

from fastapi import APIRouter, Request

from searchapp.engines import Refusal
from searchapp.server.app_state import LOCAL_ONLY, ServiceDep
from searchapp.server.request_models import CountRequest, EmbedRequest, parse_request
from searchapp.server.response_models import CountAnswer, EmbedAnswer

router = APIRouter(include_in_schema=False, dependencies=LOCAL_ONLY)


@router.post("/api/embed")
async def embed_inputs(request: Request, service: ServiceDep) -> EmbedAnswer:
    """Embed inputs that another process of the user has prepared: one engine serves both."""
    asked, files = await parse_request(request, EmbedRequest)
    inputs = [(each.prompt, files.get(each.image or "")) for each in asked.inputs]
    outputs = await service.embed(asked.model, asked.revision, asked.space, inputs)
    refused = [each.reason if isinstance(each, Refusal) else None for each in outputs]
    vectors = [
        None if isinstance(each, Refusal) else b64encode(each.astype("<f4").tobytes()).decode()
        for each in outputs
    ]
    return EmbedAnswer(vectors=vectors, refusals=refused)


@router.post("/api/count")
async def count_tokens(asked: CountRequest, service: ServiceDep) -> CountAnswer:
    """Count the tokens of a prompt."""
    tokens = await service.count_tokens(asked.model, asked.revision, asked.space, asked.prompt)
    return CountAnswer(tokens=tokens)
