"""Requests and answers of the routes that embed for other processes of the user."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from searchapp.server.request_models import RequestFields


class InputRequest(RequestFields):
    """Prompt to embed, and the name of the multipart form part that holds its prepared picture."""

    prompt: str
    image: str | None = None


class EmbedRequest(RequestFields):
    """Inputs to embed; model, revision and space identify the collection whose model embeds."""

    model: str
    revision: str
    space: dict[str, Any]
    inputs: list[InputRequest]


class CountRequest(RequestFields):
    """Prompt whose tokens to count; model, revision and space: see EmbedRequest."""

    model: str
    revision: str
    space: dict[str, Any]
    prompt: str


class EmbedAnswer(BaseModel):
    """Vector of each input (float32, little-endian, base64), or the reason why it has none."""

    vectors: list[str | None]
    refusals: list[str | None]


class CountAnswer(BaseModel):
    """Number of tokens of a prompt."""

    tokens: int
